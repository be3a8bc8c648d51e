"""Makeup on rendered heads: looks at random, and where each of their layers shows."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

from faces.head.regions import Regions
from faces.head.renderer import HeadImage
from faces.head.spec import MakeupLayer
from faces.makeup import LAYERS

PEOPLE_A_STYLE = 4
"""Consecutive people who wear the same looks in a collection with shared makeup."""
_LIPS = (
    (0.40, 0.02, 0.05), (0.45, 0.10, 0.14), (0.22, 0.02, 0.10), (0.42, 0.12, 0.06), (0.14, 0.03, 0.02),
    (0.50, 0.04, 0.22),
)  # fmt: skip
"""Red, rose, plum, coral, brown, fuchsia, in linear RGB."""
_BLUSH = ((0.50, 0.14, 0.13), (0.52, 0.20, 0.10), (0.38, 0.06, 0.14))
"""Rose, peach, plum."""


def draw_style(rng: np.random.Generator) -> tuple[MakeupLayer, ...]:
    """Draw a look of one layer or more; wider than what a portrait wears, odd colours included."""
    while True:
        layers = [
            layer for layer in (_lips(rng), _shadow(rng), _liner(rng), _blush(rng)) if layer is not None
        ]
        if layers:
            return tuple(layers)


def alpha_maps(image: HeadImage, regions: Regions, layers: tuple[MakeupLayer, ...]) -> np.ndarray:
    """Opacity of each layer of `LAYERS` in a rendered picture, (size, size, 4) float32, 0 where the skin is hidden.

    The same curve as in the shader of the renderer.
    """
    places = (image.uv * regions.makeup.shape[0] - 0.5).astype(np.float32)
    paint = (
        cv2.remap(regions.makeup, places[..., 0], places[..., 1], cv2.INTER_LINEAR).astype(np.float32) / 255
    )
    alpha = np.zeros(paint.shape, np.float32)
    for layer in layers:
        slot = LAYERS.index(layer.region)
        extent = 0.15 + 0.85 * layer.extent
        share = np.clip((paint[..., slot] - (1 - extent)) / (0.6 * extent), 0, 1)
        alpha[..., slot] = layer.alpha * share * share * (3 - 2 * share)
    return alpha * image.body[..., None]


def _lips(rng: np.random.Generator) -> MakeupLayer | None:
    if rng.random() > 0.9:
        return None
    colour = np.array(_LIPS[int(rng.integers(len(_LIPS)))]) * rng.uniform(0.6, 1.3)
    if rng.random() < 0.12:
        colour = _any_colour(rng, 0.02, 0.4)
    return _layer("lips", colour, rng.uniform(0.4, 0.95), 0.4)


def _shadow(rng: np.random.Generator) -> MakeupLayer | None:
    if rng.random() > 0.85:
        return None
    return _layer("shadow", _any_colour(rng, 0.03, 0.45), rng.uniform(0.35, 0.85), rng.uniform(0.3, 0.95))


def _liner(rng: np.random.Generator) -> MakeupLayer | None:
    if rng.random() > 0.8:
        return None
    colour = np.full(3, 0.008) if rng.random() < 0.75 else _any_colour(rng, 0.02, 0.2)
    return _layer("liner", colour, rng.uniform(0.55, 0.98), rng.uniform(0.2, 0.8))


def _blush(rng: np.random.Generator) -> MakeupLayer | None:
    if rng.random() > 0.75:
        return None
    colour = np.array(_BLUSH[int(rng.integers(len(_BLUSH)))]) * rng.uniform(0.6, 1.15)
    return _layer("blush", colour, rng.uniform(0.2, 0.55), rng.uniform(0.5, 1.0))


def _any_colour(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    value = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0.3, 0.95), value))


def _layer(region: str, colour: np.ndarray, alpha: float, extent: float) -> MakeupLayer:
    red, green, blue = (round(float(value), 4) for value in np.clip(colour, 0, 1))
    return MakeupLayer(
        region=region,  # type: ignore[arg-type]
        colour=(red, green, blue),
        alpha=round(alpha, 3),
        extent=round(extent, 3),
    )
