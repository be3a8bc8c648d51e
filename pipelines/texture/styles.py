"""Styles of textures: procedural transfers, of which stylised training sets and the stylised presets are made.

They are filters of OpenCV (edge-preserving ones are those of Gastal and Oliveira 2011, "Domain Transform for Edge-Aware
Image and Video Processing") and curves of colour, all without weights. Every one keeps each feature in its place, so
that a stylised texture lies in the layout of the texture that it was made of.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

PHOTOREAL = "photoreal"
"""The style that changes nothing."""
_REFERENCE = 128
"""Texels of a side that lengths are meant for."""
_FROM_XYZ = np.array(
    [
        [3.0799327, -0.9212350, 0.0528909],
        [-1.5371500, 1.8759901, -0.2040430],
        [-0.5427828, 0.0452449, 1.1511515],
    ],
    np.float32,
)
"""XYZ, whose white (D65) is 1, times this is linear sRGB."""
_KNEE = 0.8
"""Share of the strongest chroma of sRGB from which on colours are made weaker, so that steps between them remain."""
_HALVINGS, _MARGIN = 8, 0.001
"""Of the search for the end of sRGB, and how far from its ends in linear values colours stay."""


def stylise(texture: np.ndarray, style: str, seed: int = 0) -> np.ndarray:
    """Draw a texture in a style.

    Args:
        texture: (s, s, 3) uint8 sRGB.
        style: of `STYLES`.
        seed: chooses the colours of styles that leave them open.

    Returns:
        (s, s, 3) uint8.

    Raises:
        ValueError: an unknown style, or no such texture.
    """
    if style not in STYLES:
        raise ValueError(f"style {style!r}: expected one of {', '.join(STYLES)}")
    if texture.dtype != np.uint8 or texture.ndim != 3 or texture.shape[2] != 3:
        raise ValueError(f"texture {texture.shape} of {texture.dtype}: expected (s, s, 3) uint8")
    return texture.copy() if style == PHOTOREAL else _DRAWN[style](texture, np.random.default_rng(seed))


def in_style(texture: np.ndarray, style: str, seed: int = 0) -> np.ndarray:
    """`stylise` for a texture (s, s, 3) float32 in 0..1, which it returns again."""
    drawn = stylise(np.rint(texture * 255).astype(np.uint8), style, seed)
    return drawn.astype(np.float32) / 255


def _cartoon(texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Flat areas of strong colour, dark lines between them."""
    flat = _smooth(texture, 8, 0.35)
    lightness, a, b = _lab(flat)
    lines = _lines(lightness, 1.0, 6)
    lightness = _levels(lightness, 12) + 8
    return _rgb(lightness * (1 - 0.7 * lines), a * 1.45, b * 1.45)


def _painting(texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strokes: colours of neighbourhoods, with the grain of a brush."""
    size = len(texture)
    soft = cv2.pyrMeanShiftFiltering(texture, 4 * size / _REFERENCE, 16)
    grain = cv2.GaussianBlur(rng.normal(0, 1, (size, size)).astype(np.float32), (0, 0), size / _REFERENCE)
    reach = max(1, round(9 * size / _REFERENCE))
    grain = np.sum([np.roll(grain, (step, step), (0, 1)) for step in range(reach)], axis=0)
    lightness, a, b = _lab(soft)
    return _rgb(lightness + 2.2 * grain / grain.std().clip(min=1e-6), a * 1.3, b * 1.35)


def _sculpture(texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Stone of one colour, a trace of the features left."""
    lightness, _, _ = _lab(_smooth(texture, 2, 0.15))
    detail = lightness - cv2.GaussianBlur(lightness, (0, 0), 16 * len(texture) / _REFERENCE)
    warm = rng.uniform(-1, 6)
    return _rgb(74 + 1.1 * detail, np.full_like(detail, 0.2 * warm), np.full_like(detail, warm))


def _fantasy(texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Skin of another hue, such as green or blue, its contrasts kept."""
    lightness, a, b = _lab(texture)
    turn = rng.uniform(0.6, 2 * np.pi - 0.6)  # not skin again
    cos, sin = np.cos(turn), np.sin(turn)
    return _rgb(lightness, 1.3 * (cos * a - sin * b), 1.3 * (sin * a + cos * b))


_DRAWN: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "cartoon": _cartoon, "painting": _painting, "sculpture": _sculpture, "fantasy": _fantasy,
}  # fmt: skip
STYLES = (PHOTOREAL, *_DRAWN)


def _smooth(texture: np.ndarray, reach: float, range_: float) -> np.ndarray:
    """Smooth areas up to their edges; reach in texels of a texture of `_REFERENCE`."""
    return cv2.edgePreservingFilter(
        texture, flags=cv2.RECURS_FILTER, sigma_s=reach * len(texture) / _REFERENCE, sigma_r=range_
    )


def _lines(lightness: np.ndarray, width: float, contrast: float) -> np.ndarray:
    """Where a line is darker than its surroundings, (s, s) in 0..1: a difference of Gaussians."""
    factor = len(lightness) / _REFERENCE
    narrow, wide = (cv2.GaussianBlur(lightness, (0, 0), width * factor * part) for part in (1, 2.5))
    return np.clip((wide - narrow) / contrast, 0, 1)


def _levels(lightness: np.ndarray, step: float) -> np.ndarray:
    """Soft steps of lightness."""
    scaled = lightness / step
    whole = np.floor(scaled)
    rest = scaled - whole
    return (whole + rest**3 * (rest * (6 * rest - 15) + 10)) * step


def _lab(texture: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lightness 0..100, a and b, (s, s) float32 each."""
    lab = cv2.cvtColor(texture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return lab[..., 0], lab[..., 1], lab[..., 2]


def _rgb(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(s, s, 3) uint8 sRGB of Lab, colours that it does not have made greyer, of the same lightness and hue."""
    share = _in_gamut(lightness, a, b)
    lab = np.stack([lightness.clip(0, 100), a * share, b * share], axis=-1).astype(np.float32)
    return np.rint(cv2.cvtColor(lab, cv2.COLOR_Lab2RGB).clip(0, 1) * 255).astype(np.uint8)


def _in_gamut(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Share of its chroma that a colour keeps, (s, s) in 0..1: less the nearer it comes to the end of sRGB."""
    kept = np.ones_like(lightness)
    far = ~_exists(lightness, a / _KNEE, b / _KNEE)
    lightness, a, b = lightness[far], a[far], b[far]
    low, high = np.zeros_like(a), np.full_like(a, 1 / _KNEE)
    for _ in range(_HALVINGS):
        share = (low + high) / 2
        inside = _exists(lightness, a * share, b * share)
        low, high = np.where(inside, share, low), np.where(inside, high, share)
    reach = 1 / np.maximum(low, 1e-6)  # 1 where a colour is as strong as sRGB has it
    kept[far] = (_KNEE + (1 - _KNEE) * np.tanh((reach - _KNEE) / (1 - _KNEE))) / reach
    return kept


def _exists(lightness: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Whether sRGB has a colour of Lab, black and white apart, (...,) bool."""
    height = (lightness.clip(1, 99) + 16) / 116
    roots = np.stack([height + a / 500, height, height - b / 200], axis=-1)
    xyz = np.where(roots > 6 / 29, roots * roots * roots, (roots - 4 / 29) * (108 / 841))
    linear = xyz.astype(np.float32) @ _FROM_XYZ
    return np.asarray(((linear >= _MARGIN) & (linear <= 1 - _MARGIN)).all(axis=-1))
