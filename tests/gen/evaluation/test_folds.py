"""C4: the 10-fold protocol."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation import folds


@pytest.fixture(scope="module")
def protocol():
    rng = np.random.default_rng(0)
    identities = np.repeat(np.arange(100), 6)
    centres = rng.normal(size=(100, 8))
    embeddings = centres[identities] + rng.normal(size=(600, 8)) * 0.8
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    fold_of = folds.identity_folds(identities, 10, seed=1)
    pairs, same, fold = folds.protocol_pairs(identities, fold_of, per_fold=100, seed=2)
    scores = np.einsum("ne,ne->n", embeddings[pairs[:, 0]], embeddings[pairs[:, 1]])
    return identities, pairs, same, fold, scores


def test_folds_are_balanced_and_share_no_identity(protocol):
    identities, pairs, same, fold, _ = protocol
    assert np.bincount(fold).tolist() == [200] * 10
    assert same.mean() == 0.5
    assert (identities[pairs[:, 0]] == identities[pairs[:, 1]]).tolist() == same.tolist()
    folds.require_disjoint_folds(pairs, identities, fold)
    with pytest.raises(ValueError, match=r"identity \d+ is in folds \d and \d"):
        folds.require_disjoint_folds(pairs, identities, np.arange(len(fold)) % 10)


def test_separable_scores_are_all_right(protocol):
    _, _, same, fold, _ = protocol
    assert folds.fold_accuracies(same.astype(float), same, fold).tolist() == [1.0] * 10


def test_informative_scores_beat_shuffled_labels(protocol):
    _, _, same, fold, scores = protocol
    assert folds.fold_accuracies(scores, same, fold).mean() > 0.8
    labels = [np.random.default_rng(seed).permutation(same) for seed in range(5)]
    shuffled = [folds.fold_accuracies(scores, label, fold).mean() for label in labels]
    assert abs(np.mean(shuffled) - 0.5) <= 3 * np.sqrt(0.25 / len(same) / 5)


def test_a_threshold_fitted_on_its_own_pairs_leaks():
    """With few pairs and no signal the leaky figure lies above chance and the protocol does not."""
    gaps, honest = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        same, fold, scores = np.tile([True, False], 30), np.arange(60) // 6, rng.normal(size=60)
        honest.append(folds.fold_accuracies(scores, same, fold).mean())
        gaps.append(folds.leaky_accuracy(scores, same) - 0.5)
    assert np.mean(gaps) > 0.05
    assert np.mean(gaps) > 5 * np.std(gaps) / np.sqrt(40)
    assert abs(np.mean(honest) - 0.5) <= 3 * np.std(honest) / np.sqrt(40)


def test_best_threshold_against_brute_force():
    rng = np.random.default_rng(3)
    for _ in range(20):
        scores, same = rng.integers(0, 6, 15) / 5, rng.random(15) > 0.5
        brute = max(((scores > t) == same).mean() for t in np.linspace(-0.1, 1.1, 25))
        assert ((scores > folds.best_threshold(scores, same)) == same).mean() == brute


def test_too_few_identities_are_refused():
    with pytest.raises(ValueError, match="5 identities cannot fill 10 folds"):
        folds.identity_folds(np.arange(5), 10, seed=0)
