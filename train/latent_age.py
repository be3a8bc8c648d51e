"""A critic for training only: how old a portrait looks, read off its latents."""

from __future__ import annotations

import torch
from torch import nn

from faces import captions, vocabulary
from faces.networks import FaceNetwork

INSIDE = 3.0
"""Years that a portrait is wanted inside its band: on its border one looks older or younger, or not yet adult."""


class LatentAge(FaceNetwork):
    """Years of the person that latents (n, channels, 16, 16) show.

    Args:
        channels: of the latents.
        width: at 16x16; twice as much at 8x8, four times at 4x4.
    """

    def __init__(self, channels: int, width: int = 48) -> None:
        super().__init__(channels=channels, width=width)
        wide, wider = 2 * width, 4 * width
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.Conv2d(width, wide, 3, 2, 1), _Residual(wide), _Residual(wide),
            nn.Conv2d(wide, wider, 3, 2, 1), _Residual(wider), _Residual(wider),
        )  # fmt: skip
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(wider, 1))

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        """(n, channels, h, w) of unit variance -> (n,) years."""
        pooled = self.body(latents).mean(dim=(2, 3))
        return self.head(pooled).squeeze(-1) * 20 + 45

    def decades_outside(self, latents: torch.Tensor, ranges: torch.Tensor) -> torch.Tensor:
        """How far what is seen lies outside ranges (n, 2) of years, in decades; 0 inside: (n,)."""
        years = self(latents)
        return ((ranges[:, 0] - years).clamp(min=0) + (years - ranges[:, 1]).clamp(min=0)) / 10


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
            nn.GroupNorm(8, width), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.body(x)


def wanted_years(text: str) -> tuple[float, float]:
    """Years that a text asks for, `INSIDE` from the ends of its band; all ages where it names none."""
    band = captions.stated_age_band(text)
    if band is None:
        return 0.0, 200.0
    low, high = vocabulary.AGE_BANDS[band]
    return low + INSIDE, high + 1 - INSIDE
