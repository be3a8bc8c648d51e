"""Pairs for makeup: one face before and after, and another person who wears the look."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

from faces.makeup import MakeupLook
from train.data.heads import HeadArrays

BARE = "bare"


class MakeupPairs:
    """Rendered heads with shared makeup (`mien heads --makeup shared`), and who wears what.

    Attributes:
        heads: the pictures; those of a person differ in makeup alone.
        vectors: (n, 20) float32 look of each picture, see `MakeupLook.vector`.
        bare: (n,) int64 the same person without makeup.
        style: (n,) int64 number of each picture's look; all bare faces have one number.

    Args:
        folder: of the shards.

    Raises:
        ValueError: heads without shared makeup.
    """

    def __init__(self, folder: Path) -> None:
        self.heads = HeadArrays(folder)
        if "style" not in self.heads.labels[0]:
            raise ValueError(f"{folder}: these heads share no makeup; render them with --makeup shared")
        names = [row["style"] for row in self.heads.labels]
        self.is_bare = np.array([name == BARE for name in names])
        self.style = np.unique(names, return_inverse=True)[1]
        self.vectors = np.stack([MakeupLook.from_labels(row["makeup"]).vector() for row in self.heads.labels])
        first = {int(person): row for row, person in enumerate(self.heads.identity) if self.is_bare[row]}
        self.bare = np.array([first[int(person)] for person in self.heads.identity])
        wearers: dict[int, list[int]] = defaultdict(list)
        for index, style in enumerate(self.style):
            wearers[int(style)].append(index)
        self._wearers = {style: np.array(rows) for style, rows in wearers.items()}

    def __len__(self) -> int:
        return len(self.heads)

    def source(self, target: int, rng: np.random.Generator, bare_share: float) -> int:
        """The same face in other makeup: bare with a probability, where that is another picture."""
        others = self.heads.others(target)
        bare = others[self.is_bare[others]]
        return int(rng.choice(bare if len(bare) and rng.random() < bare_share else others))

    def reference(self, target: int, rng: np.random.Generator) -> int:
        """Another person in the same makeup, or as bare."""
        wearers = self._wearers[int(self.style[target])]
        person = self.heads.identity[target]
        while True:  # a look has several wearers, and bare is everybody
            chosen = int(rng.choice(wearers))
            if self.heads.identity[chosen] != person:
                return chosen
