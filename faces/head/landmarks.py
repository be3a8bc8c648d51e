"""The 68 iBUG landmarks as vertices of the base mesh, symmetric by construction."""

from __future__ import annotations

import numpy as np

from faces.head.assets import HeadAssets

# The image-left half and the middle; the other half is looked up as the mirror image on the base mesh.
_HALF = {
    0: 5176, 1: 5206, 2: 735, 3: 894, 4: 892, 5: 743, 6: 923, 7: 746, 8: 783,
    17: 211, 18: 206, 19: 176, 20: 174, 21: 166,
    27: 133, 28: 5063, 29: 201, 30: 297, 31: 358, 32: 359, 33: 343,
    36: 18, 37: 0, 38: 54, 39: 1077, 40: 1070, 41: 6776,
    48: 427, 49: 504, 50: 458, 51: 467, 57: 496, 58: 484, 59: 439, 60: 437, 62: 474, 66: 523,
}  # fmt: skip
_INNER_LIPS = {61: (-0.09, 6.611, 1.54), 67: (-0.09, 6.604, 1.52)}
_MIRROR = {
    0: 16, 1: 15, 2: 14, 3: 13, 4: 12, 5: 11, 6: 10, 7: 9, 17: 26, 18: 25, 19: 24, 20: 23, 21: 22, 31: 35, 32: 34,
    36: 45, 37: 44, 38: 43, 39: 42, 40: 47, 41: 46, 48: 54, 49: 53, 50: 52, 58: 56, 59: 55, 60: 64, 61: 63, 67: 65,
}  # fmt: skip

JAW = slice(0, 17)


def landmark_vertices(assets: HeadAssets) -> np.ndarray:
    """Kept vertex index of each landmark, (68,)."""
    base = assets.base
    vertices = np.zeros(68, np.int64)
    for landmark, vertex in _HALF.items():
        vertices[landmark] = assets.index(vertex)
    for landmark, place in _INNER_LIPS.items():
        vertices[landmark] = np.linalg.norm(base - np.array(place, np.float32), axis=1).argmin()
    body = np.unique(assets.body.faces)
    for landmark, twin in _MIRROR.items():
        mirrored = base[vertices[landmark]] * np.array([-1, 1, 1], np.float32)
        vertices[twin] = body[np.linalg.norm(base[body] - mirrored, axis=1).argmin()]
    return vertices


def snap_to_outline(landmarks: np.ndarray, parsing: np.ndarray) -> np.ndarray:
    """Move the jaw landmarks to the visible outline of the face, as people annotate photographs.

    The projected landmarks are points of the surface, seen through the head when it turns. Each jaw point slides
    along the ray from the middle of the face through it to the last pixel of face skin on that ray.

    Args:
        landmarks: (68, 2) projected landmarks in pixels of the label map.
        parsing: (h, w) ids of `vocabulary.PARSING`.

    Returns:
        (68, 2) landmarks; points whose ray meets no face skin stay.
    """
    height, width = parsing.shape
    face = np.isin(parsing, (1, 2, 3, 4, 5, 6, 10, 11, 12, 13))
    centre = landmarks[27:36].mean(axis=0)
    rays = landmarks[JAW] - centre
    steps = np.linspace(0.5, 1.35, 69)
    points = centre + rays[:, None] * steps[None, :, None]
    column = np.clip(np.floor(points[..., 0]).astype(int), 0, width - 1)
    row = np.clip(np.floor(points[..., 1]).astype(int), 0, height - 1)
    inside = face[row, column]
    last = inside.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    snapped = landmarks.copy()
    found = inside.any(axis=1)
    snapped[:17][found] = points[np.arange(17), last][found]
    return snapped
