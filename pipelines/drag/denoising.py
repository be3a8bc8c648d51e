"""How the drag pipeline's denoiser is asked: what it is shown of a picture and a flow, and the loop over noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from torch.nn import functional

from pipelines.drag.guidance import Branch, branch_weights, combine
from pipelines.drag.sparse_map import published_latent_flow
from pipelines.drag.warping import resize_flow, splat
from pipelines.pixels import fold, unfold


class FlowDenoisingMixin:
    """Draws frames that a flow asks for; the parts are those of `DragPipeline`."""

    vae: Any
    unet: Any
    scheduler: Any
    null_text: Any
    vae_scale_factor: int
    sees_moved: bool
    frame_size: int
    interrupt: bool
    progress_bar: Any
    _execution_device: torch.device
    _step_kwargs: Any
    _initial_latents: Any
    _called_back: Any
    _num_timesteps: int
    _interrupt: bool

    @torch.no_grad()
    def edit_with_flow(
        self,
        frames: torch.Tensor,
        flow: torch.Tensor,
        *,
        image_guidance_scale: float = 1.0,
        flow_guidance_scale: float = 1.0,
        num_inference_steps: int = 8,
        generator: torch.Generator | list[torch.Generator] | None = None,
    ) -> torch.Tensor:
        """Draw the frames that a flow asks for.

        Args:
            frames: (n, 3, S, S) in [-1, 1].
            flow: (n, 2, h, w) in pixels of its own grid.
            image_guidance_scale: above 1, closer to the picture.
            flow_guidance_scale: above 1, more of the flow.
            num_inference_steps: of the scheduler.
            generator: one, or one a frame.

        Returns:
            (n, 3, S, S) in [-1, 1]; nothing is composited.
        """
        flow = resize_flow(flow.to(frames), (self.frame_size, self.frame_size))
        weights = branch_weights(image_guidance_scale, flow_guidance_scale)
        self._interrupt = False
        latents = self.denoise(
            frames, flow, weights, num_inference_steps=num_inference_steps, generator=generator
        )
        return self._decoded(latents)

    def denoise(
        self,
        frames: torch.Tensor,
        flow: torch.Tensor,
        weights: dict[Branch, float],
        *,
        num_inference_steps: int,
        eta: float = 0.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: Any = None,
        callback: Callable | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_inputs: Sequence[str] = ("latents",),
    ) -> torch.Tensor:
        """Run the scheduler; flow is (n, 2, S, S). Returns latents."""
        conditions = {branch: self.conditions(frames, flow, branch) for branch in weights}
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        side = self.unet.config.sample_size
        noise = (len(frames), self.unet.config.out_channels, side, side)
        latents = self._initial_latents(noise, generator, latents)
        step_kwargs = self._step_kwargs(eta, generator)
        times = self.scheduler.timesteps
        self._num_timesteps = len(times)
        with self.progress_bar(total=num_inference_steps) as progress_bar:
            for i, t in enumerate(times):
                if self.interrupt:
                    continue
                noisy = self.scheduler.scale_model_input(latents, t)
                answers = {branch: self._answer(noisy, t, given) for branch, given in conditions.items()}
                predicted = combine(answers, weights)
                latents = self.scheduler.step(predicted, t, latents, **step_kwargs, return_dict=False)[0]
                latents = self._called_back(callback, callback_inputs, i, t, latents)
                if (i + 1) % self.scheduler.order == 0:
                    progress_bar.update()
        return latents

    def conditions(self, frames: torch.Tensor, flow: torch.Tensor, branch: Branch) -> torch.Tensor:
        """What the denoiser is shown beside noise in a branch of the guidance, (n, c, h, w)."""
        flow = flow if branch == "flow" else torch.zeros_like(flow)
        side, dtype = self.unet.config.sample_size, self.unet.dtype
        shown = shown_beside_noise(frames, flow, side, self.encode, self.sees_moved).to(dtype)
        return torch.zeros_like(shown) if branch == "none" else shown

    def encode(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (n, 3, S, S) in [-1, 1] as the denoiser is shown them: the autoencoder's mode, not scaled."""
        if self.vae is None:
            return fold(frames, self.vae_scale_factor)
        return self.vae.encode(frames.to(self.vae.dtype)).latent_dist.mode()

    def _answer(self, noisy: torch.Tensor, t: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        sample = torch.cat([noisy, shown.to(noisy)], dim=1)
        if self.null_text is None:
            return self.unet(sample, t, return_dict=False)[0]
        return self.unet(sample, t, self.null_text(len(sample)).to(sample), return_dict=False)[0]

    def decode_latents(self, latents: torch.Tensor) -> np.ndarray:
        """Turn latents into frames (n, S, S, 3) float32 in 0..1."""
        return as_pictures(self._decoded(latents))

    def _decoded(self, latents: torch.Tensor) -> torch.Tensor:
        if self.vae is None:
            return unfold(latents, self.vae_scale_factor)
        latents = latents / self.vae.config.scaling_factor
        return self.vae.decode(latents.to(self.vae.dtype), return_dict=False)[0]


def shown_beside_noise(
    frames: torch.Tensor,
    flow: torch.Tensor,
    side: int,
    encode: Callable[[torch.Tensor], torch.Tensor],
    sees_moved: bool,
) -> torch.Tensor:
    """The picture and the flow, and where a denoiser sees them the moved picture and its holes.

    Args:
        frames: (n, 3, S, S) in [-1, 1].
        flow: (n, 2, S, S) in pixels.
        side: of the denoiser's grid.
        encode: from frames to that grid.
        sees_moved: whether it sees the last two.

    Returns:
        (n, c, side, side).
    """
    parts = [encode(frames), published_latent_flow(flow, side)]
    if sees_moved:
        moved, holes = splat(frames, flow)
        parts += [encode(moved), functional.interpolate(holes, size=(side, side), mode="area")]
    return torch.cat(parts, dim=1)


def as_pictures(frames: torch.Tensor) -> np.ndarray:
    """Frames (n, 3, S, S) in [-1, 1] -> (n, S, S, 3) float32 in 0..1."""
    return (frames.float() / 2 + 0.5).clamp(0, 1).movedim(1, -1).cpu().numpy()
