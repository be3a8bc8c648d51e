"""The layout of a texture: which texels lie on the head, where their mirror images are, and on whose mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import torch
from torch.nn import functional

Texture = TypeVar("Texture", np.ndarray, torch.Tensor)
_CLOSE = 1e-3
"""Texels by which mirror maps of one layout may differ after rounding."""


class LayoutMismatch(ValueError):
    """A texture or template has another layout than the one asked for."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class UVLayout:
    """Where a texture of size x size texels lies on a mesh."""

    size: int
    """Texels of a side."""
    valid: np.ndarray
    """(s, s) bool, whether a texel lies on the mesh."""
    mirror: np.ndarray
    """(s, s, 2) float32 place (x, y) in texels of a texel's mirror image on the other side of the head, the centre of
    the first texel at 0.5; of an invalid texel its own place."""
    charts: np.ndarray
    """(s, s) uint8 number of the connected part of the layout, 0 outside of all."""
    mesh_id: str
    """Topology and texture coordinates."""
    v_down: bool = True
    """Row 0 is the top, as in glTF; an .obj counts v from the bottom."""

    def __post_init__(self) -> None:
        for name, shape in (("valid", ()), ("mirror", (2,)), ("charts", ())):
            found, expected = getattr(self, name).shape, (self.size, self.size, *shape)
            if found != expected:
                raise ValueError(f"{name} {found}: expected {expected} for a layout of {self.size} texels")

    def require(self, other: UVLayout) -> None:
        """Check that a texture in the other layout fits this one.

        Raises:
            LayoutMismatch: it does not; the message names everything that differs.
        """
        faults = [
            f"{name} is {theirs!r}, expected {ours!r}"
            for name in ("mesh_id", "size", "v_down")
            if (theirs := getattr(other, name)) != (ours := getattr(self, name))
        ]
        if self.size == other.size:
            for name in ("valid", "charts"):
                count = int((getattr(self, name) != getattr(other, name)).sum())
                if count:
                    faults.append(f"{name} differs in {count} texels")
            moved = np.abs(self.mirror - other.mirror).max(axis=2) > _CLOSE
            if moved.any():
                faults.append(f"mirror differs in {int(moved.sum())} texels")
        if faults:
            raise LayoutMismatch(f"another texture layout: {'; '.join(faults)}")

    def mirrored(self, texture: Texture) -> Texture:
        """Sample a texture where the mirror images of its texels are, linearly between texels.

        Args:
            texture: array (s, s) or (s, s, c) of uint8, floats or a mask, or tensor (..., c, s, s).

        Returns:
            The same shape, type and device.

        Raises:
            LayoutMismatch: another size.
        """
        if isinstance(texture, torch.Tensor):
            return self._mirrored_tensor(texture)
        if texture.shape[:2] != (self.size, self.size):
            raise LayoutMismatch(f"texture {texture.shape}: expected ({self.size}, {self.size}, channels)")
        places = (self.mirror - 0.5).astype(np.float32)
        is_mask = texture.dtype == bool
        picture = texture.astype(np.float32) if is_mask else texture
        sampled = cv2.remap(
            picture, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        ).reshape(texture.shape)
        return sampled > 0.5 if is_mask else sampled

    def _mirrored_tensor(self, texture: torch.Tensor) -> torch.Tensor:
        if texture.ndim < 3 or texture.shape[-2:] != (self.size, self.size):
            raise LayoutMismatch(
                f"texture {tuple(texture.shape)}: expected (..., channels, {self.size}, {self.size})"
            )
        flat = texture.reshape(-1, *texture.shape[-3:]).float()
        grid = torch.from_numpy(self.mirror / self.size * 2 - 1).to(flat).expand(len(flat), -1, -1, -1)
        sampled = functional.grid_sample(flat, grid, padding_mode="border", align_corners=False)
        return sampled.reshape(texture.shape).to(texture.dtype)
