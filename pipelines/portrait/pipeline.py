"""Portraits of a person in any look that a prompt describes, without training for the person.

The method is ConsistentID (Huang et al. 2024, arXiv:2404.16771): tokens of the whole identity act through an
attention of their own, tokens of facial parts are merged into the words that name them. `__call__` reads top
to bottom as the algorithm.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.image_processor import VaeImageProcessor
from diffusers.loaders import StableDiffusionLoraLoaderMixin
from diffusers.pipelines.pipeline_utils import StableDiffusionMixin
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import (
    rescale_noise_cfg,
    retrieve_timesteps,
)
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import BaseOutput
from diffusers.utils.torch_utils import randn_tensor
from transformers import (
    BaseImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from faces.images import ImageSource
from pipelines.face_pipeline import FacePipeline
from pipelines.portrait import arguments, captioning, published
from pipelines.portrait.attention import IdentityContext, install_identity_attention
from pipelines.portrait.conditioning import IdentityConditioning
from pipelines.portrait.encoder import FaceEncoder
from pipelines.portrait.identity import IdentityEncoderMixin
from pipelines.portrait.modules import IdentityConditioner


@dataclass
class PortraitOutput(BaseOutput):
    """What `PortraitPipeline` returns."""

    images: list[PIL.Image.Image] | np.ndarray | torch.Tensor
    """Pictures in the order prompt by prompt: PIL, (n, h, w, 3) in [0, 1], (n, 3, h, w) in [0, 1], or latents."""


class PortraitPipeline(
    FacePipeline, IdentityEncoderMixin, StableDiffusionMixin, StableDiffusionLoraLoaderMixin
):
    """Draws the person of a reference picture as a prompt says.

    Args:
        vae: autoencoder of the denoiser's latents; None for a denoiser of pixels.
        text_encoder: reads the prompt.
        tokenizer: of the text encoder.
        unet: the denoiser. Its cross-attention layers get an identity branch that `conditioner` owns.
        scheduler: any that `StableDiffusionPipeline` takes.
        conditioner: turns a person into tokens, and holds the weights of the identity branch.
        image_encoder: sees the face; None when every call brings its own `conditioning`.
        feature_extractor: size, mean and deviation that the image encoder expects.
        text_encoder_2: second text encoder of SDXL.
        tokenizer_2: its tokenizer.
    """

    model_cpu_offload_seq = "text_encoder->text_encoder_2->image_encoder->unet->vae"
    _optional_components = ["vae", "image_encoder", "feature_extractor", "text_encoder_2", "tokenizer_2"]
    # Its attention weights work inside the UNet and its tokens outside: it stays where the others come and
    # go.
    _exclude_from_cpu_offload = ["conditioner"]
    _callback_tensor_inputs = ["latents", "prompt_embeds", "identity_tokens"]

    def __init__(
        self,
        vae: AutoencoderKL | None,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        conditioner: IdentityConditioner,
        image_encoder: CLIPVisionModelWithProjection | FaceEncoder | None = None,
        feature_extractor: BaseImageProcessor | None = None,
        text_encoder_2: CLIPTextModelWithProjection | None = None,
        tokenizer_2: CLIPTokenizer | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            unet=unet,
            scheduler=scheduler,
            conditioner=conditioner,
            image_encoder=image_encoder,
            feature_extractor=feature_extractor,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
        )
        self.vae_scale_factor = 1
        if vae is not None:
            self.vae_scale_factor = getattr(vae, "downscale", 2 ** (len(vae.config.block_out_channels) - 1))
        self.image_processor = VaeImageProcessor(vae_scale_factor=self.vae_scale_factor)
        self.load_report: published.LoadReport | None = None
        install_identity_attention(unet, conditioner.attention)

    @classmethod
    def from_published(cls, base: str | os.PathLike, files: Any, **kwargs: Any) -> PortraitPipeline:
        """Load ConsistentID or an IP-Adapter FaceID file on top of Stable Diffusion or SDXL.

        Args:
            base: folder or hub id of the base model.
            files: published file, or several of one checkpoint.
            **kwargs: see `published.load_pipeline`.
        """
        return published.load_pipeline(cls, base, files, **kwargs)

    # What the prompt says

    def encode_prompt(
        self, prompts: Sequence[str], part_valid: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Encode texts, with words for the facial parts at their end where the conditioner merges parts.

        Args:
            prompts: b texts.
            part_valid: (b, 5) which parts are there; None for texts without words of parts.

        Returns:
            Text (b, L, D); pooled text of SDXL's second encoder or None; positions (b, 5) of the words, -1
            without.
        """
        legacy, uses_parts = self.conditioner.config.legacy_parts, self.conditioner.uses_parts
        encoders = [(self.tokenizer, self.text_encoder), (self.tokenizer_2, self.text_encoder_2)]
        states, pooled = [], None
        positions = torch.empty(0, dtype=torch.long)
        for tokenizer, encoder in (pair for pair in encoders if pair[1] is not None):
            if part_valid is None or not uses_parts:
                marked = [captioning.plain_text(tokenizer, text) for text in prompts]
            else:
                rows = zip(prompts, part_valid.tolist(), strict=True)
                marked = [captioning.mark_parts(tokenizer, text, parts=p, legacy=legacy) for text, p in rows]
            device = self._device_of(encoder)
            ids = torch.tensor([text.input_ids for text in marked], device=device)
            encoded = encoder(ids, output_hidden_states=self.text_encoder_2 is not None)
            if self.text_encoder_2 is None:
                states.append(encoded.last_hidden_state)
            else:  # SDXL reads the layer before the last of both encoders
                states.append(encoded.hidden_states[-2])
                pooled = getattr(encoded, "text_embeds", None)
            positions = torch.tensor([text.positions for text in marked], device=device)
        return torch.cat(states, dim=-1), pooled, positions

    def encode_conditions(
        self, prompts: Sequence[str], negative_prompts: Sequence[str] | None, people: IdentityConditioning
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Bring b prompts and b people together; with negative prompts 2b rows, the unconditional half first.

        Returns:
            Text (b | 2b, L, D) with the prompts as they are; text with the parts of the people merged into their
            words; identity tokens (b | 2b, T, D); pooled text of SDXL or None.
        """
        conditioner = self.conditioner
        text, pooled, positions = self.encode_prompt(prompts, people.part_valid)
        if negative_prompts is not None:
            # The published weights merge into a plain negative text, where the prompt has the words of parts.
            legacy = conditioner.config.legacy_parts
            negative = self.encode_prompt(negative_prompts, None if legacy else people.part_valid)
            text = torch.cat([negative[0], text])
            pooled = None if pooled is None else torch.cat([negative[1], pooled])
            positions = torch.cat([positions if legacy else negative[2], positions])
            people = IdentityConditioning.cat([people.unconditional, people])
        people = people.to(conditioner.device, conditioner.dtype)
        text = text.to(conditioner.device)
        tokens = conditioner(people.id_embeds, people.clip_states, people.part_states, people.part_valid)
        if not conditioner.uses_parts:
            return text, text, tokens.id_tokens, pooled
        merged = conditioner.fuse(text, tokens.part_tokens, positions.to(text.device), people.part_valid)
        count = len(prompts)  # only the conditional half ever goes without the parts
        return torch.cat([merged[:-count], text[-count:]]), merged, tokens.id_tokens, pooled

    def prepare_latents(
        self,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        device: torch.device,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Draw the initial noise, or take the caller's, at the level that the scheduler starts from."""
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        return latents.to(device, dtype) * self.scheduler.init_noise_sigma

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Turn latents into pictures (n, 3, h, w) in [-1, 1]."""
        if self.vae is None:
            return latents
        mean, std = (self.vae.config.get(name) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            mean, std = (torch.tensor(x).view(1, -1, 1, 1).to(latents) for x in (mean, std))
            latents = latents * std + mean
        else:
            shift = self.vae.config.get("shift_factor") or 0.0
            latents = latents / self.vae.config.scaling_factor + shift
        return self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]

    @torch.no_grad()
    def __call__(
        self,
        image: ImageSource | Sequence[Any] | None = None,
        prompt: str | Sequence[str] = "",
        negative_prompt: str | Sequence[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 20,
        timesteps: list[int] | None = None,
        sigmas: list[float] | None = None,
        guidance_scale: float = 2.5,
        guidance_rescale: float = 0.0,
        identity_scale: float | Sequence[float] = 1.0,
        merge_step: int = 0,
        lora_scale: float = 1.0,
        num_images_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        id_embeds: torch.Tensor | np.ndarray | None = None,
        conditioning: IdentityConditioning | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        cross_attention_kwargs: dict[str, Any] | None = None,
        callback_on_step_end: Callable | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> PortraitOutput | tuple:
        """Draw portraits.

        Args:
            image: the person: a picture, a list of pictures of one person, or one such list for each prompt.
            prompt: what the portrait shows; several for several portraits.
            negative_prompt: what it should not show; used with guidance only.
            height: in pixels, a multiple of `vae_scale_factor`; by default what the denoiser was trained for.
            width: the same.
            num_inference_steps: steps of the scheduler.
            timesteps: of the scheduler, instead of its own.
            sigmas: of the scheduler, instead of its own.
            guidance_scale: classifier-free guidance (Ho and Salimans 2022) above 1, none at 1 or below.
            guidance_rescale: against overexposure (Lin et al. 2023, arXiv:2305.08891, section 3.4).
            identity_scale: strength of the identity, one number or one a prompt; 0 draws somebody.
            merge_step: last step, counted from 0, whose text is without the parts; -1 merges them from the
                start.
            lora_scale: strength of the low-rank updates of published checkpoints.
            num_images_per_prompt: portraits of each prompt.
            eta: of DDIM.
            generator: one, or one a portrait.
            latents: initial noise (portraits, channels, height / f, width / f) instead of the generator's.
            id_embeds: the person as an embedding (E,) or (b, E), instead of `image`.
            conditioning: the person as `encode_identity` returned it, instead of `image`.
            output_type: "pil", "np", "pt" or "latent".
            return_dict: a `PortraitOutput` instead of a tuple.
            cross_attention_kwargs: for the attention of the denoiser.
            callback_on_step_end: called with (pipeline, step, timestep, tensors) after each step; may change
                tensors.
            callback_on_step_end_tensor_inputs: which of latents, prompt_embeds, identity_tokens it gets.

        Raises:
            ValueError: arguments that contradict each other; ImageError: an unusable picture.

        Examples:
            >>> pipe = PortraitPipeline.from_pretrained("mini")
            >>> pipe(image="photo.jpg", prompt="portrait of a woman, smiling").images[0].save("portrait.png")
        """
        if isinstance(callback_on_step_end, PipelineCallback | MultiPipelineCallbacks):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        sources = {"image": image, "id_embeds": id_embeds, "conditioning": conditioning}
        arguments.check(self, sources, callback_on_step_end_tensor_inputs)
        size = arguments.picture_size(height, width, self.unet.config.sample_size, self.vae_scale_factor)
        self._guidance_scale, self._interrupt = guidance_scale, False
        self._cross_attention_kwargs = cross_attention_kwargs

        # 1. Get to know the people, and give each prompt its person.
        if image is not None:
            conditioning = self.encode_identity(image)
        elif id_embeds is not None:
            conditioning = self.identity_from_embedding(id_embeds)
        prompts, people = arguments.pair(prompt, conditioning)
        negative = None
        if self.do_classifier_free_guidance:
            negative = arguments.as_many("negative_prompt", negative_prompt or "", len(prompts))

        # 2. Encode the text with and without the facial parts, and the identity tokens; [unconditional,
        # conditional].
        conditions = self.encode_conditions(prompts, negative, people)
        copies = num_images_per_prompt
        plain, merged, identity_tokens, pooled = (
            x if x is None else x.repeat_interleave(copies, dim=0) for x in conditions
        )
        device, dtype = self._execution_device, self.unet.dtype
        plain, merged = plain.to(device, dtype), merged.to(device, dtype)
        prompt_embeds = merged if merge_step < 0 else plain
        scale = arguments.identity_scales(identity_scale, len(prompts), copies, device)

        # 3. Timesteps, initial noise, and what else the denoiser and the scheduler take.
        times, steps = retrieve_timesteps(self.scheduler, num_inference_steps, device, timesteps, sigmas)
        factor, count = self.vae_scale_factor, len(prompts) * copies
        shape = (count, self.unet.config.in_channels, size[0] // factor, size[1] // factor)
        arguments.check_noise(latents, generator, shape)
        latents = self.prepare_latents(shape, dtype, device, generator, latents)
        step_kwargs = self._step_kwargs(eta, generator)
        extra = arguments.added_conditions(self.unet, pooled, size, count, guidance_scale, device)

        # 4. Denoise. The identity tokens act from the first step, the facial parts after `merge_step`.
        self._num_timesteps = len(times)
        warmup = len(times) - steps * self.scheduler.order
        with self.progress_bar(total=steps) as progress_bar:
            for i, t in enumerate(times):
                if self.interrupt:
                    continue
                noisy = torch.cat([latents] * 2) if self.do_classifier_free_guidance else latents
                noisy = self.scheduler.scale_model_input(noisy, t)
                # A callback may end guidance on the way: the conditional half is the last.
                last = slice(-len(noisy), None)
                context = IdentityContext(identity_tokens[last], scale[last], lora_scale)
                predicted = self.unet(
                    noisy,
                    t,
                    encoder_hidden_states=prompt_embeds[last],
                    cross_attention_kwargs={**(cross_attention_kwargs or {}), "ip_hidden_states": context},
                    return_dict=False,
                    **{name: arguments.last_rows(value, last) for name, value in extra.items()},
                )[0]
                if self.do_classifier_free_guidance:
                    unconditional, conditional = predicted.chunk(2)
                    predicted = unconditional + self.guidance_scale * (conditional - unconditional)
                    if guidance_rescale > 0:
                        predicted = rescale_noise_cfg(predicted, conditional, guidance_rescale)
                latents = self.scheduler.step(predicted, t, latents, **step_kwargs, return_dict=False)[0]
                if i == merge_step:
                    prompt_embeds = merged

                if callback_on_step_end is not None:
                    tensors = {}
                    for name in callback_on_step_end_tensor_inputs:
                        tensors[name] = locals()[name]
                    changed = callback_on_step_end(self, i, t, tensors)
                    latents = changed.pop("latents", latents)
                    prompt_embeds = changed.pop("prompt_embeds", prompt_embeds)
                    identity_tokens = changed.pop("identity_tokens", identity_tokens)
                if i == len(times) - 1 or (i + 1 > warmup and (i + 1) % self.scheduler.order == 0):
                    progress_bar.update()

        # 5. Decode.
        images = latents
        if output_type != "latent":
            images = self.image_processor.postprocess(self.decode_latents(latents), output_type=output_type)
        self.maybe_free_model_hooks()
        return PortraitOutput(images=images) if return_dict else (images,)

    @property
    def guidance_scale(self) -> float:
        """Of the call in progress; a callback may change `_guidance_scale`."""
        return self._guidance_scale

    @property
    def do_classifier_free_guidance(self) -> bool:
        """Whether the denoiser runs on an unconditional half as well."""
        return self._guidance_scale > 1 and self.unet.config.time_cond_proj_dim is None

    @property
    def cross_attention_kwargs(self) -> dict[str, Any] | None:
        """Of the call in progress."""
        return self._cross_attention_kwargs
