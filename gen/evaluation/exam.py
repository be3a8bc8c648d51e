"""The examination of face analysis: renders of people, materials and lights that no training showed, with labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from faces import vocabulary
from gen.evaluation import testdata

FOLDERS = {"first": "exam", "second": "exam-second"}
"""Look -> folder below tests/data: `second` is rendered without shadows, in wider shapes."""
_HOW = "render it with `python -m faces.head.heldout`, or pass --data FOLDER"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exam:
    """n pictures in the canonical frame with what is true of them."""

    images: np.ndarray
    """(n, s, s, 3) uint8."""
    parsing: np.ndarray
    """(n, s, s) uint8 ids of `vocabulary.PARSING`."""
    landmarks: np.ndarray
    """(n, 68, 2) float32 pixels."""
    labels: list[dict]
    """One flat dict a picture, as `HeadSpec.labels()` gives it."""

    @property
    def identities(self) -> np.ndarray:
        """(n,) identity of each picture."""
        return np.array([row["identity_id"] for row in self.labels])

    @property
    def units(self) -> np.ndarray:
        """(n, k) intensities in the order of `vocabulary.UNIT_COLUMNS`."""
        return np.array([[row["au"][name] for name in vocabulary.UNIT_COLUMNS] for row in self.labels])

    @property
    def pose(self) -> np.ndarray:
        """(n, 3) yaw, pitch, roll in degrees."""
        return np.array([[row["yaw"], row["pitch"], row["roll"]] for row in self.labels])

    @property
    def expression(self) -> np.ndarray:
        """(n,) names, `vocabulary.MIXED` for a face that shows none of the basic ones."""
        return np.array([row["expression"] for row in self.labels])

    def __getitem__(self, rows: np.ndarray | slice) -> Exam:
        """Take some of the pictures."""
        numbers = np.arange(len(self.labels))[rows]
        return Exam(
            images=self.images[rows],
            parsing=self.parsing[rows],
            landmarks=self.landmarks[rows],
            labels=[self.labels[number] for number in numbers],
        )


def load(look: str, data: Path | None = None, every: int = 1) -> Exam:
    """Read one look of the exam.

    Args:
        look: a key of `FOLDERS`.
        data: folder that holds both; None for tests/data of the clone.
        every: reads the pictures of every so many people.

    Raises:
        FileNotFoundError: the set is absent, naming the places searched.
    """
    folder = testdata.find("exam", FOLDERS[look], data, within=(FOLDERS[look],), how=_HOW)
    rows = sorted(
        pq.read_table(folder / "labels.parquet").to_pylist(),
        key=lambda row: (row["identity_id"], row["state"]),
    )
    chosen = set(sorted({row["identity_id"] for row in rows})[::every])
    rows = [row for row in rows if row["identity_id"] in chosen]
    stems = [row["file"].removesuffix(".webp") for row in rows]
    return Exam(
        images=np.stack([_open(folder / row["file"], "RGB") for row in rows]),
        parsing=np.stack([_open(folder / f"{stem}.parsing.png", "L") for stem in stems]),
        landmarks=np.array([row["landmarks"] for row in rows], np.float32).reshape(-1, 68, 2),
        labels=[row | {"au": json.loads(row["au"]), "makeup": json.loads(row["makeup"])} for row in rows],
    )


def through_a_camera(images: np.ndarray, seed: int = 0) -> np.ndarray:
    """Blur, sensor noise and JPEG on images (n, s, s, 3) uint8: what the second look adds to its renders."""
    seen = np.empty_like(images)
    for number, image in enumerate(images):
        rng = np.random.default_rng([seed, number])
        x = cv2.GaussianBlur(image.astype(np.float32), (0, 0), float(rng.uniform(0.3, 1.0)))
        x += 255 * rng.uniform(0.01, 0.03) * rng.standard_normal(x.shape)
        pixels = x.clip(0, 255).astype(np.uint8)
        packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 76))])[1]
        seen[number] = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return seen


def _open(path: Path, mode: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode) if mode == "RGB" else image)
