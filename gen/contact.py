"""Contact sheets: many pictures on one."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from gen.axes import ordered
from gen.overview import Overview

_PAPER = 255
_GAP = 4
MAX_ROWS, MAX_COLUMNS, MAX_SIDE = 16, 10, 128


def of(overview: Overview) -> np.ndarray:
    """One value of the recipe's `sheet` a row: an identity, its reference portrait first, or a label."""
    rows: dict[str, list[str]] = {}
    for record in overview.records:
        keys = rows.setdefault(record[overview.plan.recipe.sheet], [])
        if len(rows) <= MAX_ROWS and len(keys) < MAX_COLUMNS:
            keys.append(record["id"])
    pictures = overview.pictures(key for keys in rows.values() for key in keys)
    people = {anchor.id: anchor.image for anchor in overview.anchors}
    names = list(rows) if overview.plan.recipe.sheet == "identity_id" else ordered("expression", set(rows))
    chosen = [(name, rows[name]) for name in names[:MAX_ROWS]]
    return sheet([[people.get(name), *(pictures[key] for key in keys)] for name, keys in chosen])


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
