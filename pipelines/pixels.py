"""Patches of pixels as channels: what a denoiser without an autoencoder works on."""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def fold_of(channels: int) -> int:
    """Side of the patches of a denoiser with that many channels.

    Raises:
        ValueError: the channels are not 3 for each pixel of a square patch.
    """
    side = math.isqrt(channels // 3)
    if 3 * side**2 != channels:
        raise ValueError(
            f"{channels} channels: a denoiser of pixels has 3, 12, 48, ... or needs an autoencoder"
        )
    return side


def fold(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """(n, 3, h, w) -> (n, 3 side^2, h / side, w / side)."""
    return functional.pixel_unshuffle(pixels, side)


def unfold(latents: torch.Tensor, side: int) -> torch.Tensor:
    """(n, 3 side^2, h, w) -> (n, 3, h side, w side)."""
    return functional.pixel_shuffle(latents, side)
