"""What sparse drags say about a whole frame without any knowledge of faces: flows that a network has to beat."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import RBFInterpolator
from scipy.spatial import KDTree

GAUSSIAN_WIDTH = 0.15
"""Standard deviation of a drag's reach, as a share of the width of the frame."""
_SLACK = 20.0
"""Smoothing of the plate in square pixels of 128. Drags 20 px apart are met within some hundredths; drags of nearly one
source that contradict each other, as where lips part, are averaged: an exact plate overshoots them a hundredfold."""
_FLAT = 0.02
"""Spread of sources across a line, as a share of that along it, below which nothing is read off it."""


def baseline_flow(
    name: str,
    sources: np.ndarray,
    targets: np.ndarray,
    shape: tuple[int, int],
    head: np.ndarray | None = None,
) -> np.ndarray:
    """Return the flow (h, w, 2) float32 in pixels that a baseline makes of drags.

    Args:
        name: a key of `BASELINES`.
        sources: (k, 2) pixels, k at least 1.
        targets: (k, 2) pixels.
        shape: (h, w) of the frame.
        head: (h, w) bool; everything else stays where it is. None moves all of the frame.

    Raises:
        ValueError: when the name is unknown or the drags are not k finite points each.
    """
    if name not in BASELINES:
        raise ValueError(f"unknown flow baseline {name!r}: choose one of {', '.join(BASELINES)}")
    sources, targets = np.asarray(sources, np.float64), np.asarray(targets, np.float64)
    if sources.shape != targets.shape or sources.shape[1:] != (2,) or not len(sources):
        raise ValueError(
            f"drags: sources {sources.shape} and targets {targets.shape} are not both (k, 2), k >= 1"
        )
    if not (np.isfinite(sources).all() and np.isfinite(targets).all()):
        raise ValueError("drags: sources and targets must be finite")
    flow = BASELINES[name](sources, targets, shape).astype(np.float32)
    return flow if head is None else np.where(head[..., None], flow, np.float32(0))


def zero(sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Leave everything where it is."""
    return np.zeros((*shape, 2))


def nearest(sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Move every pixel as the drag with the nearest source."""
    _, which = KDTree(sources).query(_centres(shape))
    return (targets - sources)[which]


def gaussian(
    sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int], width: float = GAUSSIAN_WIDTH
) -> np.ndarray:
    """Average drags by Gaussian weights of `width` frame widths; where these add up to less than 1, move less."""
    squared = np.square(_centres(shape)[..., None, :] - sources).sum(axis=-1)
    weights = np.exp(-squared / (2 * (width * shape[1]) ** 2))
    return weights @ (targets - sources) / np.maximum(weights.sum(axis=-1, keepdims=True), 1)


def thin_plate(sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Bend a thin plate through the drags and the four corners, which stay, all of them nearly (Bookstein 1989)."""
    height, width = shape
    corners = np.array([(x, y) for x in (0.0, width) for y in (0.0, height)])
    plate = RBFInterpolator(
        np.concatenate([sources, corners]),
        np.concatenate([targets - sources, np.zeros_like(corners)]),
        kernel="thin_plate_spline",
        smoothing=_SLACK * (width / 128) ** 2,
    )
    return plate(_centres(shape).reshape(-1, 2)).reshape(height, width, 2)


def affine(sources: np.ndarray, targets: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fit one affine motion by least squares: a translation to one drag, a similarity to two.

    Where sources coincide or lie on a line, what they leave open is taken as no deformation.
    """
    centre, vectors = sources.mean(axis=0), targets - sources
    x, y = (sources - centre).T
    offsets = vectors - vectors.mean(axis=0)
    if len(sources) == 2:
        rows = np.concatenate([np.stack([x, -y], axis=1), np.stack([y, x], axis=1)])
        (a, b), *_ = np.linalg.lstsq(rows, offsets.T.ravel(), rcond=_FLAT)
        matrix = np.array([[a, -b], [b, a]])
    else:
        matrix = np.linalg.lstsq(np.stack([x, y], axis=1), offsets, rcond=_FLAT)[0].T
    return (_centres(shape) - centre) @ matrix.T + vectors.mean(axis=0)


Baseline = Callable[[np.ndarray, np.ndarray, tuple[int, int]], np.ndarray]
BASELINES: dict[str, Baseline] = {
    "zero": zero,
    "nearest": nearest,
    "gaussian": gaussian,
    "thin plate": thin_plate,
    "affine": affine,
}
"""Name -> function of sources (k, 2), targets (k, 2) and the frame's (h, w) that returns a flow (h, w, 2) in pixels."""


def _centres(shape: tuple[int, int]) -> np.ndarray:
    height, width = shape
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)
