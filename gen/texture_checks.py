"""Checks of drawn textures: what is measured on the photoreal one of a person, and which limits it has to keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from pipelines.texture.layout import UVLayout

_BLUR = 8.6 / 1024
"""Deviation, of a side, of the blur before sides are compared: the kernel of 55 texels at 1024 in FFHQ-UV (Bai et al.
2023, arXiv:2211.13874, its brightness symmetry error)."""


class TextureThresholds(BaseModel):
    """Limits of the checks on the photoreal texture of a person, which is kept or turned down with all its styles."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clipped_share: float = Field(default=0.01, ge=0, le=1)
    """Largest share of the layout's texels with a channel at 0 or 255: 0.002 at most on rendered skins."""
    difference: float = Field(default=0.004, ge=0, le=1)
    """Least root mean square, of the range of values, of the difference to every earlier person in what the manifold
    makes of both: a step of 8 bits."""
    asymmetry: float = Field(default=0.08, ge=0, le=1)
    """Largest mean difference of the blurred brightness to its mirror image: 0.045 at most on rendered skins."""
    face_score: float | None = Field(default=0.5, ge=0, le=1)
    """Least score of the one face that the face analysis has to find on the mean head, unlit from the front; None
    leaves the check out. Lit, the shape of a head without features would score 0.99."""


Check = Callable[[Mapping[str, Any], TextureThresholds], str | None]


def _gamut(measured: Mapping[str, Any], limits: TextureThresholds) -> str | None:
    value = measured["clipped_share"]
    if value <= limits.clipped_share:
        return None
    return f"{value:.2%} of the texels are clipped, at most {limits.clipped_share:.2%} permitted"


def _duplicate(measured: Mapping[str, Any], limits: TextureThresholds) -> str | None:
    value = measured.get("nearest_texture")
    if value is None or value >= limits.difference:
        return None
    return f"differs by {value:.4f} from an earlier person, at least {limits.difference:g} wanted"


def _symmetry(measured: Mapping[str, Any], limits: TextureThresholds) -> str | None:
    value = measured["asymmetry"]
    if value <= limits.asymmetry:
        return None
    return f"brightness of both sides differs by {value:.3f}, at most {limits.asymmetry:g} permitted"


def _face(measured: Mapping[str, Any], limits: TextureThresholds) -> str | None:
    found, least = measured.get("faces_found"), limits.face_score
    if found is None or least is None:
        return None
    if found != 1:
        return f"{found or 'no'} face{'s' if found > 1 else ''} found on the head, exactly one wanted"
    score = measured["face_score"]
    return f"face of score {score:.2f}, at least {least:g} wanted" if score < least else None


CASCADE: dict[str, Check] = {"gamut": _gamut, "duplicate": _duplicate, "symmetry": _symmetry, "face": _face}
"""Checks in their order."""


def verdict(measured: Mapping[str, Any], limits: TextureThresholds) -> tuple[str | None, str]:
    """Send measurements through the cascade.

    Returns:
        The first check that turns the person down and its reason in words; (None, "") when it is kept.
    """
    for name, check in CASCADE.items():
        reason = check(measured, limits)
        if reason:
            return name, reason
    return None, ""


def clipped_share(texture: np.ndarray, layout: UVLayout) -> float:
    """Share of the layout's texels of which a channel of (s, s, 3) uint8 is at either end of its range."""
    return float(((texture == 0) | (texture == 255)).any(axis=2)[layout.valid].mean())


def asymmetry(texture: np.ndarray, layout: UVLayout) -> float:
    """Mean difference in 0..1 of the blurred brightness of (s, s, 3) uint8 to that of the other side of the head."""
    grey = cv2.cvtColor(texture, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    blurred = cv2.GaussianBlur(grey, (0, 0), _BLUR * layout.size)
    return float(np.abs(blurred - layout.mirrored(blurred))[layout.valid].mean())
