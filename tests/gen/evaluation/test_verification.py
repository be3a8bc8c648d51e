"""C3: verification metrics against closed forms of Gaussian scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from gen.evaluation import verification as metrics

COUNT, SEPARATION = 40_000, 2.0


@pytest.fixture(scope="module")
def gaussian():
    rng = np.random.default_rng(7)
    return rng.normal(SEPARATION, 1, COUNT), rng.normal(0, 1, COUNT)


def test_equal_error_rate_of_gaussians_is_phi_of_minus_half_d_prime(gaussian):
    expected = norm.cdf(-SEPARATION / 2)
    # Both rates are binomial proportions; their crossing has the error of their mean.
    error = np.sqrt(expected * (1 - expected) / COUNT / 2)
    assert abs(metrics.equal_error_rate(*gaussian) - expected) <= 3 * error


def test_tar_at_far_of_gaussians(gaussian):
    for far in (0.1, 0.01, 0.001):
        tar, threshold = metrics.tar_at_far(*gaussian, far)
        expected = norm.sf(norm.isf(far) - SEPARATION)
        slope = norm.pdf(norm.isf(far) - SEPARATION) / norm.pdf(norm.isf(far))
        error = np.sqrt(expected * (1 - expected) / COUNT + slope**2 * far * (1 - far) / COUNT)
        assert abs(tar - expected) <= 3 * error
        assert (gaussian[1] > threshold).mean() <= far


def test_d_prime_fisher_ratio_and_area(gaussian):
    assert abs(metrics.d_prime(*gaussian) - SEPARATION) <= 3 * np.sqrt((2 + SEPARATION**2 / 4) / COUNT)
    assert abs(metrics.fisher_ratio(*gaussian) - SEPARATION**2 / 2) < 0.06
    area = norm.cdf(SEPARATION / np.sqrt(2))
    assert abs(metrics.area_under_curve(*gaussian) - area) < 3 * np.sqrt(area * (1 - area) / COUNT)


def test_hand_values():
    genuine, impostor = np.array([0.9, 0.8, 0.4, 0.7]), np.array([0.1, 0.5, 0.2, 0.3])
    assert metrics.area_under_curve(genuine, impostor) == pytest.approx(15 / 16)
    assert metrics.equal_error_rate(genuine, impostor) == pytest.approx(0.25)
    assert metrics.d_prime(genuine, impostor) == pytest.approx(0.425 / np.sqrt((0.035 + 0.021875) / 2))
    assert metrics.area_under_curve(np.ones(3), np.ones(5)) == 0.5
    assert metrics.equal_error_rate(np.ones(3), np.zeros(3)) == 0
    assert metrics.equal_error_rate(np.zeros(3), np.ones(3)) == 1


def test_far_below_ten_errors_is_refused():
    impostor = np.linspace(0, 1, 1000, endpoint=False)
    assert metrics.threshold_at_far(impostor, 0.01) == pytest.approx(0.989)
    with pytest.raises(metrics.NotResolvable, match=r"FAR 0.0099 is not resolvable with 1000 .* 0.01"):
        metrics.threshold_at_far(impostor, 0.0099)
    with pytest.raises(ValueError, match="outside|inside"):
        metrics.threshold_at_far(impostor, 0)


def test_ties_never_exceed_the_false_accept_rate():
    impostor = np.repeat([0.1, 0.5], [900, 100])
    threshold = metrics.threshold_at_far(impostor, 0.05)
    assert threshold == 0.5
    assert (impostor > threshold).mean() == 0


def test_roc_runs_from_all_accepted_to_none(gaussian):
    thresholds, far, tar = metrics.roc(*gaussian)
    assert (far[0], tar[0], far[-1], tar[-1]) == (1, 1, 0, 0)
    assert (np.diff(far) <= 0).all() and (np.diff(tar) <= 0).all() and (np.diff(thresholds) > 0).all()


def test_pair_scores_counts_every_pair_once():
    embeddings = np.eye(4)[[0, 0, 1, 2]]
    genuine, impostor = metrics.pair_scores(embeddings, np.array(["a", "a", "b", "b"]))
    assert sorted(genuine) == [0, 1]
    assert len(impostor) == 4 and not impostor.any()


def test_bad_scores_are_named():
    with pytest.raises(ValueError, match="no genuine scores"):
        metrics.d_prime(np.array([]), np.ones(3))
    with pytest.raises(ValueError, match="impostor scores: 1 of 2 are not finite"):
        metrics.threshold_at_far(np.array([np.nan, 1.0]), 0.5)
