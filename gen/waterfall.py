"""What becomes of attempts cell by cell: checks that turn some looks down more often than others bias a set."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gen.axes import ordered
from gen.plan import Plan
from gen.record import column

Cell = tuple[Any, ...]
"""A value for each of some axes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Attempts over the cells of some axes."""

    axes: tuple[str, ...]
    planned: Mapping[Cell, int]
    kept: Mapping[Cell, int]
    lost: Mapping[Cell, Mapping[str, int]]
    """By the check that turned them down."""

    @property
    def name(self) -> str:
        """The axes in words."""
        return " x ".join(self.axes)

    @property
    def stages(self) -> list[str]:
        """Checks that turned an attempt down in any cell."""
        return list(dict.fromkeys(stage for lost in self.lost.values() for stage in lost))

    def rows(self) -> list[dict[str, Any]]:
        """One row a cell: its values by axis; planned, attempts, kept; and `out`, check -> attempts turned down."""
        return [
            {
                **dict(zip(self.axes, cell, strict=True)), "planned": count, "kept": self.kept.get(cell, 0),
                "attempts": self.kept.get(cell, 0) + sum(self.lost.get(cell, {}).values()),
                "out": dict(self.lost.get(cell, {})),
            }
            for cell, count in self.planned.items()
        ]  # fmt: skip


def tables(
    plan: Plan, records: Sequence[Mapping[str, Any]], rejected: Sequence[Mapping[str, Any]]
) -> list[Table]:
    """Count a table for each combination of axes that the recipe names.

    Args:
        plan: of the set.
        records: of its kept samples.
        rejected: rows of its rejected attempts, as `shards.rejected_rows` reads them.
    """
    return [_table(axes, plan, records, rejected) for axes in plan.recipe.cells()]


def _table(
    axes: tuple[str, ...],
    plan: Plan,
    records: Sequence[Mapping[str, Any]],
    rejected: Sequence[Mapping[str, Any]],
) -> Table:
    planned = collections.Counter(_cell(row.requested, axes) for row in plan.rows)
    places = [
        {value: place for place, value in enumerate(ordered(name, {cell[index] for cell in planned}))}
        for index, name in enumerate(axes)
    ]
    order = sorted(
        planned, key=lambda cell: [place[value] for place, value in zip(places, cell, strict=True)]
    )
    lost: dict[Cell, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    stages = ("error", *plan.recipe.stages)
    for row in sorted(rejected, key=lambda row: stages.index(row["rejected_by"])):
        lost[_cell(row["requested"], axes)][row["rejected_by"]] += 1
    return Table(
        axes=axes,
        planned={cell: planned[cell] for cell in order},
        kept=collections.Counter(tuple(record[column(name)] for name in axes) for record in records),
        lost=lost,
    )


def _cell(requested: Mapping[str, Any], axes: tuple[str, ...]) -> Cell:
    return tuple(requested.get(name) for name in axes)
