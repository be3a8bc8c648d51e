"""What a user has drawn on a photograph in the Drag tab: arrows, pins and a mask, as JSON, a table and places.

The browser and API clients send it, so nothing in it is taken on trust.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

CENTRE = 0.5
"""A table names pixels, counted from 0, and means their middles, this far into them."""
MAX_DRAGS = 200
MAX_PINS = 200
MAX_SIDE = 100_000
"""Of a photograph, in pixels."""
MAX_MASK_SIDE = 2048
MAX_MASK_CHARACTERS = 4 * 2**20
MASK_SIDE = 768
"""Longer side of the masks that the canvas paints, at most."""
SLACK = 1e-6
"""How far a share may lie outside 0..1 because it was rounded."""
TABLE_HEADERS = ("from x", "from y", "to x", "to y")
_DIGITS = 2
_SAME = 0.01
"""Two clicks this near each other, in longer sides of the photograph, are one place: a pin."""
_PNG = "data:image/png;base64,"
_WHITE = 128
_HUGE = 1e300
"""Whole numbers beyond have no place among floats."""
_KEYS = {"drags", "pins", "start", "size", "mask", "show"}
_LAYERS = {"flow", "mask"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CanvasState:
    """Coordinates are shares of the photograph's width and height, 0..1 from the top left."""

    drags: tuple[tuple[float, float, float, float], ...] = ()
    """x and y of what is moved, then of where it shall be."""
    pins: tuple[tuple[float, float], ...] = ()
    """What stays."""
    start: tuple[float, float] | None = None
    """First of the two clicks that make an arrow, while the second is awaited."""
    size: tuple[int, int] | None = None
    """Width and height of the photograph in pixels; None without one."""
    mask: str | None = None
    """PNG data URL, white where the photograph may change; None: everywhere."""
    show_flow: bool = True
    show_mask: bool = True

    @classmethod
    def parse(cls, value: Any) -> CanvasState:
        """Read what a browser or a client sent; None is an empty canvas.

        Raises:
            ValueError: anything else than what `to_json` gives, in words for who drew it.
        """
        if value is None:
            return cls()
        if isinstance(value, CanvasState):
            value = value.to_json()
        if not isinstance(value, dict):
            raise ValueError(f"canvas: {_kind(value)}, expected an object with drags, pins and size")
        unknown = sorted(map(str, value.keys() - _KEYS))
        if unknown:
            raise ValueError(
                f"canvas: unknown entry {unknown[0][:40]!r}; known are {', '.join(sorted(_KEYS))}"
            )
        size = _size(value.get("size"))
        drags = tuple(_shares("arrow", item, 4) for item in _listed("drags", value, MAX_DRAGS))
        pins = tuple(_shares("pin", item, 2) for item in _listed("pins", value, MAX_PINS))
        start = None if value.get("start") is None else _shares("start", value["start"], 2)
        mask = _mask(value.get("mask"), size)
        if size is None and (drags or pins or start or mask is not None):
            raise ValueError("size: none given; points need the width and height of their photograph")
        show = value.get("show") or {}
        if (
            not isinstance(show, dict)
            or show.keys() - _LAYERS
            or not all(type(x) is bool for x in show.values())
        ):
            raise ValueError('show: expected true or false for "flow" and "mask"')
        return cls(
            drags=drags, pins=pins, start=start, size=size, mask=mask,
            show_flow=show.get("flow", True), show_mask=show.get("mask", True),
        )  # fmt: skip

    @classmethod
    def at_places(
        cls,
        drags: Iterable[Any] | np.ndarray,
        pins: Iterable[Any] | np.ndarray,
        size: tuple[int, int],
        mask: np.ndarray | None = None,
    ) -> CanvasState:
        """Draw what `DragPipeline` takes: pixels of the photograph, 0.5 in the middle of the first one.

        Args:
            drags: (k, 2, 2), source and target.
            pins: (m, 2).
            size: width and height of the photograph in pixels.
            mask: (h, w) bool, what may change.
        """
        ends = np.asarray(drags, np.float64).reshape(-1, 2, 2) / size
        fixed = np.asarray(pins, np.float64).reshape(-1, 2) / size
        drawn = {"drags": ends.reshape(-1, 4).tolist(), "pins": fixed.tolist(), "size": list(size)}
        return cls.parse(drawn | {"mask": None if mask is None else mask_url(mask)})

    def to_json(self) -> dict[str, Any]:
        """What `parse` reads."""
        return {
            "drags": [list(drag) for drag in self.drags],
            "pins": [list(pin) for pin in self.pins],
            "start": list(self.start) if self.start else None,
            "size": list(self.size) if self.size else None,
            "mask": self.mask,
            "show": {"flow": self.show_flow, "mask": self.show_mask},
        }

    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """Drags (k, 2, 2) and pins (m, 2) in pixels of the photograph, 0.5 in the middle of the first one."""
        scale = np.array(self.size or (1, 1), np.float64)
        drags = np.array(self.drags, np.float64).reshape(-1, 2, 2) * scale
        return drags, np.array(self.pins, np.float64).reshape(-1, 2) * scale

    def mask_array(self) -> np.ndarray | None:
        """What may change, (h, w) bool in pixels of the photograph; None: everything."""
        if self.mask is None or self.size is None:
            return None
        return np.asarray(_grey(self.mask).resize(self.size, Image.Resampling.BILINEAR)) >= _WHITE

    def given(self, size: tuple[int, int]) -> dict[str, Any]:
        """The arguments `drags`, `pins` and `mask` of `DragPipeline` for a photograph of that width and height.

        Raises:
            ValueError: nothing to do, an arrow without an end, or points of another photograph.
        """
        if self.start is not None:
            raise ValueError("the last arrow has no end yet; click where it shall point to")
        if not self.drags:
            raise ValueError("no arrow yet; press on the photograph, drag, and release")
        if self.size != tuple(size):
            drawn = f"{self.size[0]} x {self.size[1]}" if self.size else "no"
            raise ValueError(
                f"the arrows were drawn on a photograph of {drawn} pixels, this one has {size[0]} x {size[1]}; "
                "give the photograph again"
            )
        drags, pins = self.places()
        return {"drags": drags, "pins": pins, "mask": self.mask_array()}


