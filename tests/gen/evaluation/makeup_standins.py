"""A makeup pipeline that knows the exam by heart, and an exam of drawings that the stand-in judge can read.

Pictures are 128 px as in `standins`: cells of 8 px, rows 0 to 3 of them the identity. Below is skin of a person's own
colour with four layers of makeup, and a bar whose place the stand-in analyzer takes for landmarks. The last column of
cells is background.
"""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from faces import vocabulary
from faces.makeup import BARE, LAYERS, MakeupLook
from gen.evaluation.makeup_exam import MakeupExam
from gen.evaluation.retention import paste
from tests.gen.evaluation.standins import StandInJudge

PLACES = {
    "lips": (slice(98, 110), slice(40, 80)),
    "shadow": (slice(52, 62), slice(30, 90)),
    "liner": (slice(66, 69), slice(30, 90)),
    "blush": (slice(76, 92), slice(20, 50)),
}
"""Of the first of a group; each next one wears everything lower."""
LOWER = 5
MARK = slice(40, 48), slice(0, 112)
"""Where the bar is that stands for landmarks."""


def exam(groups: int = 5, looks: int = 4, size: int = 4, seed: int = 0) -> MakeupExam:
    """Draw groups of `size` people who share looks; the first look of every group has liner and no shadow."""
    rng = np.random.default_rng(seed)
    styles = [[_style(rng, number == 0) for number in range(looks)] for _ in range(groups)]
    images, alphas, labels = [], [], []
    for person in range(groups * size):
        bare = np.full((128, 128, 3), rng.uniform(90, 220, 3))
        bare[:32] = np.kron(rng.uniform(0, 255, (4, 16)), np.ones((8, 8)))[..., None]
        bare[:, 120:] = rng.uniform(0, 255, 3)
        bare[MARK] = 20
        bare[MARK][:, 4 * (person % 20) : 4 * (person % 20) + 8] = 240
        group = person // size
        for picture in range(looks + 1):
            layers = styles[group][picture - 1] if picture else []
            image, alpha = bare.copy(), np.zeros((128, 128, 4), np.uint8)
            for layer in layers:
                place = worn_at(layer["region"], person % size)
                colour = 255 * np.array(layer["colour"]) ** (1 / 2.2)
                image[place] += layer["alpha"] * (colour - image[place])
                alpha[(*place, LAYERS.index(layer["region"]))] = round(255 * layer["alpha"])
            images.append(image.round().astype(np.uint8))
            alphas.append(alpha)
            labels.append(
                {
                    "identity_id": f"7-{person}", "state": picture, "file": f"7-{person}-{picture}.webp",
                    "style": f"7-{group}-{picture}" if picture else "bare", "makeup": layers,
                }
            )  # fmt: skip
    parsing = np.full((128, 128), vocabulary.PARSING.index("skin"), np.uint8)
    parsing[:, 120:] = vocabulary.PARSING.index("background")
    return MakeupExam(
        images=np.stack(images), alphas=np.stack(alphas),
        parsing=np.repeat(parsing[None], len(images), axis=0), labels=labels,
    )  # fmt: skip


def worn_at(layer: str, member: int) -> tuple[slice, slice]:
    """Where a member of a group wears a layer."""
    rows, columns = PLACES[layer]
    return slice(rows.start + LOWER * member, rows.stop + LOWER * member), columns


def _style(rng: np.random.Generator, lined: bool) -> list[dict]:
    layers = ("lips", "liner", "blush") if lined else ("lips", "shadow", "blush")
    return [
        {
            "region": name, "colour": rng.uniform(0.01, 0.25, 3).round(4).tolist(),
            "alpha": round(float(rng.uniform(0.5, 0.9)), 3), "extent": 0.5,
        }
        for name in layers
    ]  # fmt: skip


