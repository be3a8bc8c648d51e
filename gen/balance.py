"""The balance planner: which combination of attribute values each row of a dataset asks for.

Balance is wanted jointly, not only on each axis: a set with as many women as men and as many old as young
people may still have no old women. Rows are chosen one after another, each time the combination that is
furthest behind its target, so that every beginning of the plan is balanced too, not only the whole.
"""

from __future__ import annotations

import collections
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MAX_CANDIDATES = 2048
"""Combinations compared for one row; with more cells than this, each row compares a random choice of them."""


def combinations(
    axes: Mapping[str, Mapping[Any, float]], count: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Choose `count` combinations of axis values whose joint histogram follows the axes' weights.

    Args:
        axes: axis name -> {value: weight}; weights need not sum to 1, axes are independent.
        count: rows to plan.
        rng: breaks ties.

    Returns:
        One dict per row. With at least as many rows as cells, no cell is further than one row (up to ties
        among unequal weights) from its share of the rows; with fewer, axes and pairs of axes come first.
    """
    if not axes:
        return [{} for _ in range(count)]
    targets = [_shares(name, weights) for name, weights in axes.items()]
    views = _views(targets, joint_first=count >= math.prod(len(target) for target in targets))
    values = [list(weights) for weights in axes.values()]
    rows = []
    for step in range(1, count + 1):
        cells = _candidates(targets, rng)
        order = np.lexsort([rng.random(len(cells)), *(view.excess(cells, step) for view in reversed(views))])
        chosen = cells[order[0]]
        for view in views:
            view.add(chosen)
        rows.append({name: values[axis][chosen[axis]] for axis, name in enumerate(axes)})
    return rows


def total_variation(
    rows: Sequence[Mapping[str, Any]], axes: Mapping[str, Mapping[Any, float]]
) -> tuple[float, int]:
    """Compare the joint histogram of rows with the target of the axes.

    Returns:
        The total-variation distance in [0, 1] and the smallest number of rows in any cell of the target.
    """
    shares = {name: dict(zip(axes[name], _shares(name, axes[name]), strict=True)) for name in axes}
    counts = collections.Counter(tuple(row[name] for name in axes) for row in rows)
    targets = {
        cell: math.prod(float(shares[name].get(value, 0)) for name, value in zip(axes, cell, strict=True))
        for cell in counts
    }
    distance = sum(abs(found / len(rows) - targets[cell]) for cell, found in counts.items())
    distance += 1 - sum(targets.values())  # cells that no row has
    filled = sum(target > 0 for target in targets.values()) == math.prod(map(len, shares.values()))
    return max(0.0, distance / 2), min(counts.values()) if filled else 0


class _View:
    """Row counts over a subset of the axes beside their targets."""

    def __init__(self, groups: list[tuple[int, ...]], targets: list[np.ndarray]):
        self.tables = [_Table(group, targets) for group in groups]

    def excess(self, cells: np.ndarray, step: int) -> np.ndarray:
        """Rows above the target that each cell already has, summed over the tables, (cells,)."""
        return np.round(sum(table.excess(cells, step) for table in self.tables), 9)

    def add(self, cell: np.ndarray) -> None:
        for table in self.tables:
            table.counts[table.index(cell)] = table.counts.get(table.index(cell), 0) + 1


class _Table:
    def __init__(self, group: tuple[int, ...], targets: list[np.ndarray]):
        self.group = list(group)
        self.shares = [targets[axis] for axis in group]
        self.radix = np.cumprod([1, *(len(share) for share in self.shares[:-1])])
        self.counts: dict[int, int] = {}

    def index(self, cell: np.ndarray) -> int:
        return int(cell[self.group] @ self.radix)

    def excess(self, cells: np.ndarray, step: int) -> np.ndarray:
        share = np.ones(len(cells))
        for axis, shares in zip(self.group, self.shares, strict=True):
            share = share * shares[cells[:, axis]]
        keys = cells[:, self.group] @ self.radix
        counts = np.array([self.counts.get(key, 0) for key in keys.tolist()])
        return counts - step * share


def _views(targets: list[np.ndarray], joint_first: bool) -> list[_View]:
    """Views from the most to the least important; later ones break the ties of earlier ones."""
    axes = range(len(targets))
    joint = _View([tuple(axes)], targets)
    parts = _View([(axis,) for axis in axes] + list(itertools.combinations(axes, 2)), targets)
    if len(targets) == 1:
        return [joint]
    return [joint, parts] if joint_first else [parts, joint]


def _candidates(targets: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Cells to compare, (cells, axes) value indices: all of them, or a random choice when there are many."""
    sizes = [len(target) for target in targets]
    if math.prod(sizes) <= MAX_CANDIDATES:
        return np.array(list(np.ndindex(*sizes)))
    return np.stack([rng.choice(len(target), MAX_CANDIDATES // 4, p=target) for target in targets], axis=1)


def _shares(name: str, weights: Mapping[Any, float]) -> np.ndarray:
    values = np.array(list(weights.values()), dtype=np.float64)
    if not len(values) or (values <= 0).any() or not np.isfinite(values).all():
        raise ValueError(
            f"axis '{name}' has weights {dict(weights)}, permitted: one or more values, weights above 0"
        )
    return values / values.sum()
