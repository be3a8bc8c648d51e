"""The examination of makeup: people nobody was trained on, each bare and in looks that others wear too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from faces import vocabulary
from faces.alignment import resize_frame
from faces.makeup import LAYERS, REGIONS, MakeupLook
from gen.evaluation import testdata

FOLDER = "makeup"
"""Of the set, below tests/data."""
BARE = "bare"
"""Style of a picture without makeup: the first of every person."""
_COLUMNS = ("file", "identity_id", "state", "style", "makeup")
_HOW = "render it with `python -m faces.head.heldout`, or pass --data FOLDER"


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeupExam:
    """People in the order of their numbers, each bare first; pictures of a person differ in makeup alone."""

    images: np.ndarray
    """(n, s, s, 3) uint8, canonical frames."""
    alphas: np.ndarray
    """(n, s, s, 4) uint8: opacity of each layer of `faces.makeup.LAYERS` where it shows."""
    parsing: np.ndarray
    """(n, s, s) uint8 ids of `vocabulary.PARSING`."""
    labels: list[dict]
    """One flat dict a picture, as `HeadSpec.labels()` gives it, and the name of its style."""

    @property
    def size(self) -> int:
        """Side of the pictures."""
        return self.images.shape[1]

    @property
    def pictures(self) -> int:
        """Pictures of each person, the bare one included."""
        return len({row["state"] for row in self.labels})

    @property
    def people(self) -> int:
        """Count them."""
        return len(self.labels) // self.pictures

    @property
    def persons(self) -> np.ndarray:
        """(n,) number of who is shown."""
        return np.arange(len(self.labels)) // self.pictures

    @property
    def styles(self) -> np.ndarray:
        """(n,) names of the styles."""
        return np.array([row["style"] for row in self.labels])

    @property
    def groups(self) -> np.ndarray:
        """(people,) number of the group of each person: those who wear the same looks."""
        worn = self.styles.reshape(-1, self.pictures)[:, 1]
        return np.unique(worn, return_inverse=True)[1]

    def row(self, person: int, picture: int = 0) -> int:
        """Index of a picture of a person; 0 is bare."""
        return person * self.pictures + picture

    def companions(self, person: int) -> np.ndarray:
        """The others of a person's group, the next one first."""
        group = np.flatnonzero(self.groups == self.groups[person])
        return np.roll(group, -int(np.flatnonzero(group == person)[0]))[1:]

    def spread(self, count: int) -> list[int]:
        """Choose `count` people evenly over the set (all when there are fewer), ascending."""
        return np.unique(
            np.linspace(0, self.people - 1, min(count, self.people)).round().astype(int)
        ).tolist()

    def look(self, row: int) -> MakeupLook:
        """What is worn in a picture, as colours."""
        return MakeupLook.from_labels(self.labels[row]["makeup"])

    def alpha(self, row: int) -> np.ndarray:
        """Opacity of each layer in a picture, (s, s, 4) float 0..1."""
        return self.alphas[row] / 255

    def weight(self, row: int, region: str | None = None) -> np.ndarray:
        """How much of what shows is makeup, of a region or of all: layers over each other, (s, s) float 0..1."""
        layers = LAYERS if region is None else REGIONS[region]
        return 1 - np.prod(1 - self.alpha(row)[..., [LAYERS.index(name) for name in layers]], axis=-1)

    def face(self, row: int) -> np.ndarray:
        """Where the face is, hair over it left out, (s, s) bool."""
        return np.isin(self.parsing[row], vocabulary.PARTS["face"])

    def resized(self, size: int) -> MakeupExam:
        """The same at another size."""
        if size == self.size:
            return self
        shape = (size, size)
        return MakeupExam(
            images=resize_frame(self.images, size),
            alphas=np.stack([cv2.resize(one, shape, interpolation=cv2.INTER_AREA) for one in self.alphas]),
            parsing=np.stack(
                [cv2.resize(one, shape, interpolation=cv2.INTER_NEAREST_EXACT) for one in self.parsing]
            ),
            labels=self.labels,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Transfer:
    """A bare person, and another one who wears what it shall wear. All but `person` are rows of the exam."""

    person: int
    source: int
    reference: int
    target: int
    """The true render of what is asked for."""


def transfers(exam: MakeupExam, people: Sequence[int], looks: int) -> list[Transfer]:
    """So many looks for each person; every companion is a reference in turn."""
    made = []
    for number, person in enumerate(people):
        companions = exam.companions(person)
        for turn in range(min(looks, exam.pictures - 1)):
            picture = 1 + (number + turn) % (exam.pictures - 1)
            other = int(companions[(number + turn) % len(companions)])
            made.append(
                Transfer(
                    person=person, source=exam.row(person), reference=exam.row(other, picture),
                    target=exam.row(person, picture),
                )
            )  # fmt: skip
    return made


def find(data: Path | None = None) -> Path:
    """Find the folder of the set: as given or below that, else tests/data/makeup of the clone.

    Raises:
        FileNotFoundError: naming the places searched and the command that makes the set.
    """
    return testdata.find("makeup exam", FOLDER, data, within=("", FOLDER), how=_HOW)


def load(data: Path | None = None) -> MakeupExam:
    """Read the set.

    Raises:
        FileNotFoundError: the set or one of its pictures is absent.
        ValueError: it is no set with shared makeup, saying why.
    """
    folder = find(data)
    table = pq.read_table(folder / "labels.parquet")
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise ValueError(f"{folder / 'labels.parquet'}: columns {', '.join(missing)} are missing: {_HOW}")
    rows = sorted(table.to_pylist(), key=lambda row: (_number(row["identity_id"]), row["state"]))
    _check(rows, folder)
    stems = [row["file"].removesuffix(".webp") for row in rows]
    return MakeupExam(
        images=np.stack([_open(folder / row["file"], "RGB") for row in rows]),
        alphas=np.stack([_open(folder / f"{stem}.alpha.png", None) for stem in stems]),
        parsing=np.stack([_open(folder / f"{stem}.parsing.png", None) for stem in stems]),
        labels=[row | {"makeup": json.loads(row["makeup"])} for row in rows],
    )


def _check(rows: list[dict], folder: Path) -> None:
    """Refuse a set whose people do not have the same number of pictures, or wear what nobody else wears."""
    people: dict[str, list[dict]] = {}
    for row in rows:
        people.setdefault(row["identity_id"], []).append(row)
    states = [row["state"] for row in next(iter(people.values()), [])]
    wearers: dict[str, set[str]] = {}
    for name, own in people.items():
        bare = [row["style"] == BARE for row in own]
        if [row["state"] for row in own] != states or bare != [True] + [False] * (len(states) - 1):
            raise ValueError(
                f"{folder}: person {name} does not have one bare picture and as many looks as others"
            )
        for row in own:
            wearers.setdefault(row["style"], set()).add(name)
    alone = next((style for style, names in wearers.items() if len(names) < 2), None)
    if not rows or len(states) < 2 or alone is not None:
        raise ValueError(
            f"{folder}: style {alone} is worn by one person alone; a reference is another person: {_HOW}"
        )


def _number(name: str) -> tuple[int | str, ...]:
    """Order "44-10" after "44-9"."""
    return tuple(f"{int(part):09d}" if part.isdigit() else part for part in name.split("-"))


def _open(path: Path, mode: str | None) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode) if mode else image)
