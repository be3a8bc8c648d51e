"""Sheets of the texture task, written as PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gen.evaluation import plots
from gen.evaluation.texture_exam import TextureExam
from pipelines.texture.provenance import TexelOrigin

if TYPE_CHECKING:
    from gen.evaluation.texture import Read

_SHOWN = 10
_SIZE = 256
_COLOURS = {
    TexelOrigin.SEEN: (70, 160, 90),
    TexelOrigin.MIRRORED: (90, 150, 220),
    TexelOrigin.GENERATED: (225, 150, 60),
}


def draw(
    folder: Path,
    pipe: Any,
    exam: TextureExam,
    read: Read,
    made: Mapping[str, torch.Tensor],
    origins: np.ndarray,
) -> None:
    """Write textures.png: a row a head, from the picture by way of the guesses to the truth.

    Args:
        folder: where to.
        pipe: whose layout.
        exam: n heads.
        read: what pictures show of them.
        made: (n, 3, s, s) in [-1, 1] by name.
        origins: (n, s, s) of `texel_origins`.
    """
    rows = np.linspace(0, len(exam) - 1, min(_SHOWN, len(exam))).round().astype(int)
    seen = torch.from_numpy(origins == TexelOrigin.SEEN)[:, None]
    columns = {
        "picture": [exam.pictures[row] for row in rows],
        "seen": [_bytes(read.known[row]) for row in rows],
        "where from": [_coloured(origins[row], pipe.layout.valid) for row in rows],
    }
    titles = {"mirror": "mirror image", "pca": "PCA fit", "model": "completed"}
    for name, title in titles.items():
        columns[title] = [_bytes(torch.where(seen[row], read.known[row], made[name][row])) for row in rows]
    columns["truth"] = [exam.textures[row] for row in rows]
    plots.sheet(folder / "textures.png", columns, _SIZE)


def _coloured(origins: np.ndarray, valid: np.ndarray) -> np.ndarray:
    picture = np.full((*origins.shape, 3), 255, np.uint8)
    for origin, colour in _COLOURS.items():
        picture[(origins == origin) & valid] = colour
    return picture


def _bytes(texture: torch.Tensor) -> np.ndarray:
    return ((texture.clamp(-1, 1) / 2 + 0.5).movedim(0, -1).numpy() * 255).round().astype(np.uint8)
