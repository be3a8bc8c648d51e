"""Where each texel of a completed texture comes from, and how those that the picture shows are put back.

Not to be confused with `faces.provenance`, the record of how a file was made.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import cv2
import numpy as np
from scipy import ndimage

from pipelines.texture.layout import UVLayout

Mode = Literal["keep", "blend"]
"""Whether every seen texel is kept as it is, or those next to unseen ones are mixed with what was generated."""
BAND = 3
"""Texels from the unseen ones within which "blend" mixes."""
_SPAN = BAND + 1
"""Of the ramp: the first texel beyond the band is wholly the picture's."""


class TexelOrigin(IntEnum):
    """Where a texel comes from."""

    GENERATED = 0
    """Neither it nor its mirror image is seen, or it lies outside of the layout."""
    MIRRORED = 1
    """Generated, but the picture shows its mirror image on the other side of the head, which the denoiser saw."""
    SEEN = 2
    """Read from the picture."""


ORIGIN_COLOURS = {
    TexelOrigin.SEEN: (0, 114, 178), TexelOrigin.MIRRORED: (86, 180, 233), TexelOrigin.GENERATED: (230, 159, 0),
}  # fmt: skip
"""Of the palette of Okabe and Ito, which colour-blind people tell apart."""
_OUTSIDE = (255, 255, 255)


def draw_origins(origins: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Draw where each texel comes from, (s, s, 3) uint8.

    Args:
        origins: (s, s) values of `TexelOrigin`.
        valid: (s, s) bool, the texels that the layout has; others stay white.
    """
    drawn = np.zeros((*origins.shape, 3), np.uint8)
    for origin, colour in ORIGIN_COLOURS.items():
        drawn[origins == origin] = colour
    if valid is not None:
        drawn[~valid] = _OUTSIDE
    return drawn


def texel_origins(weight: np.ndarray, layout: UVLayout, threshold: float) -> np.ndarray:
    """Tell for every texel where it comes from.

    Args:
        weight: (s, s) in 0..1, how well a texel is seen.
        layout: of s texels.
        threshold: weight from which on a texel is seen.

    Returns:
        (s, s) uint8, values of `TexelOrigin`.
    """
    seen = (weight >= threshold) & layout.valid
    twin = (layout.mirrored(np.ascontiguousarray(weight, np.float32)) >= threshold) & layout.valid
    origins = np.where(twin, TexelOrigin.MIRRORED, TexelOrigin.GENERATED)
    return np.where(seen, TexelOrigin.SEEN, origins).astype(np.uint8)


def kept_share(origins: np.ndarray, layout: UVLayout, mode: Mode) -> np.ndarray:
    """How much of what is seen stays of each texel.

    Args:
        origins: (s, s) of `texel_origins`.
        layout: of s texels.
        mode: "keep" leaves every seen texel as it is; "blend" mixes those within `BAND` texels of an unseen one.

    Returns:
        (s, s) float32: 0 for unseen, 1 for what stays bit for bit.

    Raises:
        ValueError: another mode.
    """
    seen = origins == TexelOrigin.SEEN
    if mode not in ("keep", "blend"):
        raise ValueError(f"mode {mode!r}: expected keep or blend")
    # Texels outside of the layout are no border: there is nothing to blend with.
    around = seen | ~layout.valid
    if mode == "keep" or around.all():
        return seen.astype(np.float32)
    far = cv2.distanceTransform(around.astype(np.uint8), cv2.DIST_C, 3)
    return np.where(seen, np.clip(far / _SPAN, 0, 1), 0).astype(np.float32)


def put_back(generated: np.ndarray, known: np.ndarray, share: np.ndarray, layout: UVLayout) -> np.ndarray:
    """Put the seen texels into a generated texture.

    Args:
        generated: (s, s, 3) float32 in 0..1.
        known: (s, s, 3) float32 in 0..1, the texture as it is seen.
        share: (s, s) of `kept_share`.
        layout: of s texels.

    Returns:
        (s, s, 3) float32. Outside of the layout each texel repeats the nearest one inside, so that nothing foreign
        bleeds in where a program samples between texels or shrinks the texture.
    """
    share = share[..., None]
    mixed = np.where(share < 1, generated + share * (known - generated), known)
    nearest = ndimage.distance_transform_edt(~layout.valid, return_distances=False, return_indices=True)
    return mixed[nearest[0], nearest[1]].astype(np.float32, copy=False)
