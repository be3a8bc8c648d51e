"""Points that are far from each other."""

from __future__ import annotations

import numpy as np


def spread(
    points: np.ndarray, count: int, start: np.ndarray | None = None, *, apart: float = 1.0
) -> np.ndarray:
    """Choose points one after another, each the farthest from those before.

    Args:
        points: (n, 2) to choose from, such as pixels; the first is the first.
        count: of the points, those of `start` included; fewer where no other is far enough.
        start: (m, 2) points that are chosen already, instead of the first.
        apart: least distance of a point from those before.

    Returns:
        (k, 2).
    """
    chosen = list(points[:1] if start is None else start)
    if not chosen:
        return points[:0]
    nearest = np.linalg.norm(points[:, None] - np.array(chosen), axis=-1).min(axis=1)
    while len(chosen) < count and nearest.max(initial=0) >= apart:
        chosen.append(points[nearest.argmax()])
        nearest = np.minimum(nearest, np.linalg.norm(points - chosen[-1], axis=1))
    return np.array(chosen)