def to_table(state: CanvasState) -> list[list[float | None]]:
    """Rows of `TABLE_HEADERS`: pixels as picture viewers count them, from 0; a pin has nothing to go to."""
    drags, pins = state.places()
    rows: list[list[float | None]] = [_rounded(drag.reshape(4)) for drag in drags]
    return rows + [[*_rounded(pin), None, None] for pin in pins]


def from_table(rows: Any, size: tuple[int, int], kept: CanvasState | None = None) -> CanvasState:
    """Read a table as `to_table` gives it, and as a user may leave it: empty rows, numbers as text, gaps.

    Args:
        rows: lists of four cells.
        size: width and height of the photograph in pixels.
        kept: its mask and layers stay, if it was drawn on a photograph of this size.

    Raises:
        ValueError: names the row, counted from 1.
    """
    drags, pins = [], []
    for number, row in enumerate(rows, start=1):
        cells = [_cell(cell, f"row {number}") for cell in row]
        given = [cell for cell in cells if cell is not None]
        if not given:
            continue
        if len(cells) != 4 or len(given) not in (2, 4) or None in cells[:2]:
            raise ValueError(
                f"row {number}: {len(given)} of 4 numbers; an arrow needs all of {', '.join(TABLE_HEADERS)}, "
                "a pin the first two"
            )
        for index, pixel in enumerate(given):
            side = size[index % 2]
            if not -CENTRE <= pixel <= side - CENTRE:
                raise ValueError(
                    f"row {number}: {TABLE_HEADERS[index]} is {pixel:g}, outside the photograph; expected 0..{side - 1}"
                )
        shares = [(pixel + CENTRE) / size[index % 2] for index, pixel in enumerate(given)]
        (drags if len(shares) == 4 else pins).append(shares)
    read = CanvasState.parse({"drags": drags, "pins": pins, "size": list(size)})
    if kept is None or kept.size != read.size:
        return read
    return replace(kept, drags=read.drags, pins=read.pins, start=None)


def to_text(state: CanvasState) -> str:
    """Arrows and pins as JSON, without the mask, which is long."""
    given = state.to_json()
    return json.dumps({name: given[name] for name in ("drags", "pins", "size")})


