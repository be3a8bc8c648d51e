"""Handle points of a picture and where an edit takes them: drags that ask for it, and pins on what stays.

Handles are centres of pixels that both pictures of a pair show, and targets follow the flow of their pixels, so that
the true flow misses no drag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from faces.spread import spread
from gen.record import DRAG_COUNTS

MOVES, STAYS = 1 / 256, 1 / 512
"""Shares of the picture's width: a point that goes so far moves, one that goes less stays."""
PLACES = {"landmarks": 0.5, "fastest": 0.3, "anywhere": 0.2}
"""Where the drags of a sample start, among what moves -> share of the samples."""
LEAST_POINTS = max(DRAG_COUNTS[:-1])
"""Pixels that have to move for all numbers of drags."""
_FAST = 0.7
"""Quantile of the lengths of motion from which a point is one of the fastest."""
_PINS, _APART = 5, 1 / 16
"""Most pins, and least distance between two of them as a share of the width: neighbours say the same."""
_TRIED = 400
"""Random points among which distant ones are sought."""
_EDGE = 1 / 128
"""Share of the width that stays away from edges of what stays: pixels there mix colours."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Handles:
    """The drags of one sample."""

    drags: dict[int, np.ndarray]
    """Number of `DRAG_COUNTS` -> (k, 2, 2) float64: sources and targets (x, y) in pixels. Smaller numbers are the first
    ones of the larger ones; the largest number stands for all landmarks that are shown."""
    landmarks: np.ndarray
    """(k,) int: which of the 68 landmarks the last drags take."""
    pins: np.ndarray
    """(m, 2) float64 pixels, at most 5."""
    places: str
    """Of `PLACES`."""

    def columns(self) -> dict[str, Any]:
        """What the record stores."""
        return {
            **{f"drags_{count}": drags.tolist() for count, drags in self.drags.items()},
            "drag_landmarks": self.landmarks.tolist(), "pins": self.pins.tolist(), "drag_places": self.places,
        }  # fmt: skip


def draw(flow: np.ndarray, shown: np.ndarray, rng: np.random.Generator) -> Handles:
    """Draw the drags and pins of a picture.

    Args:
        flow: (h, w, 3) pixels, and 1 where the target shows the point; at least `LEAST_POINTS` such points move.
        shown: (68, 2) int, column and row of a pixel that shows each landmark, -1 for landmarks that are hidden.
        rng: source of every choice.
    """
    landmarks, cells = _distinct(shown)
    places, order = _order(flow, cells, rng)
    drags = {count: _drags(flow, order[:count]) for count in DRAG_COUNTS[:-1]}
    drags[DRAG_COUNTS[-1]] = _drags(flow, cells)
    seen = flow[..., 2] > 0
    still = seen & (lengths(flow) < STAYS * flow.shape[1])
    still[cells[:, 1], cells[:, 0]] = False  # a landmark that hardly moves is dragged that little, not pinned
    pins = spread(rng.permutation(_cells(still))[:_TRIED], _PINS, apart=_APART * flow.shape[1])
    return Handles(drags=drags, landmarks=landmarks, pins=pins + 0.5, places=places)


def moving(flow: np.ndarray) -> np.ndarray:
    """Tell which points move and are shown by the target, (h, w) bool of a flow (h, w, 3)."""
    return (flow[..., 2] > 0) & (lengths(flow) >= MOVES * flow.shape[1])


def lengths(flow: np.ndarray) -> np.ndarray:
    """How far each point goes, (h, w) pixels of a flow (h, w, 3)."""
    return np.linalg.norm(flow[..., :2], axis=-1)


def masks(flow: np.ndarray, head: np.ndarray, target_head: np.ndarray) -> np.ndarray:
    """Mark regions of a picture, (h, w, 3) uint8, 0 or 255 each: seen in both pictures; moves; stays.

    What stays is background in both pictures, or seen in both and at its place, away from the edges of all that.

    Args:
        flow: (h, w, 3) as `draw` takes it.
        head: (h, w) bool, the head in the picture.
        target_head: the same in the target.
    """
    seen, length, width = flow[..., 2] > 0, lengths(flow), flow.shape[1]
    stays = (seen & (length < STAYS * width)) | ~(head | target_head)
    side = 2 * max(1, round(_EDGE * width)) + 1
    stays = cv2.erode(stays.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
    return np.stack([seen, head & (length >= MOVES * width), stays], axis=-1).astype(np.uint8) * 255


def _distinct(shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks that are shown and their pixels (k, 2); of several in one pixel, as of closed lips, the first."""
    landmarks = np.flatnonzero((shown >= 0).all(axis=1))
    _, first = np.unique(shown[landmarks], axis=0, return_index=True)
    landmarks = landmarks[np.sort(first)]
    return landmarks, shown[landmarks]


def _order(flow: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """Name where drags start, and give their pixels (k, 2) in the order in which they are taken."""
    places = str(rng.choice(list(PLACES), p=list(PLACES.values())))
    moves, length = moving(flow), lengths(flow)
    candidates = rng.permutation(_cells(moves))
    own = rng.permutation(landmarks[moves[landmarks[:, 1], landmarks[:, 0]]])
    if places == "landmarks" and len(own):
        return places, spread(candidates[:_TRIED], LEAST_POINTS, own[:LEAST_POINTS])
    if places == "anywhere":
        return places, candidates[:LEAST_POINTS]
    far = length[candidates[:, 1], candidates[:, 0]]
    fastest = (
        candidates[far >= np.quantile(far, _FAST)] if len(far) >= LEAST_POINTS / (1 - _FAST) else candidates
    )
    return "fastest", spread(fastest[:_TRIED], LEAST_POINTS)


def _drags(flow: np.ndarray, cells: np.ndarray) -> np.ndarray:
    columns, rows = cells.T
    sources = cells + 0.5
    return np.stack([sources, sources + flow[rows, columns, :2]], axis=1)


def _cells(mask: np.ndarray) -> np.ndarray:
    """Column and row of the pixels of a mask, (n, 2)."""
    return np.argwhere(mask)[:, ::-1]
