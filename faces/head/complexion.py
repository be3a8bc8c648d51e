"""What skins have beyond the assets' paintings: uneven colour, freckles, birthmarks, tattoos; painted on textures.

Without it textures lie near a plane of some twenty dimensions, and a linear model knows all that is hidden.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

SHARES = {"field": 0.8, "freckles": 0.35, "birthmark": 0.3, "tattoo": 0.2}
"""What is painted, in this order -> share of the textures that have it."""
_BOTH_SIDES = 0.5
"""Share of the freckled with freckles on both sides."""
_FACE = (0.27, 0.73), (0.33, 0.85)
"""Columns and rows of the face in the layout of the template, as shares; its middle is the middle column."""
_FINE = 4
"""Supersampling of drawn lines."""
_SCALES = ((3, 0.05), (6, 0.03), (12, 0.02))
"""Cells of noise along a side and its standard deviation, of 1."""
_FRECKLE = np.array([0.55, 0.8, 1.0])
"""How much of each channel a freckle takes."""
_BIRTHMARKS = np.array([[0.12, 0.45, 0.35], [0.35, 0.5, 0.6]])
"""The same of the red and the brown ones."""
_INK = np.array([0.10, 0.14, 0.20])


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Something that was painted on a skin."""

    kind: str
    """Of `SHARES`."""
    side: str
    """The person's own "left" or "right", or "both"."""


def vary(texture: np.ndarray, skin: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[Feature]]:
    """Paint features on a texture.

    Args:
        texture: (s, s, 3) uint8 sRGB in the layout of the template.
        skin: (s, s) float in 0..1, where skin may be painted on.
        rng: source of every choice.

    Returns:
        The texture (s, s, 3) uint8, and what was painted on it.
    """
    picture, found = texture.astype(np.float32) / 255, []
    for kind, share in SHARES.items():
        if rng.random() < share:
            painted, side = _PAINTERS[kind](picture, rng)
            picture = picture + (painted - picture) * skin[..., None]
            found.append(Feature(kind=kind, side=side))
    return (picture.clip(0, 1) * 255).round().astype(np.uint8), found


def _field(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    size, factor = len(picture), np.ones_like(picture)
    for cells, deviation in _SCALES:
        bright = smooth_noise(size, cells, 1, rng)
        colour = 0.4 * smooth_noise(size, cells, 3, rng)
        factor = factor + deviation * (bright + colour)
    return picture * factor, "both"


def _freckles(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    size, count = len(picture), int(rng.integers(60, 320))
    (left, right), (top, bottom) = _FACE
    side = "both" if rng.random() < _BOTH_SIDES else str(rng.choice(["left", "right"]))
    centre = np.array([(left + right) / 2 if side == "both" else _column(side, rng), rng.uniform(0.45, 0.7)])
    spread = np.array([(right - left) / 4 if side == "both" else 0.05, (bottom - top) / 7])
    places = rng.normal(centre, spread, (count, 2))
    places = places[(places[:, 0] > 0.5) == (side == "left")] if side != "both" else places
    dark = np.zeros((size, size), np.float32)
    strength, radius = rng.uniform(0.1, 0.3), rng.uniform(0.0025, 0.005) * size
    for x, y in places * size:
        _dot(dark, x, y, radius * rng.uniform(0.6, 1.5), strength * rng.uniform(0.5, 1.2))
    return picture * (1 - dark.clip(0, 0.6)[..., None] * _FRECKLE), side


def _birthmark(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    size, side = len(picture), str(rng.choice(["left", "right"]))
    x, y = _column(side, rng), rng.uniform(0.4, 0.8)
    reach = rng.uniform(0.03, 0.09)
    rows, columns = (np.mgrid[:size, :size] + 0.5) / size
    inside = 1.2 - np.hypot(columns - x, (rows - y) * rng.uniform(0.6, 1.4)) / reach
    shape = (3 * (inside + 0.35 * smooth_noise(size, 24, 1, rng)[..., 0])).clip(0, 1)
    shape *= _own_half(size, side)
    takes = _BIRTHMARKS[rng.integers(len(_BIRTHMARKS))] * rng.uniform(0.4, 1.0)
    return picture * (1 - shape[..., None] * takes), side


def _tattoo(picture: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    size, side = len(picture), str(rng.choice(["left", "right"]))
    start = np.array([_column(side, rng), rng.uniform(0.4, 0.85)])
    ink = np.zeros((size * _FINE, size * _FINE), np.uint8)
    for _ in range(int(rng.integers(1, 4))):
        steps = np.cumsum(rng.normal(0, 0.025, (int(rng.integers(3, 7)), 2)), axis=0)
        points = np.round((start + steps) * size * _FINE).astype(np.int32)
        thickness = max(1, round(rng.uniform(0.006, 0.014) * size * _FINE))
        cv2.polylines(ink, [points], bool(rng.random() < 0.5), 255, thickness, cv2.LINE_AA)
    shape = cv2.resize(ink, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    shape *= rng.uniform(0.6, 0.95) * _own_half(size, side)
    return picture + (_INK - picture) * shape[..., None], side


_PAINTERS: dict[str, Callable[[np.ndarray, np.random.Generator], tuple[np.ndarray, str]]] = {
    "field": _field, "freckles": _freckles, "birthmark": _birthmark, "tattoo": _tattoo,
}  # fmt: skip


def _column(side: str, rng: np.random.Generator) -> float:
    """A column on a side of the face; the person's left is to the right of the middle."""
    away = rng.uniform(0.06, _FACE[0][1] - 0.5)
    return 0.5 + (away if side == "left" else -away)


def _own_half(size: int, side: str) -> np.ndarray:
    """(s, s) float32, 1 on a side and 0 on the other, with the middle in between."""
    ramp = ((np.arange(size) + 0.5) / size - 0.5) * (1 if side == "left" else -1)
    return np.broadcast_to((ramp * size / 3).clip(0, 1).astype(np.float32), (size, size))


def smooth_noise(size: int, cells: int, channels: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise (size, size, channels) float32 of deviation 1 or less, which comes round from right to left.

    Args:
        size: texels of a side.
        cells: along a side, between which it is interpolated.
        channels: drawn apart.
        rng: source of every choice.
    """
    coarse = rng.normal(0, 1, (cells + 4, cells, channels)).astype(np.float32)
    coarse = np.concatenate([coarse[:, -2:], coarse, coarse[:, :2]], axis=1)
    places = (np.arange(size, dtype=np.float32) + 0.5) / size * cells + 1.5
    x, y = np.meshgrid(places, places)
    return cv2.remap(coarse, x, y, cv2.INTER_CUBIC).reshape(size, size, channels)


def _dot(picture: np.ndarray, x: float, y: float, radius: float, strength: float) -> None:
    """Add a soft dot to a picture (s, s) in place; what lies outside of it is cut."""
    reach = int(np.ceil(3 * radius)) + 1
    top, left = max(int(y) - reach, 0), max(int(x) - reach, 0)
    part = picture[top : int(y) + reach + 1, left : int(x) + reach + 1]
    if not part.size:
        return
    rows, columns = np.mgrid[: part.shape[0], : part.shape[1]] + 0.5
    away = np.hypot(columns + left - x, rows + top - y)
    part += strength * np.exp(-0.5 * (away / radius) ** 2).astype(np.float32)
