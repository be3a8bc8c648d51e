"""Where makeup may change a face: soft masks of lips, eyes and the rest of the skin, from parsing and landmarks."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from faces import vocabulary
from faces.makeup import REGIONS

_LIPS = tuple(vocabulary.PARSING.index(name) for name in ("u_lip", "l_lip"))
_EYES = ((range(36, 42), range(17, 22), 36, 39), (range(42, 48), range(22, 27), 45, 42))
"""Landmarks of the eye, of its brow, its outer and its inner corner, for both eyes."""
_WING = 0.35
"""How far eye makeup reaches beyond the outer corner, in lengths of the eye."""
_BROW_SHARE = 0.75
"""How far it reaches from the lid up to the brow."""


def region_masks(parsing: np.ndarray, landmarks: np.ndarray) -> dict[str, np.ndarray]:
    """Weights of each of `faces.makeup.REGIONS`, which add up to that of the face.

    Args:
        parsing: (s, s) ids of `vocabulary.PARSING`.
        landmarks: (68, 2) in pixels of the same frame.

    Returns:
        (s, s) float32 0..1 each; exactly 0 away from the face.
    """
    size = parsing.shape[0]
    unit = size / 128  # softness in pixels of the bundled model's frame
    face = _soft(_face(parsing, landmarks), unit)
    lips = np.isin(parsing, _LIPS).astype(np.uint8)
    cv2.fillPoly(lips, [_points(landmarks[48:60])], 1)
    # The inner outline of open lips is theirs, the teeth between are not.
    lips = _soft(_grown(lips, 1.5 * unit), unit) * face
    eyes = np.zeros(parsing.shape, np.uint8)
    for eye, brow, outer, inner in _EYES:
        cv2.fillConvexPoly(eyes, cv2.convexHull(_points(_eye_outline(landmarks, eye, brow, outer, inner))), 1)
    eyes = np.minimum(_soft(_grown(eyes, 1.5 * unit), unit) * face, face - lips)
    return {"lips": lips, "eyes": eyes, "skin": np.maximum(face - lips - eyes, 0)}


def mask_of(masks: dict[str, np.ndarray], regions: Iterable[str]) -> np.ndarray:
    """Sum of the masks of some regions, (s, s) float32 0..1."""
    chosen = set(regions)
    return np.sum([masks[name] for name in REGIONS if name in chosen], axis=0, dtype=np.float32).clip(0, 1)


def _face(parsing: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Skin, brows, eyes, nose and lips, holes filled; what the network takes for hair or background is none of it."""
    face = np.isin(parsing, vocabulary.PARTS["face"]).astype(np.uint8)
    features = np.zeros_like(face)  # eyes and mouth are face, whatever lies in them
    for part in (range(36, 42), range(42, 48), range(48, 60)):
        cv2.fillPoly(features, [_points(landmarks[list(part)])], 1)
    return np.maximum(face, features * _grown(face, 3))


def _eye_outline(landmarks, eye: range, brow: range, outer: int, inner: int) -> np.ndarray:
    lids, brows = landmarks[list(eye)], landmarks[list(brow)]
    centre = lids.mean(axis=0)
    length = landmarks[outer] - landmarks[inner]
    wing = landmarks[outer] + _WING * length
    raised = centre + _BROW_SHARE * (brows - centre)
    lowered = lids + 0.35 * np.linalg.norm(length) * _down(landmarks)
    return np.concatenate(
        [lids, raised, lowered[[0, 3, 4, 5]], wing[None], wing[None] + 0.5 * (raised[[0, -1]] - centre)]
    )


def _down(landmarks: np.ndarray) -> np.ndarray:
    """Unit vector from the eyes to the mouth."""
    way = landmarks[48:60].mean(axis=0) - landmarks[36:48].mean(axis=0)
    return way / max(float(np.linalg.norm(way)), 1e-6)


def _points(landmarks: np.ndarray) -> np.ndarray:
    return np.rint(np.asarray(landmarks) - 0.5).astype(np.int32)


def _grown(mask: np.ndarray, pixels: float) -> np.ndarray:
    side = 2 * max(1, round(pixels)) + 1
    return cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)))


def _soft(mask: np.ndarray, sigma: float) -> np.ndarray:
    """Soft edge inside and out, cut to exactly 0 and 1 beyond it."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma)
    return np.clip((soft - 0.1) / 0.8, 0, 1)
