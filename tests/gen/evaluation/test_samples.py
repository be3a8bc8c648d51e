"""k-NN precision and recall, nearest training image."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation import samples


def brute(points, centres, k):
    def inside(point):
        for i, centre in enumerate(centres):
            others = sorted(np.linalg.norm(centre - other) for j, other in enumerate(centres) if j != i)
            if np.linalg.norm(point - centre) <= others[k - 1]:
                return True
        return False

    return [inside(point) for point in points]


def test_equals_brute_force(monkeypatch):
    monkeypatch.setattr(samples, "_CHUNK", 11)
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(30, 5)), rng.normal(size=(25, 5)) * 0.8 + 0.4
    for k in (1, 3):
        result = samples.precision_recall(real, generated, k)
        assert result.precise.tolist() == brute(generated, real, k)
        assert result.recalled.tolist() == brute(real, generated, k)


def test_known_sets():
    rng = np.random.default_rng(1)
    real = rng.normal(size=(200, 8))
    same = samples.precision_recall(real, real.copy())
    assert (same.precision, same.recall) == (1, 1)
    far = samples.precision_recall(real, real + 100)
    assert (far.precision, far.recall) == (0, 0)
    collapsed = samples.precision_recall(real, real[:1] + rng.normal(size=(200, 8)) * 1e-3)
    assert collapsed.precision == 1 and collapsed.recall < 0.05
    scattered = samples.precision_recall(real, rng.normal(size=(200, 8)) * 4)
    assert scattered.precision < 0.2 and scattered.recall > 0.9


def test_small_sets_are_refused():
    with pytest.raises(ValueError, match="3 generated images, not more than k = 3"):
        samples.precision_recall(np.zeros((9, 2)), np.zeros((3, 2)))


def test_a_copied_training_image_is_nearer_than_chance(monkeypatch):
    monkeypatch.setattr(samples, "_CHUNK", 13)
    rng = np.random.default_rng(2)
    pool, unseen = rng.normal(size=(400, 16)), rng.normal(size=(100, 16))
    limit = samples.copy_distance(unseen, pool)
    index, distance = samples.nearest(np.concatenate([pool[[5, 250]] + 0.01, unseen]), pool)
    assert index[:2].tolist() == [5, 250]
    assert np.flatnonzero(distance < limit)[:2].tolist() == [0, 1]
    assert (distance[2:] < limit).mean() <= 0.02
    with pytest.raises(ValueError, match="pool of training features is empty"):
        samples.nearest(unseen, pool[:0])
