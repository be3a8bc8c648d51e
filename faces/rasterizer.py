"""Which triangle covers each sample of a lattice, and where the sample lies in it.

Every pair of a triangle and a sample of its bounding box is tested at once, as arrays: the triangles of a head cover
few samples each, so there are few pairs. Edge functions: Pineda 1988, "A Parallel Algorithm for Polygon Rasterization".
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_PAIRS = 1_000_000
"""Pairs of triangle and sample that are tested at once, some 100 MB."""
_SLACK = 1e-9
"""A sample on an edge belongs to both triangles, whatever the rounding: no gaps."""


def cover(
    corners: np.ndarray, size: tuple[int, int], closeness: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cover a lattice of samples with flat triangles.

    Args:
        corners: (F, 3, 2) corners (x, y) in samples, the centre of the first sample at 0.5; triangles without an area
            cover nothing.
        size: (rows, columns) of the lattice.
        closeness: (F, 3) of the corners, linear within a triangle; of several triangles the greatest covers a sample,
            without it the last one.

    Returns:
        (rows, columns) int64 triangle, -1 for none, and (rows, columns, 3) float32 barycentric weights, 0 for none.
    """
    rows, columns = size
    corners = np.asarray(corners, np.float64)
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    greatest = np.full(rows * columns, -np.inf)
    found = np.full(rows * columns, -1, np.int64)
    weights = np.zeros((rows * columns, 3), np.float32)
    for face, column, row in _pairs(corners, np.flatnonzero(area != 0), columns, rows):
        inside, share = _shares(corners, area, face, column + 0.5, row + 0.5)
        face, place = face[inside], row[inside] * columns + column[inside]
        near = face.astype(np.float64) if closeness is None else (share * closeness[face]).sum(axis=1)
        better = near > greatest[place]
        face, place, share, near = face[better], place[better], share[better], near[better]
        order = np.argsort(near, kind="stable")  # the greatest is written last
        last = place[order]
        found[last], greatest[last], weights[last] = face[order], near[order], share[order]
    return found.reshape(size), weights.reshape(*size, 3)


def _pairs(
    corners: np.ndarray, faces: np.ndarray, columns: int, rows: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Triangles with the samples of their bounding boxes: face, column and row, in portions."""
    # A sample counts by its centre, half a sample in.
    low = np.ceil(corners[faces].min(1) - 0.5 - _SLACK).clip(0).astype(np.int64)
    high = np.floor(corners[faces].max(1) - 0.5 + _SLACK).clip(-1, (columns - 1, rows - 1)).astype(np.int64)
    spans = (high - low + 1).clip(0)
    counts = spans.prod(1)
    faces, low, spans, counts = (x[counts > 0] for x in (faces, low, spans, counts))
    ends = np.cumsum(counts)
    start = 0
    while start < len(faces):
        passed = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, passed + _PAIRS, "right")))
        part = slice(start, stop)
        index = np.repeat(np.arange(start, stop), counts[part])
        step = np.arange(len(index)) - np.repeat(ends[part] - counts[part] - passed, counts[part])
        row, column = np.divmod(step, spans[index, 0])
        yield faces[index], low[index, 0] + column, low[index, 1] + row
        start = stop


def _shares(
    corners: np.ndarray, area: np.ndarray, face: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which points lie in their triangles, (n,) bool; and barycentric weights of those, (inside, 3)."""
    (x0, y0), (x1, y1), (x2, y2) = (corners[:, corner].T for corner in range(3))
    # An edge function is a x + b y + c: made once a triangle, looked up for each pair.
    first = np.stack([y1 - y2, x2 - x1, x1 * y2 - x2 * y1]) / np.where(area == 0, 1, area)
    second = np.stack([y2 - y0, x0 - x2, x2 * y0 - x0 * y2]) / np.where(area == 0, 1, area)
    one = first[0][face] * x + first[1][face] * y + first[2][face]
    two = second[0][face] * x + second[1][face] * y + second[2][face]
    three = 1 - one - two
    inside = (one >= -_SLACK) & (two >= -_SLACK) & (three >= -_SLACK)
    return inside, np.stack([one[inside], two[inside], three[inside]], axis=1)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
