"""What can be said of an edit without knowing the right one: what its flow misses, and what became of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from faces import alignment

if TYPE_CHECKING:
    from pipelines.drag.pipeline import DragOutput

STILL = 1 / 512
"""A pixel stays whose flow is no longer than this share of the photograph's longer side: a quarter of 128."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EditMeasures:
    """Numbers of one edit, in pixels of the photograph."""

    missed: np.ndarray
    """How far the flow leaves each dragged point from its target, (k,) pixels; not where the picture shows it."""
    still_difference: float
    """Mean difference of the channels where the flow moves nothing, 0..255."""
    may_change: float
    """Share of the photograph's pixels that may have changed; all others are its very bytes."""


def measure(output: DragOutput, photo: np.ndarray, index: int = 0) -> EditMeasures:
    """Compare an edit with its photograph.

    Args:
        output: of `DragPipeline`, with PIL images.
        photo: (h, w, 3) uint8.
        index: which of the pictures.
    """
    matrix = np.eye(2, 3) if output.matrices[index] is None else output.matrices[index]
    flow = flow_on_photograph(output.flow[index].cpu().numpy(), matrix, (photo.shape[1], photo.shape[0]))
    still = np.linalg.norm(flow, axis=-1) <= STILL * max(photo.shape[:2])
    difference = np.abs(np.asarray(output.images[index], np.int16) - photo)
    return EditMeasures(
        missed=output.residual[index] / alignment.scale_of(matrix),
        still_difference=float(difference[still].mean()) if still.any() else 0.0,
        may_change=float((output.masks[index] > 0).mean()),
    )


def flow_on_photograph(flow: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring the flow of a frame to its photograph.

    Args:
        flow: (2, S, S) in pixels of the frame.
        matrix: from pixels of the photograph to those of the frame, (2, 3).
        size: width and height of the photograph.

    Returns:
        (h, w, 2) in pixels of the photograph, 0 outside of the frame.
    """
    back = alignment.invert(matrix)
    moved = np.ascontiguousarray(np.moveaxis(flow, 0, -1) @ back[:, :2].T, np.float32)
    return alignment.warp(moved, back, size, outside=0.0)
