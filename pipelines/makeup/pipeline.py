"""Makeup transfer, removal and looks from colours or codes, on photographs of any size.

The method is Stable-Makeup (Zhang et al. 2024, arXiv:2403.07764): tokens of many depths of an image encoder take the
place of text in cross-attention, one ControlNet sees the face, another one its landmarks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, ControlNetModel, DiffusionPipeline, UNet2DConditionModel
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import BaseOutput
from transformers import (
    BaseImageProcessor,
    CLIPImageProcessorPil,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModel,
)

from faces.images import ImageSource
from faces.makeup import check_regions
from pipelines.frame_pipeline import FramePipeline, converted
from pipelines.makeup import looks, published
from pipelines.makeup.attention import check_text, install_makeup_attention
from pipelines.makeup.encoding import LookEncodingMixin
from pipelines.makeup.modules import MakeupAdapter, MakeupEncoder
from pipelines.makeup.regions import mask_of
from pipelines.makeup.structure import draw_structure
from pipelines.makeup.subjects import Subject, frame_subjects, open_subject
from pipelines.makeup.window import cut_out, face_corner, fade, put_back
from pipelines.pixels import fold, fold_of, unfold
from pipelines.portrait.encoder import FaceEncoder


@dataclass
class MakeupOutput(BaseOutput):
    """What `MakeupPipeline` returns."""

    images: Any
    """The photographs at their own sizes: a list of PIL images, or of arrays (h, w, 3) or tensors (3, h, w) in 0..1;
    with output_type "latent" the denoiser's tensor."""
    masks: list[np.ndarray]
    """Where each photograph may have changed, (h, w) float32 0..1; where it is 0, no byte did."""


