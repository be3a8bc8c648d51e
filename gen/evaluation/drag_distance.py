"""Where dragged points of a photograph are found again in an edit of it: distances to the targets of their drags.

Small pictures are too coarse for the features of large networks that DragBench matches, so patches are matched.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

_REACH = 5.0
"""Pixels of 128 from the centre of a patch to its edge: 11 x 11 px there, 7 x 7 at 64."""
_BEYOND = 4.0
"""Pixels of 128 that are searched around a target beyond the length of its drag."""
_NEAR = 3.0
"""Pixels of 128 around a point from which its local motion is estimated."""
_STRAIN = 0.6
"""Most difference of flow for a pixel of distance within one surface: more tears it, as where lips part, or turns it
out of sight."""
_LEAST_SHARE = 0.5
"""Of a patch that must be seen in both pictures and move together."""
_LEAST_TEXTURE = 1.0
"""Grey levels a pixel, of 255: see `_texture`."""
_STEPS = 4
"""Of a pixel, in which a match is sought once its pixel is found."""
_LEAST_VARIANCE = 0.25
"""Square grey levels: a smoother place of an edit correlates with nothing."""


def drag_distances(
    output: np.ndarray,
    source: np.ndarray,
    flow: np.ndarray,
    co_visible: np.ndarray,
    sources: np.ndarray,
    targets: np.ndarray,
) -> np.ndarray:
    """Distance in pixels from each target to where the dragged point is found in an edit.

    The patch around a point, bent as the true motion bends it, is sought by normalised cross-correlation around the
    target, as far as the drag is long and 4 px of 128 more, to a fraction of a pixel. The true target picture gives the
    floor of the measure, the source itself its ceiling.

    Args:
        output: the edit, (s, s, 3) uint8.
        source: what was edited, (s, s, 3) uint8.
        flow: true flow (s, s, 2) of the source in pixels.
        co_visible: (s, s) bool pixels of the source that the true target shows.
        sources: (k, 2) pixels.
        targets: (k, 2) pixels.

    Returns:
        (k,); nan for points whose patch has too little texture, is not co-visible, or is squeezed out of sight. This
        does not depend on the edit.

    Raises:
        ValueError: when a picture is not uint8 or has another size than the flow.
    """
    for name, image in (("output", output), ("source", source)):
        if image.dtype != np.uint8 or image.shape != (*flow.shape[:2], 3):
            raise ValueError(
                f"{name}: {image.dtype} of shape {image.shape}, not uint8 of {(*flow.shape[:2], 3)}"
            )
    before, after = source.astype(np.float32), output.astype(np.float32)
    found = np.full(len(sources), np.nan)
    for row, (point, target) in enumerate(zip(sources, targets, strict=True)):
        patch = _patch(before, flow, co_visible, point)
        if patch is not None:
            found[row] = np.linalg.norm(_match(after, *patch, target, float(np.linalg.norm(target - point))))
    return found


def share_left(outputs: np.ndarray, floors: np.ndarray, ceilings: np.ndarray) -> float:
    """What is left of the way that drags ask for: (MD - floor) / (ceiling - floor), summed over points.

    The true target scores 0 and doing nothing 1. Points that one of the three has not measured are left out.

    Args:
        outputs: (n,) pixels of edits, as `drag_distances` gives them.
        floors: of the true target pictures.
        ceilings: of the unedited sources.

    Returns:
        The share; nan where no point is left, or where the ceiling is not above the floor.
    """
    measured = np.isfinite(outputs) & np.isfinite(floors) & np.isfinite(ceilings)
    gap = float((ceilings - floors)[measured].sum())
    return float((outputs - floors)[measured].sum()) / gap if gap > 0 else float("nan")


def _patch(
    image: np.ndarray, flow: np.ndarray, co_visible: np.ndarray, point: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """A point's patch (side, side, 3) as the true motion bends it and the pixels that count, None where it is unfit."""
    jacobian = _jacobian(flow, co_visible, point)
    if jacobian is None:
        return None
    places = point + _grid(math.ceil(_REACH * flow.shape[1] / 128)) @ np.linalg.inv(jacobian).T
    seen = _moves_along(flow, co_visible, point, places)
    if seen.mean() < _LEAST_SHARE:
        return None
    patch = _sample(image, places)
    return (patch, seen) if _texture(patch, seen) >= _LEAST_TEXTURE else None


def _jacobian(flow: np.ndarray, co_visible: np.ndarray, point: np.ndarray) -> np.ndarray | None:
    """Derivative (2, 2) of where the surface around a point goes, by least squares; None where too little is seen."""
    places = np.floor(point) + 0.5 + _grid(math.ceil(_NEAR * flow.shape[1] / 128)).reshape(-1, 2)
    places = places[_moves_along(flow, co_visible, point, places)]
    rows = np.concatenate([places - point, np.ones((len(places), 1))], axis=1)
    if len(places) == 0 or np.linalg.matrix_rank(rows) < 3:
        return None
    column, line = np.floor(places).astype(int).T
    return np.eye(2) + np.linalg.lstsq(rows, flow[line, column], rcond=None)[0][:2].T


