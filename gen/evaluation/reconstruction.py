"""How well the autoencoder rebuilds held-out renders."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import torch

from gen.evaluation.bars import Bar
from gen.evaluation.image_quality import psnr, ssim
from gen.evaluation.intervals import mean_interval

PSNR, SSIM = 30.0, 0.92
_BATCH = 16
_GRID = 16
"""Side of the latent grid: the control keeps as many pixels as the latent has places."""


@torch.inference_mode()
def reconstruct(vae: Any, images: np.ndarray) -> np.ndarray:
    """Encode to the mean and decode images (n, h, w, 3) uint8; returns the same shape and type."""
    reference = next(vae.parameters())
    decoded = []
    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(images[start : start + _BATCH]).permute(0, 3, 1, 2)
        latents = vae.encode((batch.float() / 127.5 - 1).to(reference)).latent_dist.mode()
        pixels = vae.decode(latents).sample.float().clamp(-1, 1).cpu()
        decoded.append(((pixels + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(decoded)


def measure(vae: Any, images: np.ndarray, identities: np.ndarray) -> list[Bar]:
    """PSNR and SSIM, averaged over images; the control shrinks to the latent grid and enlarges again."""
    rebuilt = reconstruct(vae, images)
    blurred = np.stack([_shrunk(image) for image in images])
    lines = []
    for name, metric, bar in (("PSNR, dB", psnr, PSNR), ("SSIM", ssim, SSIM)):
        values = np.array([metric(*pair) for pair in zip(rebuilt, images, strict=True)])
        control = float(np.mean([metric(*pair) for pair in zip(blurred, images, strict=True)]))
        lines.append(
            Bar(
                name=f"autoencoder {name}",
                value=float(values.mean()),
                bar=bar,
                direction=">=",
                n=len(np.unique(identities)),
                ci95=mean_interval(values, identities),
                control=control,
            )
        )
    return lines


def _shrunk(image: np.ndarray) -> np.ndarray:
    small = cv2.resize(image, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_CUBIC)
