from __future__ import annotations

import numpy as np
import pytest

from faces import metrics


def test_landmark_error_is_a_share_of_the_eyes_distance():
    wanted = np.zeros((1, 68, 2))
    wanted[0, 45] = (40, 0)
    assert metrics.landmark_error(wanted + (0, 4), wanted) == pytest.approx([0.1])


def test_iou_of_known_overlap():
    wanted = np.array([[[0, 0, 1, 1]]])
    found = np.array([[[0, 1, 1, 1]]])
    assert metrics.mean_iou(found, wanted) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics.mean_iou(wanted, wanted) == 1


def test_iou_of_some_pictures_out_of_counts_of_all():
    rng = np.random.default_rng(0)
    wanted = rng.integers(0, 3, (6, 8, 8))
    found = np.where(rng.random(wanted.shape) < 0.7, wanted, 0)
    both, either = metrics.overlaps(found, wanted)
    assert both.shape == either.shape == (6, 3)
    rows = np.array([0, 2, 2, 5])
    assert metrics.pooled_iou(both[rows], either[rows]) == metrics.mean_iou(found[rows], wanted[rows])
    lone = metrics.pooled_iou(np.array([[3, 0]]), np.array([[6, 0]]))
    assert lone == 0.5  # a class that is nowhere does not count


def test_correlations_by_column_and_nan_where_the_truth_rests():
    rng = np.random.default_rng(0)
    wanted = np.stack([rng.normal(size=200), np.zeros(200)], axis=1)
    found = np.stack([-2 * wanted[:, 0], rng.normal(size=200)], axis=1)
    each = metrics.correlations(found, wanted)
    assert each[0] == pytest.approx(-1) and np.isnan(each[1])


def test_auroc_by_hand_and_with_ties():
    positive = np.array([True, True, False, False])
    assert metrics.auroc(np.array([3, 1, 2, 0]), positive) == 0.75
    assert metrics.auroc(np.ones(4), positive) == 0.5
    with pytest.raises(ValueError, match="both kinds"):
        metrics.auroc(np.ones(4), np.ones(4, bool))


def test_calibration_error_of_an_overconfident_reader():
    wanted = np.array([0, 1] * 50)
    sure = np.tile([[0.9, 0.1]], (100, 1))
    assert metrics.calibration_error(sure, wanted, bins=1) == pytest.approx(0.4)
    assert metrics.calibration_error(np.full((100, 2), 0.5), wanted, bins=1) == pytest.approx(0.0)
