"""Whether a published checkpoint is whole: every tensor has a place and every place a tensor, or a report says why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch


class WrongShape(NamedTuple):
    """A tensor that does not fit its place."""

    key: str
    found: tuple[int, ...]
    expected: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupReport:
    """What became of the tensors of one part of a checkpoint, by their published names."""

    group: str
    loaded: int = 0
    """Tensors that fit."""
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[WrongShape, ...] = ()
    ignored: tuple[str, ...] = ()
    """Tensors that hold nothing."""
    dtypes: dict[str, int] = field(default_factory=dict)
    """Tensors of each type; all are cast to fp32."""

    @property
    def is_complete(self) -> bool:
        """Whether every tensor found its place and every place its tensor."""
        return not (self.missing or self.unexpected or self.misshapen)

    def __str__(self) -> str:
        """One line: the group, and the first keys of each kind of fault."""
        shapes = tuple(f"{key} {found} for {expected}" for key, found, expected in self.misshapen)
        faults = {"missing": self.missing, "unexpected": self.unexpected, "misshapen": shapes}
        listed = [f"{len(keys)} {name} ({', '.join(keys[:3])})" for name, keys in faults.items() if keys]
        return f"{self.group}: {self.loaded} tensors fit" + "".join(f", {x}" for x in listed)


class CheckpointMismatch(ValueError):
    """A checkpoint with missing, unexpected or misshapen tensors; all of them are in `reports`.

    Args:
        name: what it should be, such as "Stable-Makeup".
        reports: of all its parts.
    """

    def __init__(self, name: str, reports: Sequence[GroupReport]) -> None:
        self.reports = tuple(reports)
        faulty = "; ".join(str(report) for report in reports if not report.is_complete)
        super().__init__(f"not a whole {name} checkpoint: {faulty}")


def compare(
    group: str,
    places: Mapping[str, torch.Tensor],
    state: Mapping[str, torch.Tensor],
    ignored: Collection[str] = (),
) -> GroupReport:
    """Compare a part of a checkpoint with where its tensors go.

    Args:
        group: name of the part.
        places: published name -> a tensor of the shape that belongs there.
        state: what the file holds.
        ignored: names in it that hold nothing.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in places.items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items() if name not in ignored}
    wrong = [
        WrongShape(name, found[name], shape)
        for name, shape in expected.items()
        if found.get(name, shape) != shape
    ]
    return GroupReport(
        group=group,
        loaded=len(expected.keys() & found.keys()) - len(wrong),
        missing=tuple(sorted(expected.keys() - found.keys())),
        unexpected=tuple(sorted(found.keys() - expected.keys())),
        misshapen=tuple(wrong),
        ignored=tuple(sorted(ignored)),
        dtypes=dict(Counter(str(state[name].dtype) for name in found)),
    )
