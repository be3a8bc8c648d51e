"""The examination of drag editing: pairs of pictures of people nobody was trained on, with the true flow of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from faces.alignment import resize_frame
from faces.flow import decode_flow
from faces.spread import spread
from gen.evaluation import retained, testdata
from gen.seeds import stream
from pipelines.drag.drags import Drags

FOLDER = "drag"
"""Of the set, below tests/data."""
SEED = 20261127
"""Of the drags."""
MOST = 68
"""A count that stands for all landmarks that both pictures show."""
PLACES = {"landmarks": 0.5, "moving": 0.3, "anywhere": 0.2}
"""Where the drags of an edit start -> share of the edits; as in training (train/data/motion.py), which `gen` cannot
import."""
_FAST, _CANDIDATES = 0.7, 400
"""Quantile of the motion from which a place counts as moving, and of how many such places far ones are chosen."""
_COLUMNS = ("file", "identity_id", "state", "edit", "landmarks")
_HOW = "render it with `mien heads --motion` and `python -m faces.head.heldout`, or pass --data FOLDER"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DragExam:
    """Pictures in the order of people; a picture's partner is the same head before or after an edit.

    An edit is named by the row of its source: its partner is the true target.
    """

    images: np.ndarray
    """(n, s, s, 3) uint8, canonical frames."""
    flows: np.ndarray
    """(n, s, s, 2) float32 pixels, to the partner; zero where no head is."""
    seen: np.ndarray
    """(n, s, s) bool, pixels of the head that the partner shows as well."""
    heads: np.ndarray
    """(n, s, s) bool, all that is no background."""
    landmarks: np.ndarray
    """(n, 68, 2) float32 pixels."""
    labels: list[dict]
    """One flat dict a picture, as `HeadSpec.labels()` gives it, and the kind of its edit."""

    @property
    def size(self) -> int:
        """Side of the pictures."""
        return self.images.shape[1]

    @property
    def persons(self) -> np.ndarray:
        """(n,) number of who is shown."""
        names = [row["identity_id"] for row in self.labels]
        order = {name: number for number, name in enumerate(dict.fromkeys(names))}
        return np.array([order[name] for name in names])

    @property
    def people(self) -> int:
        """Count them."""
        return int(self.persons.max()) + 1

    def edits(self, people: int | None = None) -> np.ndarray:
        """Rows of sources, ascending.

        Args:
            people: so many, evenly over the set, with one edit each, of which every other one goes back from the
                second picture to the first. None takes all edits of everybody, both ways.
        """
        if people is None:
            return np.arange(len(self.labels))
        chosen = np.linspace(0, self.people - 1, min(people, self.people)).round().astype(int)
        first = np.searchsorted(self.persons, chosen)
        return first + np.arange(len(first)) % 2

    def drags(self, row: int, count: int) -> Drags:
        """Draw drags that take a picture to its partner, without error; the fewer are among the more of an edit.

        Args:
            row: of the picture.
            count: of the drags; fewer where less is seen. `MOST` drags every landmark that both pictures show.
        """
        label = self.labels[row]
        starts = self._starts(row, count, stream(SEED, label["identity_id"], label["state"]))
        sources = (starts + 0.5).astype(np.float32)
        columns, rows = starts.T
        return Drags(
            sources=sources, targets=sources + self.flows[row][rows, columns],
            pins=np.zeros((0, 2), np.float32), size=(self.size, self.size),
        )  # fmt: skip

    def unmoved(self, row: int) -> np.ndarray:
        """Pixels that an edit has to leave as they are, (s, s) bool."""
        other = partner(row)
        occluded, disoccluded = (
            retained.hidden(self.heads[one], self.seen[one], self.heads[two])
            for one, two in ((row, other), (other, row))
        )
        return retained.unmoved(self.flows[row], self.flows[other], occluded, disoccluded)

    def resized(self, size: int) -> DragExam:
        """The same at another size; flow and masks take the nearest pixel's, since silhouettes do not mix."""
        if size == self.size:
            return self
        scale = size / self.size
        return DragExam(
            images=resize_frame(self.images, size),
            flows=np.stack([_nearest(flow, size) for flow in self.flows]) * np.float32(scale),
            seen=np.stack([_nearest(one.astype(np.uint8), size) > 0 for one in self.seen]),
            heads=np.stack([_nearest(one.astype(np.uint8), size) > 0 for one in self.heads]),
            landmarks=self.landmarks * np.float32(scale),
            labels=self.labels,
        )

    def _starts(self, row: int, count: int, rng: np.random.Generator) -> np.ndarray:
        """Pixels (k, 2) that drags start in, as column and row."""
        seen, everywhere = self.seen[row], np.argwhere(self.seen[row])[:, ::-1]
        cells = np.floor(self.landmarks[row]).astype(int).clip(0, self.size - 1)
        cells = cells[seen[cells[:, 1], cells[:, 0]]]
        if count >= MOST and len(cells):
            return cells
        kind = str(rng.choice(list(PLACES), p=list(PLACES.values())))
        if kind == "landmarks" and len(cells):
            return rng.permutation(cells)[:count]
        if kind == "moving":
            length = np.linalg.norm(self.flows[row][seen], axis=1)
            fast = everywhere[length >= np.quantile(length, _FAST)]
            return spread(rng.permutation(fast)[:_CANDIDATES], count)
        return rng.permutation(everywhere)[:count]