class MakeupPipeline(LookEncodingMixin, FramePipeline):
    """Puts makeup on faces and takes it off.

    Args:
        vae: autoencoder of the denoiser's latents; None for a denoiser of pixels.
        unet: the denoiser.
        scheduler: any that `StableDiffusionPipeline` takes.
        content_controlnet: sees the face.
        structure_controlnet: sees a drawing of its landmarks.
        image_encoder: sees the reference; answers with the states of its layers.
        adapter: makes tokens of them, and holds the attention of the denoiser to them.
        feature_extractor: size, mean and deviation that the image encoder expects.
        makeup_encoder: codes of looks; None for checkpoints that have none, which take photographs alone.
        text_encoder: reads the empty text that the ControlNets of Stable Diffusion attend to; None for zeros.
        tokenizer: of the text encoder.
        frame_size: side of the canonical frame in pixels; by default what the denoiser draws. If it draws less, it
            draws a window around the face.
        predicts_change: the denoiser answers with what is to be added to the face, not with the whole picture: what
            stays is then exact, down to the lashes.
    """

    _bundled = "makeup"
    model_cpu_offload_seq = "text_encoder->image_encoder->content_controlnet->structure_controlnet->unet->vae"
    _exclude_from_cpu_offload = ["adapter", "makeup_encoder"]
    _optional_components = ["vae", "makeup_encoder", "text_encoder", "tokenizer"]
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        vae: AutoencoderKL | None,
        unet: UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        content_controlnet: ControlNetModel,
        structure_controlnet: ControlNetModel,
        image_encoder: CLIPVisionModel | FaceEncoder,
        adapter: MakeupAdapter,
        feature_extractor: BaseImageProcessor,
        makeup_encoder: MakeupEncoder | None = None,
        text_encoder: CLIPTextModel | None = None,
        tokenizer: CLIPTokenizer | None = None,
        frame_size: int | None = None,
        predicts_change: bool = False,
    ) -> None:
        super().__init__()
        if predicts_change and (vae is not None or scheduler.config.prediction_type != "sample"):
            raise ValueError("predicts_change: only for a denoiser of pixels that predicts samples")
        self.register_to_config(frame_size=frame_size, predicts_change=predicts_change)
        self.register_modules(
            vae=vae,
            unet=unet,
            scheduler=scheduler,
            content_controlnet=content_controlnet,
            structure_controlnet=structure_controlnet,
            image_encoder=image_encoder,
            adapter=adapter,
            feature_extractor=feature_extractor,
            makeup_encoder=makeup_encoder,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
        )
        install_makeup_attention(unet, adapter.attention)  # type: ignore[arg-type]
        channels = unet.config.in_channels
        self.vae_scale_factor = (
            fold_of(channels) if vae is None else 2 ** (len(vae.config.block_out_channels) - 1)
        )

    @property
    def frame_size(self) -> int:
        """Side of the canonical frame that faces are brought to, in pixels."""
        return self.config.frame_size or self.window_size

    @property
    def window_size(self) -> int:
        """Side of the part of a frame, around the face, that the model works on, in pixels."""
        return self.unet.config.sample_size * self.vae_scale_factor

    @classmethod
    def from_published(
        cls, base: str | os.PathLike, files: Any, *, allow_pickle: bool = False, **kwargs: Any
    ) -> MakeupPipeline:
        """Put the published Stable-Makeup files on top of Stable Diffusion 1.5.

        Which keys were loaded is in `load_report` of the pipeline. Its looks are photographs alone.

        Args:
            base: folder or hub id of the base model.
            files: the folder of the three files, or their paths: main, content, structure.
            allow_pickle: read .bin files, restricted to tensors.
            **kwargs: for `from_pretrained` of the base.

        Raises:
            ValueError: a file is of another kind, for another base, or not whole.
        """
        kwargs.setdefault("dtype", torch.float32)
        parts = DiffusionPipeline.from_pretrained(base, **kwargs).components
        made = published.load_published(parts["unet"], files, allow_pickle=allow_pickle)
        names = ("image_encoder", "adapter", "content_controlnet", "structure_controlnet")
        loaded = {name: getattr(made, name).to(parts["unet"].dtype) for name in names}
        side = made.image_encoder.config.image_size
        processor = CLIPImageProcessorPil(
            size={"shortest_edge": side}, crop_size={"height": side, "width": side}
        )
        kept = {name: parts[name] for name in ("vae", "unet", "scheduler", "text_encoder", "tokenizer")}
        pipe = cls(**kept, **loaded, feature_extractor=processor)
        pipe.load_report = made.reports
        return pipe

    def prepare_latents(
        self,
        count: int,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Draw the initial noise, or take the caller's, at the level that the scheduler starts from."""
        side = self.unet.config.sample_size
        return self._initial_latents((count, self.unet.config.in_channels, side, side), generator, latents)

    def empty_text(self, count: int) -> torch.Tensor:
        """What the ControlNets attend to beside pictures: the empty text, or zeros without a text encoder."""
        device, dtype = self._execution_device, self.unet.dtype
        if self.text_encoder is None or self.tokenizer is None:
            return torch.zeros(count, 1, self.unet.config.cross_attention_dim, device=device, dtype=dtype)
        length = self.tokenizer.model_max_length
        ids = self.tokenizer("", padding="max_length", max_length=length, return_tensors="pt").input_ids
        states = self.text_encoder(ids.to(device)).last_hidden_state
        return states.to(dtype).expand(count, -1, -1)

    def decode_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Turn latents into windows (n, 3, w, w) in [-1, 1]."""
        if self.vae is None:
            return unfold(latents, self.vae_scale_factor)
        latents = latents / self.vae.config.scaling_factor
        return self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]

    def controls(
        self,
        noisy: torch.Tensor,
        t: torch.Tensor,
        text: torch.Tensor,
        face: torch.Tensor,
        drawing: torch.Tensor,
    ) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Sum of what the two ControlNets add to the denoiser; it does not depend on the makeup."""
        for controlnet in (self.content_controlnet, self.structure_controlnet):
            check_text(controlnet, text)
        first, first_mid = self.content_controlnet(noisy, t, text, face, return_dict=False)
        second, second_mid = self.structure_controlnet(noisy, t, text, drawing, return_dict=False)
        return [a + b for a, b in zip(first, second, strict=True)], first_mid + second_mid

    @torch.no_grad()
    def __call__(
        self,
        image: ImageSource | Sequence[ImageSource],
        makeup: looks.Makeup | Sequence[Any] | None = None,
        region: str | Sequence[str] | None = None,
        strength: float | Sequence[float] = 1.0,
        num_inference_steps: int = 8,
        num_images_per_prompt: int = 1,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        aligned: bool = False,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> MakeupOutput | tuple:
        """Put makeup on faces, or take it off.

        Args:
            image: the photograph whose largest face is made up, or a list of them.
            makeup: what it shall wear: a photograph of anybody who wears it, a `MakeupLook` of colours (`BARE` takes
                all makeup off), a code of `encode_look`, a `Blend` of these, or a list with one for each face.
            region: "lips", "eyes", "skin", or several; None for all. The rest keeps its bytes.
            strength: 0 gives the photograph back as it is, 1 the look, up to 2 more of it; or one a face.
            num_inference_steps: steps of the scheduler.
            num_images_per_prompt: pictures of each face.
            eta: of DDIM.
            generator: one, or one a picture.
            latents: initial noise (pictures, channels, s, s) instead of the generator's.
            aligned: photographs are canonical frames already, (S, S, 3) uint8 of `frame_size`.
            output_type: "pil", "np", "pt" or "latent".
            return_dict: a `MakeupOutput` instead of a tuple.
            callback_on_step_end: called with (pipeline, step, timestep, tensors) after each step; may change tensors.
            callback_on_step_end_tensor_inputs: "latents".

        Raises:
            NoFaceFound: a photograph shows no face; ImageError: it cannot be used; ValueError: other arguments that
                do not fit.

        Examples:
            >>> pipe = MakeupPipeline.from_pretrained("mini")
            >>> pipe("face.jpg", "reference.jpg").images[0]
            >>> pipe("face.jpg", MakeupLook.of(lips="#b0203a"), region="lips", strength=0.6).images[0]
        """
        if isinstance(callback_on_step_end, PipelineCallback | MultiPipelineCallbacks):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        self._check_call(output_type, callback_on_step_end_tensor_inputs)
        regions = check_regions(region)
        self._interrupt = False

        # 1. Find the faces, and give each its look.
        images = list(image) if isinstance(image, list | tuple) else [image]
        wanted, strengths = looks.as_list(makeup, len(images)), looks.strengths(strength, len(images))
        subjects = self._subjects(images, aligned)
        copies = num_images_per_prompt
        subjects, wanted, strengths = (
            [one for one in rows for _ in range(copies)] for rows in (subjects, wanted, strengths)
        )

        # 2. Ask for the looks, and show the ControlNets the faces and their landmarks.
        questions, weights = self.prepare_conditions(wanted, strengths, aligned)
        faces, drawings = self.prepare_pictures(subjects)
        text = self.empty_text(len(subjects))

        # 3. Denoise.
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        latents = self.prepare_latents(len(subjects), generator, latents)
        kept = fold(faces * 2 - 1, self.vae_scale_factor) if self.config.predicts_change else latents * 0
        step_kwargs = self._step_kwargs(eta, generator)
        times = self.scheduler.timesteps
        self._num_timesteps = len(times)
        with self.progress_bar(total=num_inference_steps) as progress_bar:
            for i, t in enumerate(times):
                if self.interrupt:
                    continue
                noisy = self.scheduler.scale_model_input(latents, t)
                down, middle = self.controls(noisy, t, text, faces, drawings)
                predicted = kept.clone()
                for (tokens, mask), weight in zip(questions, weights, strict=True):
                    answer = self.unet(
                        noisy,
                        t,
                        tokens,
                        encoder_attention_mask=mask,
                        down_block_additional_residuals=down,
                        mid_block_additional_residual=middle,
                        return_dict=False,
                    )[0]
                    predicted = predicted + weight.to(answer).view(-1, 1, 1, 1) * answer
                latents = self.scheduler.step(predicted, t, latents, **step_kwargs, return_dict=False)[0]
                latents = self._called_back(
                    callback_on_step_end, callback_on_step_end_tensor_inputs, i, t, latents
                )
                if (i + 1) % self.scheduler.order == 0:
                    progress_bar.update()

        # 4. Bring what changed back into the photographs.
        output: Any = latents
        masks = [mask_of(subject.masks, regions) for subject in subjects]
        if output_type != "latent":
            output, masks = self._pasted(subjects, latents, masks, strengths, output_type)
        self.maybe_free_model_hooks()
        return MakeupOutput(images=output, masks=masks) if return_dict else (output, masks)

    def prepare_pictures(self, subjects: Sequence[Subject]) -> tuple[torch.Tensor, torch.Tensor]:
        """Windows of the frames, and of drawings of their landmarks, (n, 3, w, w) in [0, 1] each."""
        device, dtype = self._execution_device, self.unet.dtype
        frames = np.stack([subject.frame for subject in subjects])
        drawings = np.stack([draw_structure(subject.landmarks, self.frame_size) for subject in subjects])
        corners = torch.from_numpy(np.stack([self._corner(subject) for subject in subjects])).to(device)
        faces, structure = (
            cut_out(torch.from_numpy(rows).movedim(-1, 1).to(device, dtype) / 255, corners, self.window_size)
            for rows in (frames, drawings)
        )
        return faces, structure

    def _corner(self, subject: Subject) -> np.ndarray:
        return face_corner(subject.landmarks, self.frame_size, self.window_size)

    def _subjects(self, images: Sequence[ImageSource], aligned: bool) -> list[Subject]:
        if not images:
            raise ValueError("image: an empty list; give at least one photograph")
        if not aligned:
            return [open_subject(image, self.analyzer) for image in images]
        frames = np.stack([np.asarray(image) for image in images])
        if frames.shape[1:] != (self.frame_size, self.frame_size, 3):
            raise ValueError(f"image: frames {frames.shape[1:]}, the model takes {self.frame_size} px")
        return frame_subjects(frames, self.analyzer)

    def _pasted(
        self,
        subjects: Sequence[Subject],
        latents: torch.Tensor,
        masks: Sequence[np.ndarray],
        strengths: Sequence[float],
        output_type: str,
    ) -> tuple[list[Any], list[np.ndarray]]:
        """Photographs with what changed, and their masks."""
        windows = (self.decode_latents(latents).float() / 2 + 0.5).clamp(0, 1).movedim(1, -1).cpu().numpy()
        pictures, changed = [], []
        for subject, window, mask, strength in zip(subjects, windows, masks, strengths, strict=True):
            corner = self._corner(subject)
            frame = put_back(subject.frame.astype(np.float32) / 255, window, corner)
            counts = fade(self.frame_size, self.window_size, corner) * (strength > 0)
            picture, where = subject.paste(frame, mask * counts)
            pictures.append(converted(picture, output_type))
            changed.append(where)
        return pictures, changed
