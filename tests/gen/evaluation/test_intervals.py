"""Bootstrap over identities."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation.intervals import bootstrap_interval, mean_interval


def test_interval_is_seeded_and_holds_the_value():
    values, people = np.random.default_rng(0).normal(3, 1, 200), np.arange(200)
    low, high = mean_interval(values, people, draws=400)
    assert (low, high) == mean_interval(values, people, draws=400)
    assert (low, high) != mean_interval(values, people, draws=400, seed=1)
    assert low < values.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 / np.sqrt(200), rel=0.2)


def test_images_of_one_person_are_not_independent():
    """Ten equal images a person: drawing images would give an interval sqrt(10) times too narrow."""
    values = np.repeat(np.random.default_rng(1).normal(size=40), 10)
    by_person = mean_interval(values, np.repeat(np.arange(40), 10), draws=500)
    by_image = mean_interval(values, np.arange(400), draws=500)
    assert np.ptp(by_person) / np.ptp(by_image) == pytest.approx(np.sqrt(10), rel=0.2)


def test_coverage_is_about_95_percent():
    hits = 0
    for seed in range(100):
        values = np.random.default_rng(seed).normal(size=60)
        low, high = mean_interval(values, np.arange(60), draws=200, seed=seed)
        hits += low <= 0 <= high
    assert 86 <= hits <= 100


def test_any_statistic_and_no_items():
    values = np.arange(10.0)
    low, high = bootstrap_interval(np.arange(10), lambda items: float(np.median(values[items])), draws=200)
    assert 0 <= low <= 4.5 <= high <= 9
    with pytest.raises(ValueError, match="no items"):
        mean_interval(np.array([]), [])
