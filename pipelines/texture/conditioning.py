"""What the denoiser of textures is shown beside noise: the known texels, their mirror images, and where it is.

The maps are those of a masked diffusion in texture space as in AvatarTex (arXiv:2511.06721, its completion stage); the
mirrored ones are added, because the other side of a face is the best guess of a hidden one, and the places, because
every texel of an aligned layout has a meaning of its own.
"""

from __future__ import annotations

import torch

from pipelines.pixels import fold
from pipelines.texture.layout import UVLayout

FOLD = 2
"""Side in texels of the patches that the denoiser works on."""
TEXTURE_CHANNELS = 3 * FOLD**2
"""Of a folded texture: what the denoiser is given noisy and answers with."""
_PLACES = 2
CONDITION_CHANNELS = 2 * (3 + 1) * FOLD**2 + _PLACES


def condition(
    known: torch.Tensor, weight: torch.Tensor, mean: torch.Tensor, layout: UVLayout
) -> torch.Tensor:
    """Describe a partly known texture to the denoiser.

    Channels: weight * (known - mean) and weight, both folded, the same two mirrored, then the place (u, v) in -1..1.

    Args:
        known: (n, 3, s, s) in [-1, 1]; what it holds where the weight is 0 does not matter.
        weight: (n, 1, s, s) in 0..1, 1 for known.
        mean: (3, s, s) in [-1, 1], the mean texture.
        layout: of s texels.

    Returns:
        (n, CONDITION_CHANNELS, s / FOLD, s / FOLD).

    Raises:
        LayoutMismatch: a texture of another size than the layout's.
    """
    # Not a product alone: unknown texels may hold anything, and 0 * nan is nan.
    shown = torch.where(weight > 0, weight * (known - mean), 0)
    both = torch.cat([shown, weight], dim=1)
    mirrored = layout.mirrored(both)
    parts = [fold(each, FOLD) for map_ in (both, mirrored) for each in map_.split([3, 1], dim=1)]
    return torch.cat([*parts, _places(len(known), layout.size, known)], dim=1)


def unconditional(count: int, size: int, like: torch.Tensor) -> torch.Tensor:
    """The condition of a texture of which nothing is known, (count, CONDITION_CHANNELS, size / FOLD, size / FOLD).

    What a dropped condition is in training, and what RePaint (Lugmayr et al. 2022, arXiv:2201.09865) denoises under.

    Args:
        count: n.
        size: texels of a side of the texture.
        like: of the wanted device and type.
    """
    places = _places(count, size, like)
    return torch.cat(
        [places.new_zeros(count, CONDITION_CHANNELS - _PLACES, *places.shape[2:]), places], dim=1
    )


def _places(count: int, size: int, like: torch.Tensor) -> torch.Tensor:
    """(u, v) of the middles of patches, (count, 2, size / FOLD, size / FOLD)."""
    side = size // FOLD
    along = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side * 2 - 1
    down, across = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([across, down]).expand(count, -1, -1, -1)