def from_text(text: str, size: tuple[int, int], kept: CanvasState | None = None) -> CanvasState:
    """Read JSON as `to_text` or `CanvasState.to_json` give it.

    Args:
        text: shares of width and height, so that those of another photograph fit as well.
        size: width and height of this photograph in pixels.
        kept: its mask and layers stay where the text has none, if it was drawn on a photograph of this size.

    Raises:
        ValueError: no JSON, or not that of a canvas.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(
            'arrows as JSON: cannot be read; expected {"drags": [[x, y, to x, to y]], "pins": []}'
        ) from None
    if not isinstance(given, dict):
        raise ValueError(f"arrows as JSON: {_kind(given)}, expected an object with drags and pins")
    before = {} if kept is None or kept.size != size else kept.to_json()
    return CanvasState.parse({**before, "start": None, **given, "size": list(size)})


def clicked(state: CanvasState, x: float, y: float) -> CanvasState:
    """Draw by clicks: the first sets where an arrow starts, the second where it ends; twice at one place is a pin.

    Args:
        state: what was drawn before; its size has to be that of the photograph.
        x: column of the pixel that was clicked, counted from 0.
        y: its row.

    Raises:
        ValueError: a click outside, no photograph, or too many arrows.
    """
    if state.size is None:
        raise ValueError("no photograph yet; give one first")
    width, height = state.size
    if not (0 <= x < width and 0 <= y < height):
        raise ValueError(f"click {x:g}, {y:g}: outside the photograph of {width} x {height} pixels")
    place = ((x + CENTRE) / width, (y + CENTRE) / height)
    if state.start is None:
        drawn = replace(state, start=place)
    elif math.hypot((place[0] - state.start[0]) * width, (place[1] - state.start[1]) * height) <= (
        _SAME + SLACK
    ) * max(width, height):
        drawn = replace(state, start=None, pins=(*state.pins, state.start))
    else:
        drawn = replace(state, start=None, drags=(*state.drags, (*state.start, *place)))
    return CanvasState.parse(drawn)


def mask_url(mask: np.ndarray) -> str:
    """A mask (h, w) bool as the data URL that the canvas shows, made smaller where it is large."""
    if mask.dtype != bool or mask.ndim != 2 or not mask.size:
        raise ValueError(f"mask: {mask.dtype} {mask.shape}, expected bool (height, width)")
    picture = Image.fromarray(mask.astype(np.uint8) * 255)
    picture.thumbnail((MASK_SIDE, MASK_SIDE), Image.Resampling.BOX)
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return _PNG + base64.b64encode(file.getvalue()).decode()


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < _HUGE  # NaN is not less


def _listed(name: str, value: dict[str, Any], longest: int) -> Sequence[Any]:
    items = value.get(name, [])
    if not isinstance(items, list | tuple):
        raise ValueError(f"{name}: {_kind(items)}, expected a list")
    if len(items) > longest:
        raise ValueError(f"{name}: {len(items)} given, {longest} at most")
    return items


def _shares(name: str, item: Any, count: int) -> tuple[Any, ...]:
    """Numbers of 0..1, rounding errors taken off."""
    if not isinstance(item, list | tuple) or len(item) != count or not all(map(_is_number, item)):
        raise ValueError(f"{name}: expected {count} finite numbers, shares of width and height")
    for share in item:
        if not -SLACK <= share <= 1 + SLACK:
            raise ValueError(f"{name}: {share:g} lies outside the photograph; expected shares, 0..1")
    return tuple(min(max(float(share), 0.0), 1.0) for share in item)


def _size(value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    is_pair = isinstance(value, list | tuple) and len(value) == 2 and all(type(side) is int for side in value)
    if not is_pair or not all(1 <= side <= MAX_SIDE for side in value):
        raise ValueError(f"size: expected width and height in whole pixels, 1..{MAX_SIDE}")
    return (value[0], value[1])


def _mask(value: Any, size: tuple[int, int] | None) -> str | None:
    if value is None or size is None:
        return value if value is None else ""
    if not isinstance(value, str) or not value.startswith(_PNG):
        raise ValueError("mask: expected a PNG as a data URL, data:image/png;base64,...")
    width, height = _grey(value).size
    if abs(width * size[1] - height * size[0]) > max(size):  # more than what rounding to pixels explains
        raise ValueError(f"mask: {width} x {height} pixels do not have the shape of {size[0]} x {size[1]}")
    return value


def _grey(url: str) -> Image.Image:
    """Decode a mask; what is transparent is black."""
    if len(url) > MAX_MASK_CHARACTERS:
        raise ValueError(f"mask: {len(url)} characters, {MAX_MASK_CHARACTERS} at most")
    try:
        with Image.open(
            io.BytesIO(base64.b64decode(url[len(_PNG) :], validate=True)), formats=["PNG"]
        ) as file:
            if max(file.size) > MAX_MASK_SIDE:
                raise ValueError(
                    f"mask: {file.width} x {file.height} pixels, {MAX_MASK_SIDE} at most on each side"
                )
            layers = file.convert("RGBA")
    except (binascii.Error, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError("mask: not a PNG that can be read") from error
    return Image.alpha_composite(Image.new("RGBA", layers.size, (0, 0, 0, 255)), layers).convert("L")


def _rounded(place: np.ndarray) -> list[float | None]:
    return [round(float(share) - CENTRE, _DIGITS) + 0.0 for share in place]  # no -0.0


def _cell(cell: Any, where: str) -> float | None:
    """A number of a table, or None where there is none."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    try:
        number = float(cell)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: {str(cell)[:40]!r} is not a number") from None
    if isinstance(cell, bool) or math.isinf(number):
        raise ValueError(f"{where}: {cell} is not a number of pixels")
    return None if math.isnan(number) else number
