"""What an edit is asked for: points that shall move to other points, and points that shall stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

Coordinates = Literal["pixel", "normalized"]
"""Pixels of the picture, or shares of its width and height."""

_PAIRS = "pairs ((x0, y0), (x1, y1)), or points (x, y) that are source and target in turn"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Drags:
    """Drags and pins of one picture in its pixels, (x, y) from the top left, the centre of the first pixel at 0.5."""

    sources: np.ndarray
    """(k, 2) float32, where each drag starts."""
    targets: np.ndarray
    """(k, 2) float32, where what is at its source shall be."""
    pins: np.ndarray
    """(m, 2) float32, points that shall stay: drags of length zero."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit."""
        for name in ("sources", "targets", "pins"):
            points = getattr(self, name)
            if points.dtype != np.float32 or points.ndim != 2 or points.shape[1] != 2:
                raise ValueError(f"{name}: {points.dtype} {points.shape}, expected float32 (k, 2)")
        if len(self.sources) != len(self.targets):
            raise ValueError(f"{len(self.sources)} sources and {len(self.targets)} targets, expected as many")
        if len(self.size) != 2 or min(self.size) < 1:
            raise ValueError(f"size {self.size}: expected width and height in pixels, 1 at least")

    @classmethod
    def of(
        cls,
        drags: Sequence[Any] | np.ndarray = (),
        pins: Sequence[Any] | np.ndarray = (),
        *,
        size: tuple[int, int],
        coordinates: Coordinates = "pixel",
        mask: np.ndarray | None = None,
    ) -> Drags:
        """Read what a user gives.

        Args:
            drags: a pair of points for each drag, source and target, or all points in turn.
            pins: points that shall stay.
            size: width and height of the picture in pixels.
            coordinates: "pixel", with 0.5 for the centre of the first one, or "normalized" to 0..1 on both axes.
            mask: (h, w) bool, what may change; every drag has to start in it.

        Raises:
            ValueError: no points, an odd number of them, other shapes, numbers that are not finite, points outside the
                picture, sources outside the mask, or one source with two targets.

        Examples:
            >>> Drags.of([((30, 80), (24, 74))], pins=[(64, 60)], size=(128, 128))
        """
        if coordinates not in ("pixel", "normalized"):
            raise ValueError(f"coordinates {coordinates!r}: expected pixel or normalized")
        ends, fixed = _pairs(drags), _points("pins", pins, "points (x, y)", (2,))
        if not len(ends) and not len(fixed):
            raise ValueError("drags: none given; give at least one drag or pin")
        limits = np.array(size if coordinates == "pixel" else (1, 1), np.float64)
        _check_inside("drags", ends.reshape(-1, 2), limits, coordinates)
        _check_inside("pins", fixed, limits, coordinates)
        scale = np.array(size) / limits
        sources, targets, fixed = ((x * scale).astype(np.float32) for x in (ends[:, 0], ends[:, 1], fixed))
        made = cls(sources=sources, targets=targets, pins=fixed, size=size)
        _check_agreement(made)
        if mask is not None:
            _check_mask(made, np.asarray(mask))
        return made

    @property
    def vectors(self) -> np.ndarray:
        """From source to target in pixels, (k, 2) float32."""
        return self.targets - self.sources

    @property
    def source_pixels(self) -> np.ndarray:
        """Column and row of the pixel that each drag starts in, (k, 2) int."""
        # A point on the right or lower edge of the picture belongs to its last pixel.
        return np.minimum(np.floor(self.sources).astype(int), np.array(self.size) - 1)

    def scaled(self, size: tuple[int, int]) -> Drags:
        """Follow the picture to another width and height in pixels."""
        return self.cropped((0, 0, *self.size), size)

    def cropped(self, box: tuple[float, float, float, float], size: tuple[int, int]) -> Drags:
        """Follow a part of the picture that is cut out and scaled.

        Targets may lie outside of it. Pins outside are left out: nothing changes there anyway.

        Args:
            box: left, top, right and bottom of the part in pixels.
            size: its width and height in pixels when it is scaled.

        Raises:
            ValueError: an empty box, or a drag that starts outside of it.
        """
        left, top, right, bottom = box
        if not (left < right and top < bottom):
            raise ValueError(f"box {box}: expected left < right and top < bottom")
        outside = ~_is_within(self.sources, box)
        if outside.any():
            x, y = self.sources[outside][0]
            raise ValueError(f"drags: source ({x:g}, {y:g}) lies outside the part of the picture {box}")
        scale = np.array(size) / (right - left, bottom - top)
        pins = self.pins[_is_within(self.pins, box)]
        sources, targets, pins = (
            ((x - np.array([left, top])) * scale).astype(np.float32)
            for x in (self.sources, self.targets, pins)
        )
        return Drags(sources=sources, targets=targets, pins=pins, size=size)


def _pairs(given: Sequence[Any] | np.ndarray) -> np.ndarray:  # (k, 2, 2)
    points = _points("drags", given, _PAIRS, (2, 2), (2,))
    if points.ndim == 2 and len(points) % 2:
        raise ValueError(f"drags: {len(points)} points, an odd number; every source needs a target after it")
    return points.reshape(-1, 2, 2)


def _points(name: str, given: Any, expected: str, *shapes: tuple[int, ...]) -> np.ndarray:
    """Numbers of one of the shapes, apart from how many there are, as float64."""
    try:
        points = np.asarray(given, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: not points of two numbers each; expected {expected}") from error
    if points.shape == (0,):
        return points.reshape(0, *shapes[0])
    if points.shape[1:] not in shapes:
        raise ValueError(f"{name}: numbers of shape {points.shape}; expected {expected}")
    if not np.isfinite(points).all():
        raise ValueError(f"{name}: a coordinate is not a finite number; expected {expected}")
    return points


def _is_within(points: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    within = (points >= box[:2]) & (points <= box[2:])
    return within[:, 0] & within[:, 1]


def _check_inside(name: str, points: np.ndarray, limits: np.ndarray, coordinates: Coordinates) -> None:
    width, height = limits
    outside = ~_is_within(points, (0, 0, width, height))
    if outside.any():
        x, y = points[outside][0]
        raise ValueError(
            f"{name}: point ({x:g}, {y:g}) lies outside the picture; "
            f"expected {coordinates} coordinates, x 0..{width:g} and y 0..{height:g}"
        )


def _check_agreement(drags: Drags) -> None:
    """Refuse points that shall be at two places."""
    places: dict[tuple[float, ...], tuple[float, ...]] = {}
    ends = [*zip(drags.sources, drags.targets, strict=True), *zip(drags.pins, drags.pins, strict=True)]
    for source, target in ((tuple(a.tolist()), tuple(b.tolist())) for a, b in ends):
        other = places.setdefault(source, target)
        if other != target:
            raise ValueError(
                f"drags: what is at {source} shall be at {other} and at {target}; give it one target"
            )


def _check_mask(drags: Drags, mask: np.ndarray) -> None:
    width, height = drags.size
    if mask.dtype != bool or mask.shape != (height, width):
        raise ValueError(f"mask: {mask.dtype} {mask.shape}, expected bool ({height}, {width})")
    columns, rows = drags.source_pixels.T
    outside = ~mask[rows, columns]
    if outside.any():
        x, y = drags.sources[outside][0]
        raise ValueError(
            f"drags: source ({x:g}, {y:g}) lies outside the mask; start where the picture may change"
        )
