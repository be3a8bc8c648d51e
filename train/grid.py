"""Contact sheets: rows of pictures on disk, with or without a tracker."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from faces.provenance import Provenance, save_image


def to_uint8(images: torch.Tensor) -> np.ndarray:
    """(n, 3, h, w) in [-1, 1] -> (n, h, w, 3) uint8."""
    return ((images.float().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def save_grid(path: Path, rows: list[np.ndarray], gap: int = 2) -> None:
    """Write rows of (n, h, w, 3) uint8 pictures as one PNG that says a network drew it."""
    tallest = max(len(row) for row in rows)
    height, width = rows[0].shape[1:3]
    sheet = np.full((len(rows) * (height + gap) - gap, tallest * (width + gap) - gap, 3), 255, np.uint8)
    for r, row in enumerate(rows):
        for c, picture in enumerate(row):
            sheet[r * (height + gap) :, c * (width + gap) :][:height, :width] = picture
    made = Provenance(
        digital_source_type="trainedAlgorithmicMedia", pipeline="train", model=path.parents[1].name
    )
    save_image(sheet, path, made)
