"""The part of a photograph that is edited: brought to the model's frame, and back at its own resolution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from faces import alignment
from faces.analysis import NoFaceFound
from faces.images import ImageSource, describe, open_image
from pipelines.drag.drags import Drags
from pipelines.drag.warping import resize_flow, splat

_MOVED = 0.002
"""Share of the frame's width, beyond `_STILL`, from which a place wholly counts as moved."""
_STILL = 0.001
"""The same, up to which a place counts as unmoved: a predicted flow is nowhere exactly zero."""
_RIM = 0.03
"""How far around what moved an edit may reach, as a share of the frame."""
_REDRAWN = 0.1
"""Difference of a moved and an edited pixel, of 1, from which it counts as drawn anew; twice that, wholly."""
_LARGEST = 1536
"""Longest side in pixels of the patch of a photograph in which pixels are moved at full resolution."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Canvas:
    """One photograph, and the square of it that the model sees."""

    photo: np.ndarray
    """(h, w, 3) uint8."""
    frame: np.ndarray
    """(S, S, 3) uint8."""
    matrix: np.ndarray | None
    """From pixels of the photograph to pixels of the frame, (2, 3); None where the photograph is the frame."""

    def drags_in_frame(self, drags: Drags) -> Drags:
        """Follow the photograph into the frame.

        Raises:
            ValueError: a drag that starts outside of it.
        """
        if self.matrix is None:
            return drags
        size = self.frame.shape[0]
        sources, targets, pins = (
            alignment.transform_points(points.astype(np.float64), self.matrix).astype(np.float32)
            for points in (drags.sources, drags.targets, drags.pins)
        )
        outside = ((sources < 0) | (sources > size)).any(axis=1)
        if outside.any():
            x, y = drags.sources[outside][0]
            raise ValueError(
                f"drags: source ({x:g}, {y:g}) lies outside the face's frame, which is all that is edited"
            )
        pins = pins[((pins >= 0) & (pins <= size)).all(axis=1)]
        return Drags(sources=sources, targets=targets, pins=pins, size=(size, size))

    def paste(
        self, edited: np.ndarray, flow: torch.Tensor, mask: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Bring an edit of the frame back into the photograph.

        The photograph's own pixels are moved by the flow; the frame adds what it drew beyond moved pixels of its own.
        So a photograph keeps its detail, and where nothing moves, or the mask is 0, its very bytes.

        Args:
            edited: the frame after the edit, (S, S, 3) float32 0..1.
            flow: (2, S, S) in pixels of the frame.
            mask: (h, w) bool, what may change; None for all of it.

        Returns:
            Photograph (h, w, 3) float32 0..1, and where it may have changed, (h, w) float32 0..1.
        """
        source = _tensor(self.frame)
        flow = flow.float().cpu()[None]
        moved, holes = splat(source, flow)
        target = torch.from_numpy(edited).movedim(-1, 0)[None].float()
        drawn = target - moved
        where = _reach(flow, holes)
        result = target
        if self.matrix is not None:
            result = self._moved_finely(flow, drawn, target, _carried(drawn, holes))
        result, counts = self._brought_back(result), self._brought_back(where, outside=0.0)
        counts = counts[..., 0] if mask is None else counts[..., 0] * mask
        photo = self.photo.astype(np.float32) / 255
        # Mixed with the photograph itself: what was resampled there and back would leave its old edges behind.
        return _kept(photo, photo + (result - photo) * counts[..., None], counts), counts.astype(np.float32)

    def _moved_finely(
        self, flow: torch.Tensor, drawn: torch.Tensor, target: torch.Tensor, carried: torch.Tensor
    ) -> torch.Tensor:
        """The photograph's own pixels moved in a frame of their density, and what was drawn on them."""
        assert self.matrix is not None
        size = self.frame.shape[0]
        fine = int(min(max(size, round(size / alignment.scale_of(self.matrix))), _LARGEST))
        source = _tensor(alignment.warp(self.photo, self.matrix * (fine / size), (fine, fine)))
        moved, holes = splat(source, resize_flow(flow, (fine, fine)))
        drawn, target, carried = (
            torch.nn.functional.interpolate(x, size=(fine, fine), mode="bilinear")
            for x in (drawn, target, carried)
        )
        # The holes of the fine grid are not those of the frame.
        carried = carried * (holes < 1)
        return target + carried * (moved + drawn - target)

    def _brought_back(self, frame: torch.Tensor, outside: float | None = None) -> np.ndarray:
        """A frame (1, c, s, s) of any density in the grid of the photograph, (h, w, c); as `alignment.warp` beyond."""
        picture = frame[0].movedim(0, -1).numpy()
        if self.matrix is None:
            return picture
        back = alignment.invert(self.matrix * (frame.shape[-1] / self.frame.shape[0]))
        warped = alignment.warp(picture, back, self.photo.shape[1::-1], outside)
        return warped.reshape(*self.photo.shape[:2], -1)


def open_canvas(source: ImageSource, analyzer: Any, size: int) -> Canvas:
    """Open a photograph and bring its largest face to the canonical frame; without a face, its middle square.

    Raises:
        ImageError: it cannot be used.
    """
    name = describe(source)
    photo = open_image(source, name=name)
    try:
        matrix = analyzer.require_face(photo, name=name).matrix
    except NoFaceFound:
        matrix = square_matrix(photo.shape[1], photo.shape[0], size)
    return Canvas(photo=photo, frame=alignment.warp(photo, matrix, (size, size)), matrix=matrix)


def square_matrix(width: int, height: int, size: int) -> np.ndarray:
    """From pixels of a picture to those of a frame that its middle square fills, (2, 3)."""
    scale = size / min(width, height)
    return np.array(
        [[scale, 0, (size - scale * width) / 2], [0, scale, (size - scale * height) / 2]], np.float64
    )


def _tensor(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).movedim(-1, 0)[None].float() / 255


def _carried(drawn: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    """How far an edit is moved pixels rather than new ones, (n, 1, S, S) 0..1.

    Beside holes, and where much was drawn, moved pixels of a finer grid show other edges than those it was drawn on.
    """
    apart = torch.nn.functional.max_pool2d((holes > 0.5).float(), 3, 1, 1)
    other = torch.nn.functional.max_pool2d(drawn.abs().amax(dim=1, keepdim=True), 3, 1, 1)
    return (1 - apart) * (2 - other / _REDRAWN).clamp(0, 1)


def _reach(flow: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
    """Where an edit may change a frame, (n, 1, S, S) 0..1: what moves, where it lands, and a soft rim around."""
    size = flow.shape[-1]
    moves = ((flow.norm(dim=1, keepdim=True) / size - _STILL) / _MOVED).clamp(0, 1)
    landed, _ = splat(moves, flow)
    changed = torch.maximum(torch.maximum(moves, landed), holes)
    rim = max(1, round(_RIM * size))
    grown = torch.nn.functional.max_pool2d(changed, 2 * rim + 1, 1, rim)
    return torch.nn.functional.avg_pool2d(grown, rim + 1 - rim % 2, 1, (rim + 1 - rim % 2) // 2)


def _kept(photo: np.ndarray, result: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts[..., None] > 0, np.clip(result, 0, 1), photo)
