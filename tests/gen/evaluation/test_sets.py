"""C1, C2, C7, C8: uniqueness, consistency and diversity, leakage, cross pairs."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation import sets


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def planted(identities: int, duplicates: int, seed: int = 0) -> np.ndarray:
    """Orthogonal identities, then near copies of the first `duplicates` of them."""
    rng = np.random.default_rng(seed)
    base = np.eye(identities)
    return unit(np.concatenate([base, base[:duplicates] + rng.normal(size=(duplicates, identities)) * 1e-3]))


def brute_greedy(references: np.ndarray, threshold: float) -> list[bool]:
    kept: list[int] = []
    for i in range(len(references)):
        if all(float(references[i] @ references[j]) < threshold for j in kept):
            kept.append(i)
    return [i in kept for i in range(len(references))]


def brute_sequential(references: np.ndarray, threshold: float) -> list[bool]:
    scores = references @ references.T
    return [all(scores[i, j] < threshold for j in range(i)) for i in range(len(references))]


def test_uniqueness_of_planted_duplicates_is_known():
    references = planted(40, 10)
    for unique in (sets.greedy_unique(references, 0.5), sets.sequential_unique(references, 0.5)):
        assert unique.tolist() == [True] * 40 + [False] * 10
        assert unique.mean() == 0.8


@pytest.mark.parametrize("threshold", [0.0, 0.2, 0.4, 0.7])
def test_uniqueness_equals_brute_force(threshold, monkeypatch):
    monkeypatch.setattr(sets, "_CHUNK", 7)
    references = unit(np.random.default_rng(1).normal(size=(60, 6)))
    assert sets.greedy_unique(references, threshold).tolist() == brute_greedy(references, threshold)
    assert sets.sequential_unique(references, threshold).tolist() == brute_sequential(references, threshold)


def test_the_two_definitions_differ_on_a_chain():
    """b is like a, c is like b but not like a: greedy drops b alone, the other definition drops both."""
    angles = np.deg2rad([0, 40, 80])
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert sets.greedy_unique(chain, 0.7).tolist() == [True, False, True]
    assert sets.sequential_unique(chain, 0.7).tolist() == [True, False, False]


def test_uniqueness_curve_saturates_for_a_weak_generator():
    unique = np.array([True] * 30 + [False] * 25)
    assert sets.uniqueness_curve(unique, step=20) == [(20, 20), (40, 30), (55, 30)]


def test_identical_images_are_consistent_and_not_diverse():
    identities = np.repeat(np.arange(5), 4)
    embeddings = np.eye(8)[identities]
    accepted = sets.consistent(embeddings, embeddings, 0.5)
    assert sets.consistency(accepted, identities) == 1
    assert sets.intra_class_diversity(embeddings, identities) == pytest.approx(np.zeros(5), abs=1e-12)


def test_random_images_are_diverse_and_inconsistent():
    rng = np.random.default_rng(0)
    identities = np.repeat(np.arange(50), 5)
    embeddings = unit(rng.normal(size=(250, 256)))
    references = unit(rng.normal(size=(50, 256)))[identities]
    assert sets.consistency(sets.consistent(embeddings, references, 0.4), identities) == 0
    assert sets.intra_class_diversity(embeddings, identities).mean() == pytest.approx(1, abs=0.02)


def test_graded_sets_have_the_analytic_diversity():
    """Images at +-a around a centre: one pair at cos(2a), so D = 1 - cos(2a) and s(ref) = cos(a)."""
    for angle in np.deg2rad([5, 20, 50]):
        pair = np.array([[np.cos(angle), np.sin(angle)], [np.cos(angle), -np.sin(angle)]])
        diversity = sets.intra_class_diversity(pair, ["a", "a"])[0]
        assert diversity == pytest.approx(1 - np.cos(2 * angle), abs=1e-9)
        centre = np.repeat([[1.0, 0.0]], 2, axis=0)
        assert sets.consistent(pair, centre, np.cos(angle) - 1e-6).all()
        assert not sets.consistent(pair, centre, np.cos(angle) + 1e-6).any()
        assert sets.centres(pair, ["a", "a"])[1] == pytest.approx(np.array([[1.0, 0.0]]))


def test_consistency_weighs_identities_equally():
    assert sets.consistency(np.array([True, False, False, False]), ["a", "b", "b", "b"]) == 0.5


def test_single_images_have_no_diversity():
    assert sets.intra_class_diversity(np.eye(3), ["a", "b", "c"]).shape == (0,)


def test_planted_training_identities_are_all_found(monkeypatch):
    monkeypatch.setattr(sets, "_CHUNK", 9)
    rng = np.random.default_rng(5)
    training = unit(rng.normal(size=(200, 64)))
    synthetic = unit(rng.normal(size=(50, 64)))
    planted_at = np.array([3, 17, 42])
    synthetic[planted_at] = unit(training[[7, 70, 170]] + rng.normal(size=(3, 64)) * 0.02)
    found = sets.leakage(synthetic, training, threshold=0.8)
    assert np.flatnonzero(found.leaked).tolist() == planted_at.tolist()
    assert found.nearest[planted_at].tolist() == [7, 70, 170]
    assert found.summary["count"] == 3 and found.summary["max"] > 0.95
    with pytest.raises(ValueError, match="empty"):
        sets.leakage(synthetic, training[:0], 0.8)


def test_cross_pairs_obey_the_contract():
    identity = {"a1": "a", "a2": "a", "b1": "b", "a3": "a"}
    split = {"a1": "train", "a2": "train", "b1": "train", "a3": "test"}
    assert sets.cross_pair_faults(["a1", "a2"], ["a2", "a1"], identity, split) == []
    faults = sets.cross_pair_faults(["a1", "a1", "a1"], ["a1", "b1", "a3"], identity, split)
    assert [fault.split(":")[-1].strip() for fault in faults] == [
        "conditions on itself", "identity a is not b", "split train is not test",
    ]  # fmt: skip
