"""Pictures side by side under headings: how every sheet of the documentation is laid out."""

from __future__ import annotations

import cv2
import numpy as np

_LABEL = 18
"""Pixels of the line that headings stand in."""


def tiled(rows: list[list[np.ndarray]], across: list[str], down: list[str] | None) -> np.ndarray:
    """Tile pictures under their headings, with a name before each row if given."""
    left = 64 if down else 0
    height, width = rows[0][0].shape[:2]
    sheet = np.full((_LABEL + height * len(rows), left + width * len(rows[0]), 3), 255, np.uint8)
    for column, text in enumerate(across):
        write(sheet, text, left + width * column + 4, 13)
    for number, row in enumerate(rows):
        if down:
            write(sheet, down[number], 4, _LABEL + height * number + height // 2)
        top = _LABEL + height * number
        sheet[top : top + height, left:] = np.hstack(row)
    return sheet


def write(sheet: np.ndarray, text: str, x: int, y: int) -> None:
    """Write in a picture, which changes; the text begins at (x, y) on its baseline."""
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
