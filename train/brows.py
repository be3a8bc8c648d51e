"""Eyebrows painted over rendered ones: there are ten styles of them to learn from, and people have any."""

from __future__ import annotations

import cv2
import numpy as np

from faces import vocabulary

_SIDES = (
    (slice(17, 22), vocabulary.PARSING.index("r_brow")),
    (slice(22, 27), vocabulary.PARSING.index("l_brow")),
)
"""Landmarks of each brow, from left to right in the picture, and its label."""
_SKIN = vocabulary.PARSING.index("skin")
_FINER = 3
"""Outlines are drawn in thirds of a pixel."""


def paint_brows(
    image: np.ndarray, parsing: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Give a face brows of another shape, thickness and shade; the rendered ones show through where they are wider.

    Args:
        image: (s, s, 3) uint8.
        parsing: (s, s) uint8 ids of `vocabulary.PARSING`.
        landmarks: (68, 2) pixels.
        rng: source of every choice; both brows get the same ones.

    Returns:
        Copies of picture and labels; only skin and brows are painted over.
    """
    shape = _profile(rng)
    strength, grain = float(rng.uniform(0.45, 1.0)), float(rng.uniform(0, 0.35))
    darkness, tint = float(rng.uniform(0.15, 0.75)), rng.uniform(0.75, 1.1, 3)
    picture, labels = image.astype(np.float32), parsing.copy()
    for places, label in _SIDES:
        cover = _cover(landmarks[places], shape, image.shape[0], mirrored=places.start == 22)
        cover *= np.isin(parsing, (_SKIN, label))
        hairs = strength * (1 - grain * rng.random(cover.shape, np.float32))
        alpha = (cover * hairs)[..., None]
        picture = picture * (1 - alpha) + alpha * picture * (darkness * tint).astype(np.float32)
        labels[cover > 0.5] = label
    return picture.clip(0, 255).astype(np.uint8), labels


def _profile(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Upper and lower edge as shares of the brow's length at nine places from the nose out, and how far it reaches."""
    along = np.linspace(0, 1, 9)
    thick = rng.uniform(0.05, 0.17) * (
        0.35 + np.sin(np.pi * along ** rng.uniform(0.5, 1.1)) ** rng.uniform(0.3, 1)
    )
    thick = thick * (1 - rng.uniform(0, 0.7) * along)
    arch = rng.normal(0, 0.05) * np.sin(np.pi * along)
    middle = rng.normal(0.02, 0.03) + arch
    return middle + thick, middle - thick, float(rng.uniform(-0.12, 0.12)), float(rng.uniform(0.9, 1.3))


def _cover(points: np.ndarray, profile: tuple, size: int, *, mirrored: bool) -> np.ndarray:
    """Share of each pixel that a brow along five landmarks covers, (s, s) float32."""
    upper, lower, start, end = profile
    # From the nose outwards: the left-hand brow of the picture is counted backwards.
    points = points if mirrored else points[::-1]
    length = float(np.linalg.norm(points[-1] - points[0]))
    places = np.linspace(start, end, len(upper)) * 4
    x, y = (np.interp(places, np.arange(5), points[:, axis]) for axis in range(2))
    beyond = np.maximum(places - 4, 0)[:, None] * (points[4] - points[3]) + np.minimum(places, 0)[:, None] * (
        points[1] - points[0]
    )
    line = np.stack([x, y], axis=1) + beyond
    edge = [line - np.stack([np.zeros_like(one), one * length], axis=1) for one in (upper, lower)]
    outline = np.concatenate([edge[0], edge[1][::-1]])
    fine = np.zeros((size * _FINER, size * _FINER), np.uint8)
    cv2.fillPoly(fine, [np.round(outline * _FINER).astype(np.int32)], 255)
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
