"""Faces whose expression is given by action units: anybody's by a prompt, or a person's by a reference picture.

The method is SynFER (Ma et al. 2024, arXiv:2410.09865): an adapter brings action units into cross-attention, semantic
guidance corrects the condition on the way, and the layout may be taken from a seed face by DDIM inversion.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg
from diffusers.schedulers import KarrasDiffusionSchedulers
from transformers import (
    BaseImageProcessor,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

import weights
from faces.images import ImageSource
from faces.perception import PerceptionNet
from pipelines.expression.guidance import ExpressionGuide, Guide, Norm, clean_estimate, descend
from pipelines.expression.inversion import LayoutInversionMixin
from pipelines.expression.modules import BRANCH, ActionUnitAdapter, attention_context, freed
from pipelines.expression.units import Units, check_expression, spread_over, typical_units
from pipelines.portrait import arguments
from pipelines.portrait.attention import IdentityContext, install_adapter
from pipelines.portrait.conditioning import IdentityConditioning
from pipelines.portrait.encoder import FaceEncoder
from pipelines.portrait.modules import IdentityConditioner
from pipelines.portrait.pipeline import PortraitOutput, PortraitPipeline


@dataclass
class ExpressionOutput(PortraitOutput):
    """What `ExpressionPipeline` returns."""

    guide_losses: torch.Tensor | None = None
    """(guided steps, pictures): what the guide found in each estimate; None without semantic guidance."""


class ExpressionPipeline(LayoutInversionMixin, PortraitPipeline):
    """Draws faces with the action units that are asked for; every other argument is `PortraitPipeline`'s.

    Args:
        vae: autoencoder of the denoiser's latents; None for a denoiser of pixels.
        text_encoder: reads the prompt.
        tokenizer: of the text encoder.
        unet: the denoiser.
        scheduler: any that `StableDiffusionPipeline` takes.
        conditioner: turns a person into tokens.
        action_unit_adapter: turns action units into tokens, and holds the weights of their branch.
        image_encoder: sees the face; None when every call brings its own `conditioning`.
        feature_extractor: size, mean and deviation that the image encoder expects.
        text_encoder_2: second text encoder of SDXL.
        tokenizer_2: its tokenizer.
    """

    _exclude_from_cpu_offload = ["conditioner", "action_unit_adapter"]
    _callback_tensor_inputs = ["latents", "prompt_embeds", "identity_tokens", "unit_tokens"]

    def __init__(
        self,
        vae: AutoencoderKL | None,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        conditioner: IdentityConditioner,
        action_unit_adapter: ActionUnitAdapter,
        image_encoder: CLIPVisionModelWithProjection | FaceEncoder | None = None,
        feature_extractor: BaseImageProcessor | None = None,
        text_encoder_2: CLIPTextModelWithProjection | None = None,
        tokenizer_2: CLIPTokenizer | None = None,
    ) -> None:
        super().__init__(
            vae, text_encoder, tokenizer, unet, scheduler, conditioner, image_encoder, feature_extractor,
            text_encoder_2, tokenizer_2,
        )  # fmt: skip
        self.register_modules(action_unit_adapter=action_unit_adapter)
        install_adapter(unet, BRANCH, action_unit_adapter.attention)
        self.guide_network: torch.nn.Module | None = None
        """Reads faces for semantic guidance; the bundled `PerceptionNet` is loaded when it is first needed."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None = "mini", **kwargs: Any):
        """Load "mini", a folder or a hub id; a portrait model with a folder `action_unit_adapter` is one too.

        Args:
            pretrained_model_name_or_path: where the weights are.
            **kwargs: as for `DiffusionPipeline.from_pretrained`.
        """
        source = str(pretrained_model_name_or_path)
        folder = weights.bundled(source) if source == "mini" and not Path(source).is_dir() else Path(source)
        index = folder / "model_index.json"
        whole = index.is_file() and '"action_unit_adapter"' in index.read_text(encoding="utf-8")
        beside = folder / "action_unit_adapter"
        if "action_unit_adapter" not in kwargs and not whole and beside.is_dir():
            dtype = kwargs.get("torch_dtype", kwargs.get("dtype", torch.float32))
            kwargs["action_unit_adapter"] = ActionUnitAdapter.from_pretrained(beside, torch_dtype=dtype)
        return super().from_pretrained(source, **kwargs)

    def nobody(self, count: int = 1) -> IdentityConditioning:
        """Condition on no person in particular."""
        return self.identity_from_embedding(torch.zeros(count, self.conditioner.config.id_dim))

    def encode_units(self, units: Units | None, count: int, copies: int = 1) -> torch.Tensor | None:
        """Tokens of action units for `count` prompts with `copies` pictures each.

        Returns:
            (2 n, T, D), the half where everything is free first, or None when nothing is specified anywhere.
        """
        values, specified = self._unit_table(units, count, copies)
        if not specified.any():
            return None
        adapter = self.action_unit_adapter
        return torch.cat([adapter(values, torch.zeros_like(specified)), adapter(values, specified)])

    def _unit_table(self, units: Units | None, count: int, copies: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Intensities and which are specified, (count * copies, k) each."""
        adapter = self.action_unit_adapter
        values, specified = (
            table.repeat_interleave(copies, dim=0).to(adapter.device) for table in adapter.table(units, count)
        )
        return values, specified

    @torch.no_grad()
    def __call__(
        self,
        image: ImageSource | Sequence[Any] | None = None,
        prompt: str | Sequence[str] = "",
        action_units: Units | None = None,
        expression: str | Sequence[str | None] | None = None,
        intensity: float = 1.0,
        negative_prompt: str | Sequence[str] | None = None,
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 20,
        guidance_scale: float = 2.5,
        guidance_rescale: float = 0.0,
        identity_scale: float | Sequence[float] = 1.0,
        unit_scale: float | Sequence[float] = 0.5,
        unit_start: float = 0.2,
        semantic_scale: float = 0.0,
        semantic_start: float = 0.1,
        semantic_every: int = 2,
        semantic_norm: Norm = "global",
        guide: Guide | None = None,
        layout: np.ndarray | None = None,
        layout_share: float = 0.7,
        num_images_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        id_embeds: torch.Tensor | np.ndarray | None = None,
        conditioning: IdentityConditioning | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ExpressionOutput | tuple:
        """Draw faces with an expression.

        Args:
            image: the person, as for `PortraitPipeline`; without `image`, `id_embeds` and `conditioning` it is
                nobody in particular.
            prompt: what the picture shows; several for several pictures.
            action_units: name -> intensity 0..1.5, for all prompts or one mapping each; "AU12" means both sides,
                "AU12L" the subject's left. Units that are not named stay free; {} and None name none.
            expression: one of `vocabulary.EXPRESSIONS` instead of `action_units`, which are then its typical ones,
                or beside them for the guide alone.
            intensity: factor of the typical units of `expression`.
            negative_prompt: what it should not show; used with guidance only.
            height: in pixels, a multiple of `vae_scale_factor`; by default what the denoiser was trained for.
            width: the same.
            num_inference_steps: steps of the scheduler.
            guidance_scale: classifier-free guidance above 1, none at 1 or below; text, person and action units
                are left out of the unconditional half together.
            guidance_rescale: against overexposure (Lin et al. 2023, arXiv:2305.08891, section 3.4).
            identity_scale: strength of the identity, one number or one a prompt.
            unit_scale: strength of the branch of the action units, one number or one a prompt; 0 turns it off. At 1
                units show more, and the person less.
            unit_start: share of the steps before which all action units are free. Hair, light and background are
                decided early: started later, units change them less, and show less themselves.
            semantic_scale: length of a step of semantic guidance in the space of the embeddings; 0 for none, which is
                equal, bit by bit, to a call without a guide.
            semantic_start: share of the steps after which it begins, not before action units act.
            semantic_every: corrects before every n-th step from there on; 1 costs twice what 2 does.
            semantic_norm: over what the length of a step is measured.
            guide: what judges estimates; by default the bundled perception, asked for `expression` and
                `action_units`.
            layout: canonical frames (n, S, S, 3) uint8, one or one a picture, whose layout is kept.
            layout_share: of the steps that are inverted for it; more keeps less.
            num_images_per_prompt: pictures of each prompt.
            eta: of DDIM.
            generator: one, or one a picture.
            latents: initial noise instead of the generator's.
            id_embeds: the person as an embedding (E,) or (b, E), instead of `image`.
            conditioning: the person as `encode_identity` returned it, instead of `image`.
            output_type: "pil", "np", "pt" or "latent".
            return_dict: an `ExpressionOutput` instead of a tuple.
            callback_on_step_end: called with (pipeline, step, timestep, tensors) after each step; may change tensors.
            callback_on_step_end_tensor_inputs: which of latents, prompt_embeds, identity_tokens, unit_tokens it gets.

        Raises:
            ValueError: arguments that contradict each other; ImageError: an unusable picture.

        Examples:
            >>> pipe = ExpressionPipeline.from_pretrained("mini")
            >>> pipe(image="photo.jpg", prompt="portrait of a woman", action_units={"AU12": 0.8}).images[0]
        """
        if isinstance(callback_on_step_end, PipelineCallback | MultiPipelineCallbacks):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        sources = {"image": image, "id_embeds": id_embeds, "conditioning": conditioning}
        if all(source is None for source in sources.values()):
            conditioning = sources["conditioning"] = self.nobody()
        arguments.check(self, sources, callback_on_step_end_tensor_inputs)
        check_expression(self, unit_start, semantic_scale, semantic_start, semantic_every, layout, latents)
        size = arguments.picture_size(height, width, self.unet.config.sample_size, self.vae_scale_factor)
        self._guidance_scale, self._interrupt = guidance_scale, False
        self._cross_attention_kwargs = None

        # 1. Get to know the people; give each prompt its person, its expression and its action units.
        if image is not None:
            conditioning = self.encode_identity(image)
        elif id_embeds is not None:
            conditioning = self.identity_from_embedding(id_embeds)
        assert conditioning is not None  # one of the three is given
        prompt, conditioning = spread_over(prompt, conditioning, action_units, expression)
        prompts, people = arguments.pair(prompt, conditioning)
        expressions = arguments.as_many("expression", expression, len(prompts))
        units = typical_units(action_units, expressions, intensity)

        # 2. Encode text, identity and action units; [unconditional, conditional].
        negative = None
        if self.do_classifier_free_guidance:
            negative = arguments.as_many("negative_prompt", negative_prompt or "", len(prompts))
        copies, device, dtype = num_images_per_prompt, self._execution_device, self.unet.dtype
        _, prompt_embeds, identity_tokens, pooled = (
            x if x is None else x.repeat_interleave(copies, dim=0)
            for x in self.encode_conditions(prompts, negative, people)
        )
        prompt_embeds = prompt_embeds.to(device, dtype)
        unit_tokens = self.encode_units(units, len(prompts), copies)
        scale = arguments.identity_scales(identity_scale, len(prompts), copies, device)
        unit_scales = arguments.identity_scales(unit_scale, len(prompts), copies, device)

        # 3. Timesteps and where to start: from noise, or from the layout of a face.
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        factor, count, first = self.vae_scale_factor, len(prompts) * copies, 0
        shape = (count, self.unet.config.in_channels, size[0] // factor, size[1] // factor)
        arguments.check_noise(latents, generator, shape)
        if layout is not None:
            frames = np.repeat(layout, count, axis=0) if len(layout) == 1 else layout
            latents, first = self.invert(frames, num_inference_steps, layout_share)
            arguments.check_noise(latents, None, shape)
            if hasattr(self.scheduler, "set_begin_index"):  # DDIM and others find the step by its time
                self.scheduler.set_begin_index(first * self.scheduler.order)
        else:
            latents = self.prepare_latents(shape, dtype, device, generator, latents)
        times = self.scheduler.timesteps[first * self.scheduler.order :]
        step_kwargs = self._step_kwargs(eta, generator)
        extra = arguments.added_conditions(self.unet, pooled, size, count, guidance_scale, device)
        if semantic_scale > 0 and guide is None:
            names = [name for name in expressions for _ in range(copies)]
            # Where units are free the guide wants those that are typical: it saturates later than the expression does.
            typical = typical_units(None, expressions, intensity)
            shown = [own or usual for own, usual in zip(units, typical, strict=True)]
            guide = ExpressionGuide(self.load_guide(), names, *self._unit_table(shown, len(prompts), copies))

        # 4. Denoise; from `semantic_start` on, correct the conditions before each step.
        self._num_timesteps = len(times)
        acting = 0 if unit_tokens is None else math.ceil(unit_start * len(times))
        begin, losses = max(acting, math.ceil(semantic_start * len(times))), []
        corrected = range(begin, len(times), semantic_every) if semantic_scale > 0 else range(0)
        with self.progress_bar(total=len(times)) as progress_bar:
            for i, t in enumerate(times):
                if self.interrupt:
                    continue
                if guide is not None and i in corrected:
                    prompt_embeds, unit_tokens, loss = self._corrected(
                        guide, latents, t, prompt_embeds, identity_tokens, unit_tokens, scale, unit_scales,
                        extra, semantic_scale, semantic_norm,
                    )  # fmt: skip
                    losses.append(loss)
                noisy = torch.cat([latents] * 2) if self.do_classifier_free_guidance else latents
                noisy = self.scheduler.scale_model_input(noisy, t)
                # A callback may end guidance on the way: the conditional half is the last.
                last = slice(-len(noisy), None)
                branch = freed(unit_tokens) if i < acting else unit_tokens
                context = attention_context(identity_tokens, branch, scale, unit_scales, last)
                predicted = self._denoised(noisy, t, prompt_embeds[last], context, extra)
                if self.do_classifier_free_guidance:
                    unconditional, conditional = predicted.chunk(2)
                    predicted = unconditional + self.guidance_scale * (conditional - unconditional)
                    if guidance_rescale > 0:
                        predicted = rescale_noise_cfg(predicted, conditional, guidance_rescale)
                latents = self.scheduler.step(predicted, t, latents, **step_kwargs, return_dict=False)[0]

                if callback_on_step_end is not None:
                    tensors = {}
                    for name in callback_on_step_end_tensor_inputs:
                        tensors[name] = locals()[name]
                    changed = callback_on_step_end(self, i, t, tensors)
                    latents = changed.pop("latents", latents)
                    prompt_embeds = changed.pop("prompt_embeds", prompt_embeds)
                    identity_tokens = changed.pop("identity_tokens", identity_tokens)
                    unit_tokens = changed.pop("unit_tokens", unit_tokens)
                progress_bar.update()

        # 5. Decode.
        images = latents
        if output_type != "latent":
            images = self.image_processor.postprocess(self.decode_latents(latents), output_type=output_type)
        self.maybe_free_model_hooks()
        found = torch.stack(losses) if losses else None
        return ExpressionOutput(images=images, guide_losses=found) if return_dict else (images,)

    def _corrected(
        self,
        guide: Guide,
        latents: torch.Tensor,
        t: torch.Tensor,
        text: torch.Tensor,
        identity_tokens: torch.Tensor,
        units: torch.Tensor | None,
        scale: torch.Tensor,
        unit_scales: torch.Tensor,
        extra: Mapping[str, Any],
        length: float,
        norm: Norm,
    ) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
        """Move the conditional half of text and unit tokens one step down the guide's loss.

        Returns:
            Text, unit tokens, and the losses (n,) before the step.
        """
        count = len(latents)
        last = slice(-count, None)
        with torch.enable_grad():
            moved = [x[last].detach().requires_grad_() for x in (text, units) if x is not None]
            noisy = self.scheduler.scale_model_input(latents, t)
            branch = moved[1] if units is not None else None
            context = attention_context(identity_tokens[last], branch, scale, unit_scales, last)
            predicted = self._denoised(noisy, t, moved[0], context, extra)
            estimate = clean_estimate(self.scheduler, predicted, noisy, t)
            loss = guide(self.decode_latents(estimate) / 2 + 0.5)
            gradients = torch.autograd.grad(loss.sum(), moved)
        steps = [descend(x.detach(), g, length, norm) for x, g in zip(moved, gradients, strict=True)]
        text = torch.cat([text[:-count], steps[0]])
        if units is not None:
            units = torch.cat([units[:-count], steps[1]])
        return text, units, loss.detach()

    def _denoised(
        self,
        noisy: torch.Tensor,
        t: torch.Tensor,
        text: torch.Tensor,
        context: IdentityContext,
        extra: Mapping[str, Any],
    ) -> torch.Tensor:
        last = slice(-len(noisy), None)
        return self.unet(
            noisy,
            t,
            text,
            cross_attention_kwargs={"ip_hidden_states": context},
            return_dict=False,
            **{name: arguments.last_rows(value, last) for name, value in extra.items()},
        )[0]

    def load_guide(self) -> torch.nn.Module:
        """Return what reads faces for semantic guidance, on the pipeline's device."""
        if self.guide_network is None:
            self.guide_network = PerceptionNet.load(weights.bundled("perception"))
        return self.guide_network.to(self._execution_device)
