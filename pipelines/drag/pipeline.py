"""Drag editing without optimisation: points of a face move where they are dragged, and the face follows.

The method is InstantDrag (Shin et al. 2024, arXiv:2409.08857): one network completes drags to a dense flow, a denoiser
draws the picture that the flow asks for. Two things are added: pins, and a denoiser that is shown where the flow
carries the picture's own pixels and which places nothing is carried to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel, UNet2DModel
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.schedulers import KarrasDiffusionSchedulers
from diffusers.utils import BaseOutput
from torch.nn import functional
from transformers import CLIPTextModel, CLIPTokenizer

from faces.images import ImageSource
from pipelines.drag import published
from pipelines.drag.canvas import Canvas, open_canvas
from pipelines.drag.denoising import FlowDenoisingMixin, as_pictures
from pipelines.drag.drags import Coordinates, Drags
from pipelines.drag.flow_generator import FlowGenerator
from pipelines.drag.guidance import branch_weights
from pipelines.drag.null_text import NullText
from pipelines.drag.requests import Requests, frame_canvas, read_requests
from pipelines.drag.sparse_map import VECTOR_SCALE, published_flow, published_map, splat_map
from pipelines.drag.warping import resize_flow, splat
from pipelines.frame_pipeline import FramePipeline, converted
from pipelines.pixels import fold_of

DRAWINGS = ("splats", "published")
"""How drags are drawn for the flow generator: see `pipelines.drag.sparse_map`."""


@dataclass
class DragOutput(BaseOutput):
    """What `DragPipeline` returns."""

    images: Any
    """The photographs at their own sizes: a list of PIL images, or of arrays (h, w, 3) or tensors (3, h, w) in 0..1;
    with output_type "latent" the denoiser's tensor."""
    flow: torch.Tensor
    """(n, 2, S, S), (dx, dy) in pixels of the frames."""
    residual: list[np.ndarray]
    """How far the flow leaves each dragged point from its target, (k,) pixels of the frame for each picture."""
    masks: list[np.ndarray]
    """Where each photograph may have changed, (h, w) float32 0..1; where it is 0, no byte did."""
    matrices: list[np.ndarray | None]
    """From pixels of each photograph to pixels of its frame, (2, 3); None where the photograph is the frame."""


