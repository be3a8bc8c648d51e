"""What a worker makes of a planned row, and who makes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from gen.plan import PlanRow


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One made image with its measurements and the verdict of the checks."""

    row: PlanRow
    image: np.ndarray | None = None
    """(h, w, 3) uint8; None when making it failed."""
    measured: dict[str, Any] = field(default_factory=dict)
    """What was measured on the picture, apart from what was requested."""
    labels: dict[str, Any] = field(default_factory=dict)
    """What was decided about the picture, by the names of its columns (see `gen.labels`)."""
    facts: dict[str, Any] = field(default_factory=dict)
    """How this picture was made, by the names of columns, where that is not what `Maker.facts` says of all."""
    caption: str = ""
    """What the picture shows, in words; the prompt where it is empty."""
    landmarks: np.ndarray | None = None
    """(68, 2) float32, pixels of the image."""
    parsing: np.ndarray | None = None
    """(h, w) uint8 ids of `faces.vocabulary.PARSING`, in the frame of the image."""
    masks: np.ndarray | None = None
    """(h, w, 3) uint8: weights of three regions. Of makeup, those that it may change, 0 where no byte did (see
    `gen.looks`); of a pair with drags, what is seen in both pictures, what moves and what stays (see `gen.drags`)."""
    flow: np.ndarray | None = None
    """(h, w, 3) float32: (dx, dy) in pixels from each point of the image to its place in `target`, and 1 where that
    shows the point, else 0. Kept to 1/128 px by the files."""
    target: np.ndarray | None = None
    """(h, w, 3) uint8: the same face after an edit, the other picture of a pair."""
    target_parsing: np.ndarray | None = None
    """(h, w) uint8 ids of `faces.vocabulary.PARSING`, of `target`."""
    visibility: np.ndarray | None = None
    """(h, w) uint8: how well a view of a head shows each texel of the image, where that is a texture; 255 is wholly."""
    partial: np.ndarray | None = None
    """(h, w, 3) uint8: the texture where the visibility is above 0, else black."""
    preview: np.ndarray | None = None
    """(p, p, 3) uint8: a head that wears the texture, from the front."""
    rejected_by: str | None = None
    """The check that turned the sample down; None for a sample that is kept."""
    reason: str = ""
    """Why, in words."""
    failed: bool = False
    """True when no usable picture came out at all (an error, or numbers that are not finite)."""

    @property
    def kept(self) -> bool:
        """Whether the sample belongs to the dataset."""
        return self.rejected_by is None


class Maker(Protocol):
    """Makes samples; lives in one worker and holds the loaded models."""

    facts: dict[str, Any]
    """Record fields that all samples share: model, scheduler, steps, guidance."""

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make one batch, in the order of the rows. The result of a row depends on its own seed only."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A report of progress."""

    stage: str
    """"identities" or "images"."""
    done: int
    total: int
    kept: int
    rejected: int


Progress = Callable[[Step], None]
