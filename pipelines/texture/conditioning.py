"""What the denoiser of textures is shown beside noise: the known texels, their mirror images, and where it is.

The maps are those of a masked diffusion in texture space as in AvatarTex (arXiv:2511.06721, its completion stage). The
mirrored ones are added, because the other side of a face is the best guess of a hidden one; the places, because every
texel of an aligned layout has a meaning of its own; and the base, the likeliest texture of the manifold, because the
denoiser works on what is left of a texture without it.
"""

from __future__ import annotations

import torch

from pipelines.pixels import fold
from pipelines.texture.layout import UVLayout

FOLD = 2
"""Side in texels of the patches that the denoiser works on."""
TEXTURE_CHANNELS = 3 * FOLD**2
"""Of a folded texture: what the denoiser is given noisy and answers with."""
_MAP = (3 + 1) * FOLD**2
KNOWN = slice(0, 2 * _MAP)
"""Channels of a condition that hold what is known of the texture."""
MIRRORED = slice(_MAP, 2 * _MAP)
"""Those of them that hold its mirror image."""
_PLACES = 2
CONDITION_CHANNELS = 2 * _MAP + TEXTURE_CHANNELS + _PLACES


def condition(
    rest: torch.Tensor, weight: torch.Tensor, offset: torch.Tensor, layout: UVLayout
) -> torch.Tensor:
    """Describe a partly known texture to the denoiser.

    Channels: weight * rest and weight, both folded, the same two mirrored, the offset folded, the place (u, v) in
    -1..1.

    Args:
        rest: (n, 3, s, s), the known texture less its base in units of the noise of the manifold; what it holds where
            the weight is 0 does not matter.
        weight: (n, 1, s, s) in 0..1, 1 for known.
        offset: (n, 3, s, s), the base less the mean texture.
        layout: of s texels.

    Returns:
        (n, CONDITION_CHANNELS, s / FOLD, s / FOLD).

    Raises:
        LayoutMismatch: a texture of another size than the layout's.
    """
    # Not a product alone: unknown texels may hold anything, and 0 * nan is nan.
    both = torch.cat([torch.where(weight > 0, weight * rest, 0), weight], dim=1)
    parts = [fold(each, FOLD) for map_ in (both, layout.mirrored(both)) for each in map_.split([3, 1], dim=1)]
    return torch.cat([*parts, fold(offset, FOLD), _places(len(rest), layout.size, rest)], dim=1)


def unconditional(given: torch.Tensor) -> torch.Tensor:
    """A condition (n, CONDITION_CHANNELS, h, w) without what is known: its base and its places.

    What a dropped condition is in training, and what RePaint (Lugmayr et al. 2022, arXiv:2201.09865) denoises under.
    """
    hidden = given.clone()
    hidden[:, KNOWN] = 0
    return hidden


def _places(count: int, size: int, like: torch.Tensor) -> torch.Tensor:
    """(u, v) of the middles of patches, (count, 2, size / FOLD, size / FOLD)."""
    side = size // FOLD
    along = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side * 2 - 1
    down, across = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([across, down]).expand(count, -1, -1, -1)