class DragPipeline(FlowDenoisingMixin, FramePipeline):
    """Moves points of faces.

    Args:
        flow_generator: completes drags to a flow.
        unet: the denoiser. Beside noise it takes the picture and the flow, or also the picture moved by the flow and
            its holes; which of both, its channels tell.
        scheduler: any that `StableDiffusionPipeline` takes.
        vae: autoencoder of the denoiser's latents; None for a denoiser of pixels.
        null_text: for a denoiser that attends to text; None for one that does not.
        drawing: how drags are drawn for the flow generator, out of `DRAWINGS`.
    """

    _bundled = "drag"
    model_cpu_offload_seq = "flow_generator->null_text->unet->vae"
    _optional_components = ["vae", "null_text"]
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        flow_generator: FlowGenerator,
        unet: UNet2DModel | UNet2DConditionModel,
        scheduler: KarrasDiffusionSchedulers,
        vae: AutoencoderKL | None = None,
        null_text: NullText | None = None,
        drawing: str = "splats",
    ) -> None:
        super().__init__()
        if drawing not in DRAWINGS:
            raise ValueError(f"drawing {drawing!r}: expected one of {', '.join(DRAWINGS)}")
        self.register_to_config(drawing=drawing)
        self.register_modules(
            flow_generator=flow_generator, unet=unet, scheduler=scheduler, vae=vae, null_text=null_text
        )
        channels = unet.config.out_channels
        self.vae_scale_factor = (
            fold_of(channels) if vae is None else 2 ** (len(vae.config.block_out_channels) - 1)
        )
        known = {2 * channels + 2: False, 3 * channels + 3: True}
        if unet.config.in_channels not in known:
            raise ValueError(
                f"unet: takes {unet.config.in_channels} channels, expected {' or '.join(map(str, known))}: noise, "
                "picture and flow, or the moved picture and its holes as well"
            )
        self.sees_moved = known[unet.config.in_channels]

    @property
    def frame_size(self) -> int:
        """Side of the square that the model works on, in pixels."""
        return self.unet.config.sample_size * self.vae_scale_factor

    @classmethod
    def from_published(
        cls, base: str | os.PathLike | None, files: Any, *, flow_generator: str = "", **kwargs: Any
    ) -> DragPipeline:
        """Load InstantDrag from the folder that its authors published.

        Args:
            base: Stable Diffusion 1.5, for the empty text where the folder has none as .safetensors; else None.
            files: the folder.
            flow_generator: a part of the name of the FlowGen file that is meant.
            **kwargs: `dtype` of denoiser and autoencoder.

        Raises:
            OSError: a part is missing.
            ValueError: a part is of another kind, or not whole.
        """
        texts: dict[str, Any] = {} if base is None else {
            "text_encoder": CLIPTextModel.from_pretrained(base, subfolder="text_encoder"),
            "tokenizer": CLIPTokenizer.from_pretrained(base, subfolder="tokenizer"),
        }  # fmt: skip
        made = published.load_published(files, flow_generator=flow_generator, **texts, **kwargs)
        pipe = cls(
            flow_generator=made.flow_generator,
            unet=made.unet,
            scheduler=made.scheduler,
            vae=made.vae,
            null_text=NullText.of(made.null_text).to(made.unet.dtype),
            drawing="published",
        )
        pipe.load_reports = made.reports
        return pipe

    @torch.no_grad()
    def __call__(
        self,
        image: ImageSource | Sequence[ImageSource],
        drags: Sequence[Any] = (),
        pins: Sequence[Any] = (),
        mask: np.ndarray | Sequence[np.ndarray | None] | None = None,
        *,
        coordinates: Coordinates = "pixel",
        flow: torch.Tensor | None = None,
        flow_multiplier: float | None = None,
        image_guidance_scale: float = 1.0,
        flow_guidance_scale: float = 1.0,
        num_inference_steps: int = 8,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        aligned: bool = False,
        output_type: Literal["pil", "np", "pt", "latent"] = "pil",
        return_dict: bool = True,
        callback_on_step_end: Callable | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> DragOutput | tuple:
        """Edit photographs.

        Args:
            image: a photograph, or a list of them; the largest face of each, else its middle square, is edited.
            drags: ((x0, y0), (x1, y1)) for each drag, or points in turn; for a list of photographs a list of such.
            pins: points (x, y) that stay; for a list of photographs a list of such.
            mask: (h, w) bool, what may change at all; a list for several photographs.
            coordinates: "pixel" of the photograph, or "normalized" to 0..1.
            flow: (n, 2, h, w) in pixels of its own grid over the frames, instead of what drags give.
            flow_multiplier: of a published flow generator's answer, see `published_flow`.
            image_guidance_scale: above 1, closer to the picture.
            flow_guidance_scale: above 1, more of the flow.
            num_inference_steps: of the scheduler.
            eta: of schedulers that take it.
            generator: one, or one a photograph.
            latents: the noise, instead of drawing it.
            aligned: photographs are frames already, (S, S, 3) uint8 of `frame_size`; drags are in their pixels.
            output_type: "pil", "np", "pt" or "latent".
            return_dict: `DragOutput` instead of a tuple.
            callback_on_step_end: as everywhere in diffusers.
            callback_on_step_end_tensor_inputs: of `latents`.

        Raises:
            ImageError: a photograph cannot be used.
            ValueError: drags, pins, mask, scales, latents or generators that do not fit.

        Examples:
            >>> pipe = DragPipeline.from_pretrained("mini")
            >>> pipe("face.jpg", [((310, 420), (310, 450))], pins=[(250, 200)]).images[0]
        """
        if isinstance(callback_on_step_end, PipelineCallback | MultiPipelineCallbacks):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        self._check_call(output_type, callback_on_step_end_tensor_inputs)
        weights = branch_weights(image_guidance_scale, flow_guidance_scale)
        self._interrupt = False

        # 1. Open the photographs, and bring drags to their frames.
        asked = self._requests(image, drags, pins, mask, coordinates, aligned, flow is not None)

        # 2. Complete them to a flow.
        frames = self.prepare_frames(asked.canvases)
        if flow is None:
            flow = self.predict_flow(frames, asked.drags, multiplier=flow_multiplier)
        flow = resize_flow(flow.to(frames), (self.frame_size, self.frame_size))

        # 3. Draw what it asks for.
        latents = self.denoise(
            frames,
            flow,
            weights,
            num_inference_steps=num_inference_steps,
            eta=eta,
            generator=generator,
            latents=latents,
            callback=callback_on_step_end,
            callback_inputs=callback_on_step_end_tensor_inputs,
        )

        # 4. Bring it back into the photographs.
        if output_type == "latent":
            pictures, changed = latents, []
        else:
            pictures, changed = self._pasted(asked, self.decode_latents(latents), flow, output_type)
        self.maybe_free_model_hooks()
        residual = [_residual(one, drags) for one, drags in zip(flow, asked.drags, strict=False)]
        made = DragOutput(
            images=pictures,
            flow=flow,
            residual=residual,
            masks=changed,
            matrices=[canvas.matrix for canvas in asked.canvases],
        )
        return made if return_dict else made.to_tuple()

    @torch.no_grad()
    def preview(
        self,
        image: ImageSource | Sequence[ImageSource],
        drags: Sequence[Any] = (),
        pins: Sequence[Any] = (),
        mask: np.ndarray | Sequence[np.ndarray | None] | None = None,
        *,
        coordinates: Coordinates = "pixel",
        aligned: bool = False,
        output_type: Literal["pil", "np", "pt"] = "pil",
    ) -> DragOutput:
        """Move the pixels of photographs by the predicted flow, without the denoiser; arguments as of the call.

        Holes, which nothing is moved to, show what was there before.
        """
        asked = self._requests(image, drags, pins, mask, coordinates, aligned)
        frames = self.prepare_frames(asked.canvases)
        flow = resize_flow(self.predict_flow(frames, asked.drags), (self.frame_size, self.frame_size))
        moved, holes = splat(frames, flow)
        pictures, changed = self._pasted(
            asked, as_pictures(torch.where(holes < 1, moved, frames)), flow, output_type
        )
        residual = [_residual(one, drags) for one, drags in zip(flow, asked.drags, strict=True)]
        return DragOutput(
            images=pictures,
            flow=flow,
            residual=residual,
            masks=changed,
            matrices=[canvas.matrix for canvas in asked.canvases],
        )

    def prepare_frames(self, canvases: Sequence[Canvas]) -> torch.Tensor:
        """Frames (n, 3, S, S) in [-1, 1]."""
        frames = torch.from_numpy(np.stack([canvas.frame for canvas in canvases])).movedim(-1, 1)
        return frames.to(self._execution_device, torch.float32) / 127.5 - 1

    @torch.no_grad()
    def predict_flow(
        self, frames: torch.Tensor, drags: Sequence[Drags], *, multiplier: float | None = None
    ) -> torch.Tensor:
        """Complete drags to a dense flow.

        Args:
            frames: (n, 3, S, S) in [-1, 1].
            drags: of each frame, in its pixels.
            multiplier: see `published_flow`; without meaning where drags are drawn as splats.

        Returns:
            (n, 2, g, g), (dx, dy) in pixels of its own grid, which is as wide as the generator's samples.
        """
        size = self.flow_generator.config.sample_size
        dtype = self.flow_generator.dtype
        if self.config.drawing == "published":
            maps, factors = published_map(drags, size)
            pictures = functional.interpolate(frames, size=(size, size), mode="bicubic", align_corners=False)
            answer = self.flow_generator(torch.cat([pictures, maps.to(frames)], dim=1).to(dtype))
            return published_flow(answer.float(), factors.to(frames), multiplier)
        pictures = functional.interpolate(frames, size=(size, size), mode="area")
        answer = self.flow_generator(
            torch.cat([pictures, splat_map(drags, size).to(frames)], dim=1).to(dtype)
        )
        return answer.float() * (size / VECTOR_SCALE)

    def _requests(
        self,
        image: Any,
        drags: Sequence[Any],
        pins: Sequence[Any],
        mask: Any,
        coordinates: Coordinates,
        aligned: bool,
        has_flow: bool = False,
    ) -> Requests:
        def opened(source: ImageSource) -> Canvas:
            if aligned:
                return frame_canvas(source, self.frame_size)
            return open_canvas(source, self.analyzer, self.frame_size)

        return read_requests(
            image, drags, pins, mask, opened=opened, coordinates=coordinates, has_flow=has_flow
        )

    def _pasted(
        self, asked: Requests, edited: np.ndarray, flow: torch.Tensor, output_type: str
    ) -> tuple[list[Any], list[np.ndarray]]:
        """Photographs with what changed, and their masks."""
        pasted = [
            canvas.paste(frame, one, mask)
            for canvas, frame, one, mask in zip(asked.canvases, edited, flow, asked.masks, strict=True)
        ]
        return [converted(picture, output_type) for picture, _ in pasted], [where for _, where in pasted]


def _residual(flow: torch.Tensor, drags: Drags) -> np.ndarray:
    """Distance of each target from where a flow (2, S, S) takes its source, (k,) pixels."""
    places = torch.from_numpy(drags.sources).to(flow) / flow.shape[-1] * 2 - 1
    carried = functional.grid_sample(
        flow[None], places[None, None], padding_mode="border", align_corners=False
    )
    return np.linalg.norm(carried[0, :, 0].T.cpu().numpy() - drags.vectors, axis=1)
