"""The balance planner (check C6)."""

from __future__ import annotations

import collections

import numpy as np
import pytest

from gen.balance import combinations, total_variation

EQUAL = {"a": {"x": 1, "y": 1, "z": 1}, "b": {1: 1, 2: 1}, "c": {True: 1, False: 1}}


def plan(axes, count, seed=0):
    return combinations(axes, count, np.random.default_rng(seed))


@pytest.mark.parametrize("count", [12, 13, 24, 30, 61])
def test_equal_weights_fill_the_joint_table_to_within_one_row(count):
    rows = plan(EQUAL, count)
    distance, smallest = total_variation(rows, EQUAL)
    spare = count % 12
    assert smallest == count // 12
    assert distance == pytest.approx(
        spare * (12 - spare) / 12 / count, abs=1e-9
    )  # the least that rounding permits


def test_weights_are_followed():
    axes = {"a": {"x": 3, "y": 1}, "b": {1: 1, 2: 1, 3: 2}}
    distance, smallest = total_variation(plan(axes, 96), axes)
    assert distance <= 2 / 96 and smallest >= 5


def test_every_beginning_of_a_plan_is_balanced():
    rows = plan(EQUAL, 60)
    for count in (6, 12, 36):
        counts = collections.Counter(row["a"] for row in rows[:count])
        assert max(counts.values()) - min(counts.values()) <= 1
    assert plan(EQUAL, 24) == rows[:24]


def test_fewer_rows_than_cells_balance_axes_and_pairs():
    axes = {name: dict.fromkeys(range(6), 1) for name in "abcdef"}
    rows = plan(axes, 180)
    for name in axes:
        counts = collections.Counter(row[name] for row in rows)
        assert min(counts.values()) >= 28 and max(counts.values()) <= 32
    pairs = collections.Counter((row["a"], row["d"]) for row in rows)
    assert len(pairs) == 36 and max(pairs.values()) <= 7


def test_total_variation_sees_imbalance():
    rows = [{"a": "x", "b": 1, "c": True}] * 12
    distance, smallest = total_variation(rows, EQUAL)
    assert distance == pytest.approx(11 / 12) and smallest == 0


@pytest.mark.parametrize("weights", [{}, {"x": 0}, {"x": 1, "y": -1}, {"x": float("nan")}])
def test_weights_that_mean_nothing_are_refused(weights):
    with pytest.raises(ValueError, match="axis 'a' has weights"):
        plan({"a": weights}, 2)
