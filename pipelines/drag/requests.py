"""What a call asks for: photographs opened, and drags, pins and masks of each brought to its frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from faces.images import ImageSource
from pipelines.drag.canvas import Canvas
from pipelines.drag.drags import Coordinates, Drags


@dataclass(frozen=True, kw_only=True, slots=True)
class Requests:
    """A row a photograph."""

    canvases: list[Canvas]
    drags: list[Drags]
    """In pixels of the frames; empty where a flow is given instead."""
    masks: list[np.ndarray | None]
    """(h, w) bool of the photograph, what may change; None for all of it."""


def read_requests(
    image: ImageSource | Sequence[ImageSource],
    drags: Sequence[Any],
    pins: Sequence[Any],
    mask: np.ndarray | Sequence[np.ndarray | None] | None,
    *,
    opened: Callable[[ImageSource], Canvas],
    coordinates: Coordinates,
    has_flow: bool = False,
) -> Requests:
    """Read the arguments of a call of `DragPipeline`.

    Args:
        image: a photograph or a list; for a list, the others are lists too, or empty for all.
        drags: of each.
        pins: of each.
        mask: of each.
        opened: makes canvases.
        coordinates: of drags and pins.
        has_flow: nothing need be dragged.

    Raises:
        ValueError: an empty list, lists of other lengths, masks of another size, or drags that cannot be.
    """
    several = isinstance(image, list | tuple)
    images: list[Any] = list(image) if isinstance(image, list | tuple) else [image]
    if not images:
        raise ValueError("image: an empty list; give at least one photograph")
    of_points = [
        _rows(name, given, several, len(images)) for name, given in (("drags", drags), ("pins", pins))
    ]
    masks = _rows("mask", mask, several, len(images))
    masks = [None if one is None or not len(one) else np.asarray(one) for one in masks]
    canvases = [opened(one) for one in images]
    for canvas, where in zip(canvases, masks, strict=True):
        _check_mask(canvas, where)
    asked = [] if has_flow else [
        canvas.drags_in_frame(
            Drags.of(points, fixed, size=canvas.photo.shape[1::-1], coordinates=coordinates, mask=where)
        )
        for canvas, points, fixed, where in zip(canvases, *of_points, masks, strict=True)
    ]  # fmt: skip
    return Requests(canvases=canvases, drags=asked, masks=masks)


def frame_canvas(image: Any, size: int) -> Canvas:
    """Take a frame as a photograph.

    Raises:
        ValueError: not uint8 (size, size, 3).
    """
    frame = np.asarray(image)
    if frame.shape != (size, size, 3) or frame.dtype != np.uint8:
        raise ValueError(f"image: {frame.dtype} {frame.shape}, the model takes uint8 frames of {size} px")
    return Canvas(photo=frame, frame=frame, matrix=None)


def _rows(name: str, given: Any, several: bool, count: int) -> list[Any]:
    """One entry a photograph; nothing at all serves every one."""
    if given is None or len(given) == 0:
        return [()] * count
    if not several:
        return [given]
    if len(given) != count:
        raise ValueError(f"{name}: {len(given)} for {count} photographs, expected one each")
    return list(given)


def _check_mask(canvas: Canvas, mask: np.ndarray | None) -> None:
    expected = canvas.photo.shape[:2]
    if mask is not None and (mask.dtype != bool or mask.shape != expected):
        raise ValueError(f"mask: {mask.dtype} {mask.shape}, expected bool {expected}")
