"""Sheets of the texture task, written as PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gen.evaluation import plots
from gen.evaluation.texture_exam import TextureExam
from pipelines.texture.provenance import TexelOrigin, draw_origins

if TYPE_CHECKING:
    from gen.evaluation.texture import Read

_SHOWN = 10
_SIZE = 256


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
        "where from": [draw_origins(origins[row], pipe.layout.valid) for row in rows],
    }
    titles = {"mirror": "mirror image", "pca": "PCA fit", "model": "completed"}
    for name, title in titles.items():
        columns[title] = [_bytes(torch.where(seen[row], read.known[row], made[name][row])) for row in rows]
    columns["truth"] = [exam.textures[row] for row in rows]
    plots.sheet(folder / "textures.png", columns, _SIZE)


def _bytes(texture: torch.Tensor) -> np.ndarray:
    return ((texture.clamp(-1, 1) / 2 + 0.5).movedim(0, -1).numpy() * 255).round().astype(np.uint8)