def partner(row: int) -> int:
    """Row of the other picture of a pair."""
    return row ^ 1


def find(data: Path | None = None) -> Path:
    """Find the folder of the set: as given or below that, else tests/data/drag of the clone.

    Raises:
        FileNotFoundError: naming the places searched and the commands that make the set.
    """
    return testdata.find("drag exam", FOLDER, data, within=("", FOLDER), how=_HOW)


def load(data: Path | None = None) -> DragExam:
    """Read the set.

    Raises:
        FileNotFoundError: the set, one of its pictures, flows or label maps is absent.
        ValueError: it is no set of pairs, saying why.
    """
    folder = find(data)
    table = pq.read_table(folder / "labels.parquet")
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise ValueError(f"{folder / 'labels.parquet'}: columns {', '.join(missing)} are missing: {_HOW}")
    rows = sorted(table.to_pylist(), key=lambda row: (_number(row["identity_id"]), row["state"]))
    _check_pairs(rows, folder)
    stems = [row["file"].removesuffix(".webp") for row in rows]
    moves = [decode_flow((folder / f"{stem}.flow.png").read_bytes()) for stem in stems]
    made = DragExam(
        images=np.stack([_open(folder / row["file"], "RGB") for row in rows]),
        flows=np.stack([flow for flow, _ in moves]),
        seen=np.stack([seen for _, seen in moves]),
        heads=np.stack([_open(folder / f"{stem}.parsing.png", None) for stem in stems]) > 0,
        landmarks=np.array([row["landmarks"] for row in rows], np.float32).reshape(len(rows), -1, 2),
        labels=rows,
    )
    _check_sight(made, folder)
    return made


def _check_pairs(rows: Sequence[dict], folder: Path) -> None:
    """Refuse a set with pictures that have no partner, or of one person alone."""
    people: dict[str, list[int]] = {}
    for row in rows:
        people.setdefault(row["identity_id"], []).append(row["state"])
    odd = next((name for name, own in people.items() if own != list(range(len(own))) or len(own) % 2), None)
    if odd is not None:
        raise ValueError(f"{folder}: person {odd} has pictures {people[odd]}, not pairs from 0 on: {_HOW}")
    if len(people) < 2:
        raise ValueError(
            f"{folder}: {len(people)} people; flows are shuffled between people, so two at least"
        )


def _check_sight(exam: DragExam, folder: Path) -> None:
    """Refuse pictures in which nothing could be dragged."""
    hidden = np.flatnonzero(~exam.seen.any(axis=(1, 2)))
    if len(hidden):
        raise ValueError(
            f"{folder}: nothing of {exam.labels[hidden[0]]['file']} is shown by its partner as well"
        )


def _nearest(values: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(values, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)


def _number(name: str) -> tuple[str, ...]:
    """Order "63-10" after "63-9"."""
    return tuple(f"{int(part):09d}" if part.isdigit() else part for part in name.split("-"))


def _open(path: Path, mode: str | None) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert(mode) if mode else image)
