"""Rendered heads unpacked from their shards into memory-mapped arrays: pixels, parsing, landmarks and labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faces import vocabulary
from train.data.cache import write_cache
from train.data.shards import ShardDataset

CARD = {
    "data": "Heads rendered from MakeHuman's CC0 assets by `mien heads`; none of them is a real person.",
    "data_licence": "CC0-1.0",
}
"""What the card of a network says that learnt from these heads."""
IGNORED = -100
"""Class number that torch's cross-entropy passes over."""
_FIELDS = ("image", "parsing", "landmarks")


class HeadArrays:
    """All heads of a folder of shards, or of several, in order.

    The arrays are computed once beside the shards (folder `arrays/` of the first) and mapped afterwards.

    Attributes:
        image: (n, s, s, 3) uint8.
        parsing: (n, s, s) uint8 ids of `vocabulary.PARSING`.
        landmarks: (n, 68, 2) float32 pixels.
        labels: one dict a head, as `HeadSpec.labels` gives it, with "caption".
        identity: (n,) int64 number of the person, counted from 0 in order of appearance.
    """

    def __init__(self, folder: Path | str | Sequence[Path], limit: int = 0) -> None:
        folders = [Path(folder)] if isinstance(folder, str | Path) else [Path(one) for one in folder]
        self.shards = ShardDataset(folders, (*_FIELDS, "spec"))
        count = min(limit, len(self.shards)) if limit else len(self.shards)
        source = {
            "shards": [
                json.loads(tar.with_suffix(".json").read_text())["sha256"] for tar in self.shards.shards
            ]
        }
        name = "-".join(["arrays", *(one.name for one in folders[1:])])
        cache = write_cache(folders[0] / name, source, len(self.shards), self._read, batch_size=256)
        self.image, self.parsing, self.landmarks = (cache.arrays[name][:count] for name in _FIELDS)
        self.labels = [_unflatten(row) for row in self.shards.labels().slice(0, count).to_pylist()]
        self.identity = np.unique([row["identity_id"] for row in self.labels], return_inverse=True)[1]

        order = np.argsort(self.identity, kind="stable")
        bounds = np.searchsorted(self.identity[order], np.arange(self.identity.max() + 2))
        self._people = [order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]

    def __len__(self) -> int:
        return len(self.labels)

    def partner(self, index: int, rng: np.random.Generator) -> int:
        """Another picture of the same person; the picture itself when there is no other."""
        others = self.others(index)
        return int(rng.choice(others)) if len(others) else index

    def others(self, index: int) -> np.ndarray:
        """All other pictures of the same person, (k,) indices."""
        own = self._people[self.identity[index]]
        return own[own != index]

    def spec(self, index: int) -> dict[str, Any]:
        """The whole spec of one head as JSON types."""
        return self.shards[index]["spec"]

    def _read(self, indices: range) -> dict[str, np.ndarray]:
        samples = [self.shards[index] for index in indices]
        return {name: np.stack([sample[name] for sample in samples]) for name in _FIELDS}


def attribute_arrays(labels: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Labels as arrays for losses: class numbers int64, the rest float32.

    Returns:
        expression, hair_colour, hair_style (n,) class numbers, `IGNORED` for a mixed expression; pose (n, 3)
        degrees; age (n,) years; gender and skin_tone (n,) 0..1; au (n, units) intensities.
    """

    def classes(name: str, values: tuple[str, ...]) -> np.ndarray:
        known = {value: number for number, value in enumerate(values)} | {vocabulary.MIXED: IGNORED}
        return np.array([known[row[name]] for row in labels], np.int64)

    return {
        "expression": classes("expression", vocabulary.EXPRESSIONS),
        "hair_colour": classes("hair_colour", vocabulary.HAIR_COLOURS),
        "hair_style": classes("hair_style", vocabulary.HAIR_STYLES),
        "pose": np.array([[row["yaw"], row["pitch"], row["roll"]] for row in labels], np.float32),
        "age": np.array([row["age_years"] for row in labels], np.float32),
        "gender": np.array([row["rendered_gender"] for row in labels], np.float32),
        "skin_tone": np.array([(row["skin_tone"] - 1) / 5 for row in labels], np.float32),
        "au": np.array([[row["au"][unit] for unit in vocabulary.ACTION_UNITS] for row in labels], np.float32),
    }


def unit_table(labels: list[dict[str, Any]]) -> np.ndarray:
    """Intensities in the order of `vocabulary.UNIT_COLUMNS`, (n, units) float32."""
    return np.array([[row["au"][unit] for unit in vocabulary.UNIT_COLUMNS] for row in labels], np.float32)


def unit_weights(units: np.ndarray) -> np.ndarray:
    """Weight of each column of (n, units) in a squared error, mean 1: rare action units count like frequent ones."""
    weights = 1 / np.maximum(units.var(axis=0), 1e-4)
    return (weights / weights.mean()).astype(np.float32)


def _unflatten(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: json.loads(value) if key in {"au", "gaze", "makeup", "marks"} else value
        for key, value in row.items()
    }
