"""Who is the reference of whom: cross pairs of one person (CrossFaceID, arXiv:2501.15407)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.data.heads import HeadArrays
from train.data.portraits import reference_side


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossPairs:
    """Chooses references: another picture of the person than the one that is drawn."""

    mirror: bool = True
    "Heads are drawn on both sides, and every other one is a reference on its mirrored side."
    same_image: bool = False
    "The very picture that is drawn is its reference."
    other_age: float = 0.7
    "Share of draws with a reference of another age band, where there is one."

    def draw(self, heads: HeadArrays, index: int, rng: np.random.Generator) -> tuple[int, int]:
        """On which side a head is drawn, and another picture of the person that is a reference on that side."""
        by_side: dict[int, list[int]] = {}
        for other in [] if self.same_image else self.partners(heads, index, rng):
            by_side.setdefault(reference_side(other, self.mirror), []).append(other)
        if not by_side:
            return reference_side(index, self.mirror), index
        side = int(rng.choice(sorted(by_side)))
        return side, int(rng.choice(by_side[side]))

    def same_side(self, heads: HeadArrays, index: int, side: int, partner: int) -> list[int]:
        """All pictures of a person that are references on a side: their mean is nearer to the person than one is."""
        if self.same_image:
            return [partner]
        return [row for row in (index, *heads.others(index)) if reference_side(row, self.mirror) == side]

    def partners(self, heads: HeadArrays, index: int, rng: np.random.Generator) -> list[int]:
        """The other pictures of a person, in a share of draws those of another age band alone."""
        others, own = heads.others(index).tolist(), heads.labels[index]["age_band"]
        older_or_younger = [other for other in others if heads.labels[other]["age_band"] != own]
        return older_or_younger if older_or_younger and rng.random() < self.other_age else others
