"""Pictures moved a little, as tensors and differentiable: what holds for one grid of pixels alone is not learnt."""

from __future__ import annotations

import torch
from torch.nn import functional


def moved(
    pictures: torch.Tensor, mirror: torch.Tensor, *, shift: float, scale: float, rotation: float
) -> torch.Tensor:
    """Each picture under its own random similarity about the middle, mirrored where told.

    Args:
        pictures: (n, c, s, s).
        mirror: (n,) bool.
        shift: standard deviation as a share of half a frame.
        scale: standard deviation of the logarithm.
        rotation: standard deviation in radians.

    Returns:
        (n, c, s, s) float32; borders are repeated.
    """
    count, device = len(pictures), pictures.device
    factor = torch.exp(scale * torch.randn(count, device=device))
    turn = rotation * torch.randn(count, device=device)
    side = torch.where(mirror, -1.0, 1.0)
    offset = shift * torch.randn(count, 2, device=device)
    across = torch.stack([side * factor * turn.cos(), -factor * turn.sin(), offset[:, 0]], dim=1)
    down = torch.stack([side * factor * turn.sin(), factor * turn.cos(), offset[:, 1]], dim=1)
    matrices = torch.stack([across, down], dim=1)
    places = functional.affine_grid(matrices, list(pictures.shape), align_corners=False)
    return functional.grid_sample(pictures.float(), places, padding_mode="border", align_corners=False)
