"""The layout of a face as noise that leads back to it: deterministic inversion of the denoiser."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import DDIMInverseScheduler

from faces.networks import network_input
from pipelines.portrait import arguments
from pipelines.portrait.attention import IdentityContext


class LayoutInversionMixin:
    """Inverts pictures for a pipeline that has `_denoised`, `encode_conditions`, `nobody`, and the parts they use."""

    unet: Any
    vae: Any
    scheduler: Any
    encode_conditions: Any
    nobody: Any
    _denoised: Any
    _execution_device: Any

    @torch.no_grad()
    def invert(
        self, images: np.ndarray, num_inference_steps: int = 20, share: float = 0.7
    ) -> tuple[torch.Tensor, int]:
        """Noise that leads back to faces: their layout without their look (DDIM, Song et al. 2021, section 4.3).

        Args:
            images: (n, S, S, 3) uint8 canonical frames of the denoiser's size.
            num_inference_steps: of the drawing that will start from it.
            share: of these steps that are inverted; more leaves less of the face.

        Returns:
            Latents (n, C, h, w), and the step of the schedule that they belong to.
        """
        latents = self.encode_latents(network_input(torch.from_numpy(np.ascontiguousarray(images))))
        inverse = DDIMInverseScheduler.from_config(self.scheduler.config)
        inverse.set_timesteps(num_inference_steps)
        steps = min(num_inference_steps, max(1, round(share * num_inference_steps)))
        people = self.nobody(len(images))
        _, text, tokens, pooled = self.encode_conditions([""] * len(images), None, people)
        size = (images.shape[1], images.shape[2])
        extra = arguments.added_conditions(self.unet, pooled, size, len(images), 1.0, latents.device)
        for t in inverse.timesteps[:steps]:
            predicted = self._denoised(latents, t, text.to(latents), IdentityContext(tokens), extra)
            latents = inverse.step(predicted, t, latents).prev_sample
        return latents, num_inference_steps - steps

    def encode_latents(self, pictures: torch.Tensor) -> torch.Tensor:
        """Latents of pictures (n, 3, h, w) in [-1, 1], as the denoiser sees them; the inverse of `decode_latents`."""
        pictures = pictures.to(self._execution_device, self.unet.dtype)
        if self.vae is None:
            return pictures
        latents = self.vae.encode(pictures.to(self.vae.dtype)).latent_dist.mode().to(self.unet.dtype)
        mean, std = (self.vae.config.get(name) for name in ("latents_mean", "latents_std"))
        if mean is not None and std is not None:
            mean, std = (torch.tensor(x).view(1, -1, 1, 1).to(latents) for x in (mean, std))
            return (latents - mean) / std
        shift = self.vae.config.get("shift_factor") or 0.0
        return (latents - shift) * self.vae.config.scaling_factor
