"""What a texture is guessed to be without a denoiser: the baselines that a completed texture is measured against."""

from __future__ import annotations

import torch

from pipelines.texture.layout import UVLayout

SEEN = 0.1
"""Weight from which on a texel, or its mirror image, counts as seen where results are measured."""
_FEWEST = 64
"""Texels of a region below which a texture has no PSNR there: it would be that of a few."""


def fitted_mean(mean: torch.Tensor, known: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Stretch and shift each channel of the mean texture to what is seen of textures, (n, 3, s, s).

    Args:
        mean: (3, s, s).
        known: (n, 3, s, s).
        weight: (n, 1, s, s) in 0..1.
    """
    total = weight.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
    x, y = ((weight * part).sum(dim=(2, 3), keepdim=True) / total for part in (mean, known))
    spread = (weight * (mean - x).square()).sum(dim=(2, 3), keepdim=True)
    slope = (weight * (mean - x) * (known - y)).sum(dim=(2, 3), keepdim=True) / spread.clamp(min=1e-6)
    return slope * (mean - x) + y


def mirrored(
    known: torch.Tensor, weight: torch.Tensor, otherwise: torch.Tensor, layout: UVLayout
) -> torch.Tensor:
    """The mirror image of textures where it is seen, else another guess.

    Args:
        known: (n, 3, s, s), 0 where nothing is known.
        weight: (n, 1, s, s) in 0..1.
        otherwise: (n, 3, s, s).
        layout: of s texels.
    """
    other = layout.mirrored(torch.cat([known * weight, weight], dim=1))
    return torch.where(other[:, 3:] >= SEEN, other[:, :3] / other[:, 3:].clamp(min=1e-6), otherwise)


def regions(weight: torch.Tensor, layout: UVLayout) -> dict[str, torch.Tensor]:
    """Hidden texels (n, 1, s, s) bool: "unseen" all, "mirrored" those whose mirror image is seen, "never" the rest.

    Args:
        weight: (n, 1, s, s) in 0..1.
        layout: of s texels.
    """
    hidden = (weight < SEEN) & torch.from_numpy(layout.valid).to(weight.device)
    twin = layout.mirrored(weight) >= SEEN
    return {"unseen": hidden, "mirrored": hidden & twin, "never": hidden & ~twin}


def region_psnr(guess: torch.Tensor, truth: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """PSNR in dB of each texture within a region, (n,); nan for a texture that has too little of it.

    Args:
        guess: (n, 3, s, s) in [-1, 1], clipped to it.
        truth: likewise.
        inside: (n, 1, s, s) bool.
    """
    count = inside.sum(dim=(1, 2, 3))
    squared = (guess.clamp(-1, 1) - truth).square().mean(dim=1, keepdim=True) / 4
    error = (squared * inside).sum(dim=(1, 2, 3)) / count.clamp(min=1)
    return torch.where(count >= _FEWEST, -10 * error.clamp(min=1e-10).log10(), torch.nan)
