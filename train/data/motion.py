"""Pairs for drag editing: a head before and after an edit, the flow between them, and drags that ask for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from faces.spread import spread
from train.data.cache import write_cache
from train.data.shards import ShardDataset

MOST = 68
"""Most drags and pins of a sample, as many as there are landmarks."""
_COUNTS = ((0.45, 1, 3), (0.30, 4, 10), (0.15, 11, 30), (0.10, MOST, MOST))
"""Share of the samples, and how many drags they have from and to; the last one drags all landmarks."""
_PLACES = {"landmarks": 0.5, "moving": 0.3, "anywhere": 0.2}
"""Where a sample's drags start -> share of the samples."""
_PINNED = 0.3
"""Share of the samples that have pins."""
_MOST_PINS = 5
_STILL = 0.25
"""Pixels below which a point counts as unmoved."""
_SLIP = 0.02
"""Standard deviation of what users miss a target by, as a share of the drag's length."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class DrawnDrags:
    """Drags and pins of one sample, padded to `MOST` rows."""

    sources: np.ndarray
    """(MOST, 2) float32 pixels."""
    vectors: np.ndarray
    """(MOST, 2) float32 pixels; zero for pins."""
    known: np.ndarray
    """(MOST,) bool, which rows there are."""


class MotionPairs:
    """Rendered pairs (`mien heads --motion`); a picture's partner is the same head in the other state.

    The arrays are computed once beside the shards and mapped afterwards.

    Attributes:
        image: (n, s, s, 3) uint8.
        flow: (n, s, s, 2) float16, to the partner, in pixels.
        seen: (n, s, s) bool, what the partner shows as well.
        head: (n, s, s) bool.
        landmarks: (n, 68, 2) float32 pixels.
        labels: one dict a picture, with "edit".

    Args:
        folder: of the shards.

    Raises:
        ValueError: heads that are no pairs.
    """

    def __init__(self, folder: Path) -> None:
        self._shards = ShardDataset(folder, ("image", "parsing", "landmarks", "flow"))
        source = [json.loads(tar.with_suffix(".json").read_text())["sha256"] for tar in self._shards.shards]
        cache = write_cache(
            Path(folder) / "motion", {"shards": source}, len(self._shards), self._read, batch_size=256
        ).arrays
        self.image, self.flow, self.seen = cache["image"], cache["flow"], cache["seen"]
        self.head, self.landmarks = cache["head"], cache["landmarks"]
        self.labels = self._shards.labels().to_pylist()

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def partner(index: int) -> int:
        """The other picture of a pair."""
        return index ^ 1

    def drags(self, index: int, rng: np.random.Generator, count: int | None = None) -> DrawnDrags:
        """Draw drags that take a picture to its partner, and pins.

        Args:
            index: of the picture.
            rng: source of every choice.
            count: of the drags, without pins and slips; by default drawn, often few.
        """
        flow, usable = np.array(self.flow[index]), np.array(self.seen[index])
        exact = count is not None
        count = _draw_count(rng) if count is None else count
        places = self._places(index, flow, usable, count, rng)
        columns, rows = places.T
        vectors = flow[rows, columns].astype(np.float32)
        if not exact:
            slip = rng.normal(0, _SLIP, vectors.shape) * np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors + slip
            places, vectors = _with_pins(places, vectors, flow, usable, rng)
        made = DrawnDrags(
            sources=np.zeros((MOST, 2), np.float32), vectors=np.zeros((MOST, 2), np.float32),
            known=np.arange(MOST) < len(places),
        )  # fmt: skip
        made.sources[: len(places)] = places[:MOST] + 0.5
        made.vectors[: len(places)] = vectors[:MOST]
        return made

    def _places(
        self, index: int, flow: np.ndarray, usable: np.ndarray, count: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Pixels (k, 2) that drags start in, as column and row; fewer where less is seen."""
        cells = np.floor(self.landmarks[index]).astype(int).clip(0, len(usable) - 1)
        cells = cells[usable[cells[:, 1], cells[:, 0]]]
        if count >= MOST:
            return cells
        kind = str(rng.choice(list(_PLACES), p=list(_PLACES.values())))
        if kind == "landmarks" and len(cells):
            return rng.permutation(cells)[:count]
        everywhere = np.argwhere(usable)[:, ::-1]
        if kind == "moving" and len(everywhere):
            length = np.linalg.norm(flow[everywhere[:, 1], everywhere[:, 0]].astype(np.float32), axis=1)
            fast = everywhere[length >= np.quantile(length, 0.7)]
            return spread(rng.permutation(fast)[:400], count)
        return rng.permutation(everywhere)[:count]

    def _read(self, indices: range) -> dict[str, np.ndarray]:
        samples = [self._shards[index] for index in indices]
        flow = np.stack([sample["flow"] for sample in samples])
        return {
            "image": np.stack([sample["image"] for sample in samples]),
            "flow": flow[..., :2].astype(np.float16),
            "seen": flow[..., 2] > 0,
            "head": np.stack([sample["parsing"] for sample in samples]) > 0,
            "landmarks": np.stack([sample["landmarks"] for sample in samples]),
        }


def _draw_count(rng: np.random.Generator) -> int:
    shares = [share for share, *_ in _COUNTS]
    _, low, high = _COUNTS[int(rng.choice(len(_COUNTS), p=shares))]
    return int(rng.integers(low, high + 1))


def _with_pins(
    places: np.ndarray, vectors: np.ndarray, flow: np.ndarray, usable: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Add points of the head that stay, in some of the samples."""
    if rng.random() >= _PINNED:
        return places, vectors
    still = np.argwhere(usable & (np.abs(flow).max(axis=-1) < _STILL))[:, ::-1]
    room = min(MOST - len(places), int(rng.integers(1, _MOST_PINS + 1)))
    pins = rng.permutation(still)[: max(room, 0)]
    return np.concatenate([places, pins]), np.concatenate([vectors, np.zeros((len(pins), 2), np.float32)])
