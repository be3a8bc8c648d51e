"""The examination of textures: exact textures of people nobody was trained on, and pictures of their own meshes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from gen.evaluation import testdata

FOLDER = "texture"
"""Of the set, below tests/data."""
BINS = ((0, 15), (15, 30), (30, 45), (45, 60))
"""Degrees of yaw to either side."""
_COLUMNS = ("name", "identity_id", "yaw", "pitch", "landmarks")
_HOW = "draw it with python -m gen.evaluation.texture_heads, or pass --data FOLDER"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TextureExam:
    """n heads, each of another person, one picture each."""

    textures: np.ndarray
    """(n, s, s, 3) uint8, exact."""
    pictures: np.ndarray
    """(n, p, p, 3) uint8, without light."""
    lit: np.ndarray
    """(n, p, p, 3) uint8, the same in some light."""
    parsing: np.ndarray
    """(n, p, p) uint8 ids of `vocabulary.PARSING`."""
    landmarks: np.ndarray
    """(n, 68, 2) float32 pixels, points of the head."""
    yaw: np.ndarray
    """(n,) degrees."""

    def __len__(self) -> int:
        """Count the heads."""
        return len(self.yaw)

    def some(self, count: int) -> TextureExam:
        """So many of them, evenly over the set, whose order is that of yaw."""
        rows = np.linspace(0, len(self) - 1, min(count, len(self))).round().astype(int)
        return TextureExam(
            textures=self.textures[rows], pictures=self.pictures[rows], lit=self.lit[rows],
            parsing=self.parsing[rows], landmarks=self.landmarks[rows], yaw=self.yaw[rows],
        )  # fmt: skip

    def within(self, low: float, high: float) -> np.ndarray:
        """Which heads are turned by so much to either side, (n,) bool."""
        turned = np.abs(self.yaw)
        return (turned >= low) & (turned < high)


def load(data: Path | None = None) -> TextureExam:
    """Read the set from tests/data/texture of the clone, or from a folder.

    Raises:
        FileNotFoundError: the set or one of its pictures is absent.
        ValueError: columns are missing.
    """
    folder = testdata.find("texture exam", FOLDER, data, within=("", FOLDER), how=_HOW)
    table = pq.read_table(folder / testdata.LABELS)
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise ValueError(f"{folder / testdata.LABELS}: columns {', '.join(missing)} are missing: {_HOW}")
    rows = sorted(table.to_pylist(), key=lambda row: row["yaw"])

    def pictures(suffix: str) -> np.ndarray:
        return np.stack([np.asarray(Image.open(folder / f"{row['name']}{suffix}")) for row in rows])

    return TextureExam(
        textures=pictures(".texture.webp"),
        pictures=pictures(".webp"),
        lit=pictures(".lit.webp"),
        parsing=pictures(".parsing.png"),
        landmarks=np.array([row["landmarks"] for row in rows], np.float32).reshape(len(rows), -1, 2),
        yaw=np.array([row["yaw"] for row in rows], np.float32),
    )
