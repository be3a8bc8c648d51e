"""The picture that tells a ControlNet where the parts of a face lie, drawn from 68 landmarks.

Colours and parts are those of Stable-Makeup's published structure images: lines of jaw, brows and nose, filled eyes
and lips, on black.
"""

from __future__ import annotations

import cv2
import numpy as np

_LINES: tuple[tuple[range, tuple[int, int, int]], ...] = (
    (range(0, 17), (0, 255, 0)),
    (range(17, 22), (255, 255, 0)),
    (range(22, 27), (255, 255, 0)),
    (range(27, 31), (255, 165, 0)),
    (range(31, 36), (255, 165, 0)),
)
_AREAS: tuple[tuple[range, tuple[int, int, int]], ...] = (
    (range(36, 42), (255, 0, 255)),
    (range(42, 48), (255, 0, 255)),
    (range(48, 60), (0, 255, 255)),
    (range(60, 68), (0, 0, 255)),
)
_LINE_SHARE = 4 / 512
"""Width of a line as a share of the picture's side."""
_SHIFT = 4  # of OpenCV's fixed-point coordinates


def draw_structure(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Draw landmarks.

    Args:
        landmarks: (68, 2) pixels of a square picture of `size` px.
        size: of the drawing in px.

    Returns:
        (size, size, 3) uint8.

    Raises:
        ValueError: landmarks of another shape, or numbers that are not finite.
    """
    points = np.asarray(landmarks, np.float64)
    if points.shape != (68, 2) or not np.isfinite(points).all():
        raise ValueError(f"landmarks {points.shape}: expected 68 finite points (68, 2)")
    # Twice as large, then averaged: OpenCV's own smooth lines are at least a pixel wide.
    fixed = np.round((2 * points - 0.5) * 2**_SHIFT).astype(np.int32)
    picture = np.zeros((2 * size, 2 * size, 3), np.uint8)
    width = max(1, round(2 * size * _LINE_SHARE))
    for part, colour in _LINES:
        cv2.polylines(picture, [fixed[list(part)]], False, colour, width, cv2.LINE_AA, _SHIFT)
    for part, colour in _AREAS:
        cv2.fillPoly(picture, [fixed[list(part)]], colour, cv2.LINE_AA, _SHIFT)
        cv2.polylines(picture, [fixed[list(part)]], True, colour, 1, cv2.LINE_AA, _SHIFT)
    return cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
