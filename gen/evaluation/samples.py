"""How good and how varied generated images are, in a feature space given by the caller."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

_CHUNK = 2048


@dataclass(frozen=True, kw_only=True, slots=True)
class PrecisionRecall:
    """Improved precision and recall of a set of samples."""

    precise: np.ndarray
    """(generated,) bool: the sample lies inside the manifold of the real images."""
    recalled: np.ndarray
    """(real,) bool: the real image lies inside the manifold of the samples."""

    @property
    def precision(self) -> float:
        """Share of samples that could be real images."""
        return float(self.precise.mean())

    @property
    def recall(self) -> float:
        """Share of real images that could be samples."""
        return float(self.recalled.mean())


def precision_recall(real: np.ndarray, generated: np.ndarray, k: int = 3) -> PrecisionRecall:
    """Estimate both manifolds by k-nearest-neighbour balls (Kynkäänniemi et al. 2019, equations 1 and 2).

    Args:
        real: features of real images, (n, f).
        generated: features of samples, (m, f).
        k: neighbours that give the radius of a ball; the paper uses 3.

    Raises:
        ValueError: when a set has no more than k members.
    """
    real, generated = np.asarray(real, dtype=np.float64), np.asarray(generated, dtype=np.float64)
    for name, features in (("real", real), ("generated", generated)):
        if len(features) <= k:
            raise ValueError(f"precision and recall: {len(features)} {name} images, not more than k = {k}")
    return PrecisionRecall(
        precise=_inside(generated, real, ball_radii(real, k)),
        recalled=_inside(real, generated, ball_radii(generated, k)),
    )


def ball_radii(features: np.ndarray, k: int) -> np.ndarray:
    """Return the distance of every point (n, f) to its k-th nearest other point, (n,)."""
    radii = np.empty(len(features))
    for start in range(0, len(features), _CHUNK):
        distances = cdist(features[start : start + _CHUNK], features)
        # The point itself is the nearest, at distance zero, hence k and not k - 1.
        radii[start : start + len(distances)] = np.partition(distances, k, axis=1)[:, k]
    return radii


def _inside(points: np.ndarray, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    inside = np.empty(len(points), dtype=bool)
    for start in range(0, len(points), _CHUNK):
        distances = cdist(points[start : start + _CHUNK], centres)
        inside[start : start + len(distances)] = (distances <= radii[None, :]).any(axis=1)
    return inside


def nearest(features: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (index, Euclidean distance) of the nearest member of `pool` (p, f) for every feature (n, f)."""
    if len(pool) == 0:
        raise ValueError("nearest: the pool of training features is empty")
    index = np.empty(len(features), dtype=np.int64)
    distance = np.empty(len(features))
    for start in range(0, len(features), _CHUNK):
        distances = cdist(features[start : start + _CHUNK], pool)
        stop = start + len(distances)
        index[start:stop] = distances.argmin(axis=1)
        distance[start:stop] = distances.min(axis=1)
    return index, distance


def copy_distance(held_out: np.ndarray, pool: np.ndarray, quantile: float = 0.01) -> float:
    """Return the distance that only a share `quantile` of unseen images undercut.

    A sample nearer than this to a training image is nearer than chance explains: a suspected copy.
    """
    return float(np.quantile(nearest(held_out, pool)[1], quantile))
