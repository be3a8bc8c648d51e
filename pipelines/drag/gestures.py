"""Drags that people often make, found from the landmarks of a face: what the demo and the documentation show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Points = tuple[int, ...]
"""Landmarks, of the 68, whose middle is meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gesture:
    """Drags and pins that together mean something on any face."""

    drags: tuple[tuple[Points, tuple[float, float]], ...]
    """What is dragged, and how far: along the eyes to the right and from them down, in distances between the eyes."""
    pins: tuple[Points, ...] = ()
    """What stays."""

    def on(
        self, landmarks: np.ndarray, size: tuple[int, int], length: float = 1.0
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the points on a face; those beyond the edge of the picture are brought to it.

        Args:
            landmarks: (68, 2) pixels.
            size: width and height of the picture in pixels.
            length: of the drags, 1 as they are.

        Returns:
            Drags (k, 2, 2), source and target, and pins (m, 2), in the same pixels.
        """
        left, right = (_middle(landmarks, eye) for eye in (_LEFT_EYE, _RIGHT_EYE))
        across = right - left
        axes = np.stack([across, [-across[1], across[0]]])
        sources = np.array([_middle(landmarks, points) for points, _ in self.drags])
        vectors = length * np.array([vector for _, vector in self.drags]) @ axes
        pins = np.array([_middle(landmarks, points) for points in self.pins]).reshape(-1, 2)
        drags = np.stack([sources, sources + vectors], axis=1)
        return np.clip(drags, 0, size), np.clip(pins, 0, size)


def _middle(landmarks: np.ndarray, points: Points) -> np.ndarray:
    return landmarks[list(points)].mean(axis=0, dtype=np.float64)


_LEFT_EYE, _RIGHT_EYE = (36, 37, 38, 39, 40, 41), (42, 43, 44, 45, 46, 47)
_EYES = (_LEFT_EYE, _RIGHT_EYE)
_NOSE_TIP, _NOSE_BASE, _CHIN = (30,), (33,), (8,)
_UPPER_LIP, _LOWER_LIP = (51,), (57,)

EXAMPLES = {
    "turn the head": Gesture(drags=((_NOSE_TIP, (0.4, 0.0)), (_CHIN, (0.25, 0.0)))),
    "open the mouth": Gesture(
        drags=((_LOWER_LIP, (0.0, 0.3)), (_CHIN, (0.0, 0.22))), pins=(*_EYES, _NOSE_BASE, _UPPER_LIP)
    ),
    "raise the brows": Gesture(
        drags=(((19,), (0.0, -0.2)), ((24,), (0.0, -0.2))), pins=(*_EYES, _NOSE_BASE, _LOWER_LIP)
    ),
    "smile": Gesture(
        drags=(((48,), (-0.12, -0.16)), ((54,), (0.12, -0.16))), pins=(*_EYES, _NOSE_BASE, _CHIN)
    ),
    "look aside": Gesture(
        drags=(((37, 38, 40, 41), (0.12, 0.0)), ((43, 44, 46, 47), (0.12, 0.0))),
        pins=((36,), (39,), (42,), (45,)),
    ),
    "widen the jaw": Gesture(
        drags=(((4,), (-0.18, 0.0)), ((12,), (0.18, 0.0))), pins=(*_EYES, _NOSE_BASE, _LOWER_LIP)
    ),
}
"""Left and right are those of the image."""
