"""Contact sheets: many pictures on one."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from faces.flow import flow_colours
from gen.axes import ordered
from gen.overview import Overview, decode
from gen.record import Entry

_PAPER = 255
_GAP = 4
MAX_ROWS, MAX_COLUMNS, MAX_SIDE = 16, 10, 128
_MOTION_TILES, _TEXTURE_TILES = 3, 2
_DRAG, _PIN = (225, 20, 60), (20, 90, 230)
_SHIFT = 4
"""Fractional bits of the coordinates that OpenCV draws at."""


def of(overview: Overview) -> np.ndarray:
    """One value of the recipe's `sheet` a row: an identity, its reference portrait first, a label, or an edit."""
    rows: dict[str, list[str]] = {}
    for record in overview.records:
        if record["role"] == "after":  # it is shown as the target of another picture
            continue
        keys = rows.setdefault(record[overview.plan.recipe.sheet], [])
        most = MAX_COLUMNS // _columns(record)
        if len(rows) <= MAX_ROWS and len(keys) < most:
            keys.append(record["id"])
    entries = overview.entries(key for keys in rows.values() for key in keys)
    people = {anchor.id: anchor.image for anchor in overview.anchors}
    names = list(rows) if overview.plan.recipe.sheet == "identity_id" else ordered("expression", set(rows))
    chosen = [(name, rows[name]) for name in names[:MAX_ROWS]]
    return sheet(
        [[people.get(name), *(tile for key in keys for tile in tiles(entries[key]))] for name, keys in chosen]
    )


def _columns(record: Mapping[str, Any]) -> int:
    """Tiles that a sample takes, see `tiles`."""
    return _MOTION_TILES if record["target_id"] else _TEXTURE_TILES if record["mesh_id"] else 1


def tiles(entry: Entry) -> list[np.ndarray]:
    """Show a sample, (h, w, 3) uint8 each: its picture; a texture with a head that wears it, a pair with its motion."""
    picture = decode(entry.png)
    if entry.preview is not None:
        return [picture, decode(entry.preview)]
    if entry.flow is None or entry.target is None:
        return [picture]
    drawn = with_drags(picture, np.array(entry.record["drags_5"]), np.array(entry.record["pins"]))
    return [drawn, flow_colours(entry.flow[..., :2]), decode(entry.target)]


def with_drags(picture: np.ndarray, drags: np.ndarray, pins: np.ndarray) -> np.ndarray:
    """Draw arrows from sources to targets, and rings around pins.

    Args:
        picture: (h, w, 3) uint8; it is not changed.
        drags: (k, 2, 2) pixels.
        pins: (m, 2) pixels.
    """
    drawn = picture.copy()
    unit = max(1, round(picture.shape[1] / 128))
    for rim in (True, False):  # all rims first, so that none covers an arrow
        grown = unit if rim else 0
        for source, target in drags.reshape(-1, 2, 2):
            colour = (_PAPER,) * 3 if rim else _DRAG
            width = unit + grown
            tip = min(0.5, 4 * unit / max(float(np.linalg.norm(target - source)), 1e-6))
            cv2.arrowedLine(drawn, _fixed(source), _fixed(target), colour, width, cv2.LINE_AA, _SHIFT, tip)
            cv2.circle(drawn, _fixed(source), (unit + grown) << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
        for pin in pins.reshape(-1, 2):
            colour = (_PAPER,) * 3 if rim else _PIN
            cv2.circle(drawn, _fixed(pin), 2 * unit << _SHIFT, colour, unit + grown, cv2.LINE_AA, _SHIFT)
    return drawn


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """A point as OpenCV draws it, which counts centres of pixels from 0, we from 0.5."""
    x, y = np.rint((point - 0.5) * 2**_SHIFT).astype(int)
    return int(x), int(y)


def sheet(rows: Sequence[Sequence[np.ndarray | None]]) -> np.ndarray:
    """Lay out pictures (h, w, 3) uint8 in rows on white; None leaves a place empty.

    A column without any picture is left out.
    """
    width = max((len(row) for row in rows), default=0)
    full = [[*row, *[None] * (width - len(row))] for row in rows]
    columns = [index for index in range(width) if any(row[index] is not None for row in full)]
    sizes = [max(picture.shape[:2]) for row in full for picture in row if picture is not None]
    side = min(MAX_SIDE, max(sizes, default=1))
    step = side + _GAP
    canvas = np.full(
        (max(1, len(full)) * step + _GAP, max(1, len(columns)) * step + _GAP, 3), _PAPER, np.uint8
    )
    for top, row in enumerate(full):
        for left, index in enumerate(columns):
            picture = row[index]
            if picture is not None:
                tile = fit(picture, side)
                y, x = top * step + _GAP, left * step + _GAP
                canvas[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return canvas


def fit(picture: np.ndarray, side: int) -> np.ndarray:
    """Shrink a picture so that it fits a square; never enlarges."""
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = (max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale)))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def jpeg(picture: np.ndarray, quality: int = 88) -> bytes:
    """Encode (h, w, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