def _moves_along(
    flow: np.ndarray, co_visible: np.ndarray, point: np.ndarray, places: np.ndarray
) -> np.ndarray:
    """Whether the pixels at places (..., 2) are seen in both pictures and on the surface of a point, (...) bool."""
    limit = np.array(flow.shape[1::-1])
    inside = ((places >= 0) & (places < limit)).all(axis=-1)
    column, line = np.moveaxis(np.clip(np.floor(places), 0, limit - 1).astype(int), -1, 0)
    own_column, own_line = np.clip(np.floor(point), 0, limit - 1).astype(int)
    away = np.hypot(column - own_column, line - own_line)
    apart = np.linalg.norm(flow[line, column] - flow[own_line, own_column], axis=-1)
    return inside & co_visible[line, column] & co_visible[own_line, own_column] & (apart <= _STRAIN * away)


def _texture(patch: np.ndarray, seen: np.ndarray) -> float:
    """How much the gradient of a patch varies along the direction in which it varies least, in grey levels a pixel.

    A match is as sure as this is large (Shi and Tomasi 1994). Along an edge it is zero, and on an even slope, whose
    place the correlation cannot tell.
    """
    down, across = np.gradient(patch, axis=(0, 1))
    slopes = np.stack([across, down], axis=-1)[seen]
    slopes = (slopes - slopes.mean(axis=0)).reshape(-1, 2)
    return math.sqrt(max(float(np.linalg.eigvalsh(slopes.T @ slopes / len(slopes))[0]), 0.0))


def _match(
    image: np.ndarray, patch: np.ndarray, seen: np.ndarray, target: np.ndarray, length: float
) -> np.ndarray:
    """Offset (dx, dy) in pixels from a target to where a patch is found, `length` and a little more away at most."""
    radius = length + _BEYOND * image.shape[1] / 128
    offsets = _grid(math.ceil(radius))
    window = _sample(image, target + _grid(math.ceil(radius) + len(patch) // 2))
    near = np.linalg.norm(offsets, axis=-1) <= radius
    coarse = offsets[_peak(np.where(near, _scores(window, patch, seen), -2.0))]
    return coarse + _fraction(image, patch, seen, target + coarse)


def _scores(window: np.ndarray, patch: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Correlation of a patch with each place of a window, -1 where that is flat."""
    window = (window - window.mean(axis=(0, 1))).astype(np.float64)
    reach = len(patch) // 2
    weight = seen / seen.sum()
    spread = cv2.filter2D(window**2, -1, weight) - cv2.filter2D(window, -1, weight) ** 2
    textured = spread.sum(axis=-1)[reach:-reach, reach:-reach] > _LEAST_VARIANCE
    scores = cv2.matchTemplate(
        window.astype(np.float32), patch, cv2.TM_CCOEFF_NORMED, mask=seen.astype(np.float32)
    )
    return np.where(textured, scores, -1.0)


def _fraction(image: np.ndarray, patch: np.ndarray, seen: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Offset (dx, dy) of about half a pixel at most from a place to where a patch fits best.

    A parabola through whole pixels would lean to the side where the patch has less texture; quarters lean little.
    """
    steps = _grid(_STEPS // 2 + 1) / _STEPS  # half a pixel, and a neighbour for each peak
    window = _sample(image, place + steps[:, :, None] + _grid(len(patch) // 2)[seen])
    window, patch = window - window.mean(axis=2, keepdims=True), patch[seen] - patch[seen].mean(axis=0)
    norm = np.sqrt((window**2).sum(axis=(2, 3)) * (patch**2).sum())
    scores = (window * patch).sum(axis=(2, 3)) / np.maximum(norm, 1e-6)
    inner = np.full(scores.shape, -2.0)
    inner[1:-1, 1:-1] = scores[1:-1, 1:-1]
    row, column = _peak(inner)
    across, down = scores[row, column - 1 : column + 2], scores[row - 1 : row + 2, column]
    return steps[row, column] + np.array([_vertex(across), _vertex(down)]) / _STEPS


def _peak(scores: np.ndarray) -> tuple[int, int]:
    row, column = np.unravel_index(scores.argmax(), scores.shape)
    return int(row), int(column)


def _vertex(scores: np.ndarray) -> float:
    """Where a parabola through three scores at -1, 0 and 1 peaks, within half a step."""
    left, middle, right = scores
    bend = left - 2 * middle + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _grid(reach: int) -> np.ndarray:
    """Offsets (x, y) of the pixels of a square around its middle one, (2 reach + 1, 2 reach + 1, 2)."""
    line = np.arange(-reach, reach + 1.0)
    return np.stack(np.meshgrid(line, line), axis=-1)


def _sample(image: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Colours (..., 3) of a picture at places (..., 2) in pixels, bicubic; beyond the edge its last pixel holds."""
    at = (places - 0.5).astype(np.float32).reshape(len(places), -1, 2)  # a map has two dimensions
    colours = cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return colours.reshape(*places.shape[:-1], 3)
