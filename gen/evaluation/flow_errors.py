"""How far a flow is from the truth, from the drags it was made of, and from leaving the background alone."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

LEAST_DRAG = 2.0
"""Pixels of 128 below which a drag has no length that an error could be a share of."""


def flow_at(flow: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Sample a flow (h, w, 2) at places (k, 2) in pixels, bilinearly, (k, 2); beyond the edge its last pixel holds."""
    columns, rows = np.asarray(places, np.float64).T - 0.5
    parts = [map_coordinates(flow[..., axis], [rows, columns], order=1, mode="nearest") for axis in (0, 1)]
    return np.stack(parts, axis=-1)


def end_point_error(flow: np.ndarray, truth: np.ndarray, where: np.ndarray) -> float:
    """Mean distance of two flows (h, w, 2) in pixels where a mask (h, w) is true; nan where it never is."""
    return _mean(np.linalg.norm(flow[where] - truth[where], axis=-1))


def drag_errors(flow: np.ndarray, sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """How far a flow (h, w, 2) takes dragged points from their targets, as shares of their drags' lengths.

    Args:
        flow: pixels.
        sources: (k, 2) pixels.
        targets: (k, 2) pixels.

    Returns:
        (k,); nan for drags shorter than `LEAST_DRAG`.
    """
    drags = targets - sources
    length = np.linalg.norm(drags, axis=-1)
    missed = np.linalg.norm(flow_at(flow, sources) - drags, axis=-1)
    long = length >= LEAST_DRAG * flow.shape[1] / 128
    return np.divide(missed, length, out=np.full(len(length), np.nan), where=long)


def leakage(flow: np.ndarray, head: np.ndarray) -> float:
    """Mean length of a flow (h, w, 2) outside a head (h, w), as a share of the width; nan without background."""
    return _mean(np.linalg.norm(flow[~head], axis=-1)) / flow.shape[1]


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