def write(drawn: MakeupExam, folder) -> None:
    """Write the exam as the package reads it."""
    folder.mkdir(parents=True, exist_ok=True)
    for row, image, alpha, parsing in zip(
        drawn.labels, drawn.images, drawn.alphas, drawn.parsing, strict=True
    ):
        stem = row["file"].removesuffix(".webp")
        Image.fromarray(image).save(folder / row["file"], lossless=True, quality=100)
        Image.fromarray(alpha).save(folder / f"{stem}.alpha.png")
        Image.fromarray(parsing).save(folder / f"{stem}.parsing.png")
    rows = [row | {"makeup": json.dumps(row["makeup"])} for row in reversed(drawn.labels)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "labels.parquet")


class StandInAnalyzer:
    """Takes the place of the bright part of the bar for 68 landmarks."""

    def analyze_aligned(self, frames: np.ndarray) -> list[SimpleNamespace]:
        faces = []
        for frame in frames:
            place = float(frame[MARK][4, :, 0].argmax())
            points = np.tile([[50.0 + place, 50.0]], (68, 1))
            points[36], points[45] = (30 + place, 50), (80 + place, 50)
            faces.append(SimpleNamespace(landmarks=points))
        return faces


class StandInMakeup:
    """A perfect makeup pipeline, or one with a planted fault.

    Faults: "idle" gives the source back; "pasting" pastes the reference's pixels; "random" puts on another look of the
    group; "deaf" is as strong at every strength but 0; "telling" has codes that name the person; "leaky" holds the
    judge; "published" has no encoder of looks.
    """

    def __init__(self, drawn: MakeupExam, fault: str = "") -> None:
        self.exam, self.fault = drawn, fault
        self.frame_size = drawn.size
        self.analyzer = StandInAnalyzer()
        self.components = {"unet": StandInJudge() if fault == "leaky" else torch.nn.Linear(9, 9)}
        self.makeup_encoder = None if fault == "published" else self._codes
        self.rows = {image.tobytes(): row for row, image in enumerate(drawn.images)}
        self.names = sorted(set(drawn.styles))
        self.calls: list[int] = []

    def reference_states(self, frames: np.ndarray) -> list[int]:
        return [self.rows[frame.tobytes()] for frame in frames]

    def _codes(self, rows: list[int]) -> torch.Tensor:
        codes = np.zeros((len(rows), len(self.names) + self.exam.people))
        for number, row in enumerate(rows):
            codes[number, self.names.index(self.exam.styles[row])] = 1
            if self.fault == "telling":
                codes[number, len(self.names) + self.exam.persons[row]] = 2
        return torch.from_numpy(codes)

    def __call__(self, image, makeup, strength, aligned, output_type, generator):
        assert aligned and output_type == "np"
        self.calls.append(len(image))
        made = [self._one(*asked) for asked in zip(image, makeup, strength, generator, strict=True)]
        return SimpleNamespace(images=made)

    def _one(self, image, makeup, strength, generator) -> np.ndarray:
        row = self.rows[image.tobytes()]
        person = self.exam.persons[row]
        picture = self._picture(person, makeup)
        if self.fault == "idle":
            return image / 255
        if self.fault == "random" and picture:
            picture = 1 + picture % (self.exam.pictures - 1)
        if self.fault == "deaf":
            strength = float(strength > 0)
        goal = self.exam.images[self.exam.row(person, picture)].astype(float)
        if self.fault == "pasting" and isinstance(makeup, np.ndarray) and makeup.ndim == 3:
            reference = self.rows[makeup.tobytes()]
            goal = paste(self.exam, SimpleNamespace(source=row, reference=reference)).astype(float)
        return np.clip(image + strength * (goal - image), 0, 255) / 255

    def _picture(self, person: int, makeup) -> int:
        """Which of a person's pictures shows the look."""
        if isinstance(makeup, MakeupLook):
            rows = range(self.exam.row(person), self.exam.row(person, self.exam.pictures - 1) + 1)
            return next(row for row in rows if self.exam.look(row) == makeup) % self.exam.pictures
        if makeup.ndim == 1:
            return int(self.names[int(makeup[: len(self.names)].argmax())].split("-")[-1])
        return self.rows[makeup.tobytes()] % self.exam.pictures


assert MakeupLook.from_labels([]) == BARE  # a bare picture's look is found by its labels
