"""C5, C6: demographic metrics and balance."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation import fairness


def planted(false_non_matches: dict, false_matches: dict, size: int = 100):
    """Scores of which a known number in each group falls on the wrong side of 0.5."""
    genuine, impostor, groups = [], [], []
    for group, wrong in false_non_matches.items():
        genuine += [0.2] * wrong + [0.8] * (size - wrong)
        impostor += [0.8] * false_matches[group] + [0.2] * (size - false_matches[group])
        groups += [group] * size
    return np.array(genuine), groups, np.array(impostor), groups


def test_equal_groups_are_perfectly_fair():
    errors = fairness.group_errors(*planted({1: 7, 2: 7, 3: 7}, {1: 4, 2: 4, 3: 4}), threshold=0.5)
    assert errors.accuracy_sd == 0
    assert errors.accuracy_gap == 0
    assert errors.skewed_error_ratio == 1
    assert errors.fairness_discrepancy_rate() == 1
    assert (errors.fmr_ratio, errors.fnmr_ratio) == (1, 1)


def test_planted_shift_is_measured_exactly():
    errors = fairness.group_errors(*planted({"light": 10, "dark": 30}, {"light": 2, "dark": 6}), 0.5)
    assert errors.groups == ("dark", "light")
    assert errors.accuracy == pytest.approx([0.82, 0.94])
    assert errors.accuracy_sd == pytest.approx(0.06)
    assert errors.skewed_error_ratio == pytest.approx(3)
    assert (errors.fmr_ratio, errors.fnmr_ratio) == pytest.approx((3, 3))
    assert errors.fairness_discrepancy_rate(0.5) == pytest.approx(1 - 0.5 * 0.04 - 0.5 * 0.2)
    assert errors.fairness_discrepancy_rate(1.0) == pytest.approx(0.96)


def test_one_faultless_group_makes_the_ratio_infinite():
    errors = fairness.group_errors(*planted({1: 0, 2: 5}, {1: 0, 2: 0}), threshold=0.5)
    assert errors.skewed_error_ratio == np.inf
    assert errors.fmr_ratio == 1


def test_a_group_without_pairs_is_named():
    genuine, groups, impostor, _ = planted({1: 0, 2: 0}, {1: 0, 2: 0})
    with pytest.raises(ValueError, match="group 3: 0 genuine and 1 impostor"):
        fairness.group_errors(genuine, groups, np.append(impostor, 0.1), [*groups, 3], 0.5)


def test_balanced_plan_is_within_rounding():
    target = fairness.uniform_target(("woman", "man"), ("young", "elderly"), (1, 2, 3))
    assert len(target) == 12
    cells = list(target)
    even = fairness.balance([cells[i % 12] for i in range(120)], target)
    assert (even.total_variation, even.minimum) == (pytest.approx(0), 10)
    assert even.effective_cells == pytest.approx(12)
    assert even.chi_square_p == pytest.approx(1)
    rounded = fairness.balance([cells[i % 12] for i in range(125)], target)
    assert rounded.total_variation <= 12 / 125


def test_uneven_joint_table_is_caught_though_the_marginals_are_even():
    target = fairness.uniform_target("ab", "xy")
    rows = [("a", "x"), ("b", "y")] * 50
    result = fairness.balance(rows, target)
    assert result.total_variation == pytest.approx(0.5)
    assert (result.minimum, result.effective_cells) == (0, pytest.approx(2))
    assert result.chi_square_p < 1e-6
    assert fairness.balance([row[:1] for row in rows], fairness.uniform_target("ab")).total_variation == 0


def test_a_stranger_to_the_target_is_named():
    with pytest.raises(ValueError, match=r"\('c',\) is in no cell"):
        fairness.balance([("c",)], fairness.uniform_target("ab"))
    with pytest.raises(ValueError, match="sums to 0.5"):
        fairness.balance([("a",)], {("a",): 0.5})
