"""Takes the light off what a picture shows of a texture.

Light that comes from far away shades a matt surface by spherical harmonics of its normal up to the second order
(Ramamoorthi and Hanrahan 2001, "An Efficient Representation for Irradiance Environment Maps"). What the surface would
be without it is taken from the manifold of textures, in turns with the light. Harmonics here multiply the encoded
values: a power of a smooth function is one. Shadows that one part casts on another and gloss remain, for the denoiser.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn import functional

from pipelines.texture.manifold import TextureManifold

_TURNS = 6
_STIFF = 500.0
"""Prior of the manifold while light is looked for: a looser one takes shading for colour."""
_COARSE = 32
"""Texels of a side at which the light is found."""
_DARKEST = 0.15
"""Least shading that is divided by."""
_HELD = (1.0, *(0.001,) * 3, *(0.004,) * 5)
"""How much coefficients are held at those of white light from everywhere, beside what is seen: the first strongly, as
nothing tells dim light from dark skin."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Delit:
    """Textures without their light."""

    known: torch.Tensor
    """(n, 3, s, s) in [-1, 1]."""
    shading: torch.Tensor
    """(n, 3, s, s), what the encoded values were multiplied by; 1 for white light from everywhere."""


def harmonics(normals: torch.Tensor) -> torch.Tensor:
    """Spherical harmonics of unit normals up to the second order, without their constants.

    Args:
        normals: (n, 3, s, s).

    Returns:
        (n, 9, s, s).
    """
    x, y, z = normals.unbind(dim=1)
    return torch.stack(
        [torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], dim=1
    )


def delight(
    known: torch.Tensor, weight: torch.Tensor, normals: torch.Tensor, manifold: TextureManifold
) -> Delit:
    """Find the light that textures are seen in, and take it off.

    Args:
        known: (n, 3, s, s) in [-1, 1]; what it holds where the weight is 0 does not matter.
        weight: (n, 1, s, s) in 0..1.
        normals: (n, 3, s, s) unit normals, in any axes.
        manifold: of textures without light.
    """
    basis = harmonics(normals.float())
    seen = torch.where(weight > 0, known.float() / 2 + 0.5, 0)
    size = min(_COARSE, known.shape[-1])
    share = _coarser(weight.float(), size)
    coarse = _coarser(seen * weight, size) / share.clamp(min=1e-6)
    shading = torch.ones_like(seen)
    for _ in range(_TURNS):
        bare = (seen / shading * 2 - 1).clamp(-1, 1)
        albedo = manifold.decode(manifold.fit(bare, weight, prior=_STIFF), size).clamp(-1, 1) / 2 + 0.5
        light = _light(coarse, albedo, share, _coarser(basis, size))
        shading = torch.einsum("nck,nkyx->ncyx", light, basis).clamp(min=_DARKEST)
    return Delit(known=(seen / shading * 2 - 1).clamp(-1, 1), shading=shading)


def _coarser(maps: torch.Tensor, size: int) -> torch.Tensor:
    """Means of the texels of maps (n, c, s, s) that become one, (n, c, size, size)."""
    return functional.interpolate(maps, size=(size, size), mode="area")


def _light(
    seen: torch.Tensor, albedo: torch.Tensor, weight: torch.Tensor, basis: torch.Tensor
) -> torch.Tensor:
    """Coefficients (n, 3, 9) with which albedo (n, 3, s, s) comes nearest to what is seen (n, 3, s, s)."""
    rows = (weight.sqrt() * albedo)[:, :, None] * basis[:, None]  # (n, 3, 9, s, s)
    rows = rows.flatten(3)
    normal = rows @ rows.mT
    right = rows @ (weight.sqrt() * seen).flatten(2)[..., None]
    power = (weight * albedo.square()).sum(dim=(2, 3)).clamp(min=1e-6)[..., None]
    held = torch.tensor(_HELD).to(rows) * power
    white = torch.zeros_like(held)
    white[..., 0] = 1
    normal = normal + torch.diag_embed(held)
    return torch.linalg.solve(normal, right[..., 0] + held * white)
