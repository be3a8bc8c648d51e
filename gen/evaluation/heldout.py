"""The held-out heads: renders of people that no network was trained on, with exact labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from gen.evaluation import testdata

STATES = 3
"""Pictures of each head: 0 the reference, 1 and 2 other poses, expressions and looks."""
_COLUMNS = {
    "file",
    "identity_id",
    "state",
    "expression",
    "pose",
    "yaw",
    "hair_colour",
    "hair_style",
    "age_years",
}
_HOW = "render them with `python -m faces.head.heldout`, or pass --data FOLDER"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldOut:
    """Held-out pictures in the order head 0 state 0, head 0 state 1, ..."""

    images: np.ndarray
    """(n, size, size, 3) uint8, canonical frame."""
    labels: list[dict]
    """One flat dict a picture, as `HeadSpec.labels()` gives it."""

    @property
    def heads(self) -> int:
        """Number of identities."""
        return len(self.labels) // STATES

    @property
    def identities(self) -> np.ndarray:
        """(n,) identity of each picture."""
        return np.array([row["identity_id"] for row in self.labels])

    def row(self, head: int, state: int) -> int:
        """Index of the picture that shows a head in a state."""
        return head * STATES + state

    def spread(self, count: int) -> np.ndarray:
        """Choose `count` heads evenly over the set (all when there are fewer), ascending."""
        return np.unique(np.linspace(0, self.heads - 1, min(count, self.heads)).round().astype(int))


def find(data: Path | None = None) -> Path:
    """Find the folder of the held-out heads: as given, else tests/data/heads of the clone.

    Raises:
        FileNotFoundError: naming the places searched and the command that makes the set.
    """
    return testdata.find("held-out heads", "heads", data, how=_HOW)


def load(data: Path | None = None) -> HeldOut:
    """Read the held-out set.

    Raises:
        FileNotFoundError: when the set or one of its pictures is absent.
        ValueError: when columns or states are missing, naming them.
    """
    folder = find(data)
    table = pq.read_table(folder / "labels.parquet")
    missing = _COLUMNS - set(table.column_names)
    if missing:
        raise ValueError(
            f"{folder / 'labels.parquet'}: columns {', '.join(sorted(missing))} are missing: {_HOW}"
        )
    rows = sorted(table.to_pylist(), key=lambda row: (row["identity_id"], row["state"]))
    states: dict[str, list[int]] = {}
    for row in rows:
        states.setdefault(row["identity_id"], []).append(row["state"])
    bad = next((name for name, found in states.items() if found != list(range(STATES))), None)
    if bad is not None:
        raise ValueError(
            f"{folder / 'labels.parquet'}: head {bad} has states {states[bad]}, not 0, 1, 2: {_HOW}"
        )
    return HeldOut(images=np.stack([_open(folder / row["file"]) for row in rows]), labels=rows)


def _open(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def first_reference(data: Path | None = None) -> np.ndarray:
    """Read one reference picture and nothing else, (h, w, 3) uint8."""
    folder = find(data)
    rows = pq.read_table(folder / "labels.parquet", columns=["file", "state"]).to_pylist()
    return _open(folder / next(row["file"] for row in rows if row["state"] == 0))
