"""The 10-fold verification protocol of LFW: the threshold of nine folds is tested on the tenth."""

from __future__ import annotations

import numpy as np


def identity_folds(identities: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Give every identity one fold: (n,) integers in 0..folds-1, equal for equal identities."""
    names, inverse = np.unique(np.asarray(identities), return_inverse=True)
    if len(names) < 2 * folds:
        raise ValueError(f"{len(names)} identities cannot fill {folds} folds: it takes {2 * folds} or more")
    fold = np.arange(len(names)) % folds
    np.random.default_rng(seed).shuffle(fold)
    return fold[inverse]


def protocol_pairs(
    identities: np.ndarray, fold_of: np.ndarray, per_fold: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw as many genuine as impostor pairs inside every fold.

    Returns:
        pairs (m, 2) indices, same (m,) bool, fold (m,); at most `per_fold` of each kind in a fold.
    """
    identities = np.asarray(identities)
    rng = np.random.default_rng(seed)
    pairs, same, folds = [], [], []
    for fold in np.unique(fold_of):
        members = np.flatnonzero(fold_of == fold)
        rows, columns = np.triu_indices(len(members), k=1)
        candidates = np.stack([members[rows], members[columns]], axis=1)
        match = identities[candidates[:, 0]] == identities[candidates[:, 1]]
        count = min(per_fold, int(match.sum()), int((~match).sum()))
        if count == 0:
            raise ValueError(
                f"fold {fold} has no genuine or no impostor pair: two images a person are needed"
            )
        for kind in (True, False):
            chosen = rng.choice(np.flatnonzero(match == kind), size=count, replace=False)
            pairs.append(candidates[chosen])
            same.append(np.full(count, kind))
            folds.append(np.full(count, fold))
    return np.concatenate(pairs), np.concatenate(same), np.concatenate(folds)


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the threshold with the highest accuracy, midway between the two scores that enclose it."""
    order = np.argsort(scores, kind="stable")
    ordered, match = np.asarray(scores, dtype=np.float64)[order], np.asarray(same, dtype=bool)[order]
    # Rejecting the lowest k scores: correct = impostors among them + genuine pairs above them.
    correct = np.concatenate([[0], np.cumsum(~match)]) + match.sum() - np.concatenate([[0], np.cumsum(match)])
    separable = np.concatenate([[True], np.diff(ordered) > 0, [True]])
    edges = np.concatenate([[ordered[0] - 1.0], (ordered[1:] + ordered[:-1]) / 2, [ordered[-1] + 1.0]])
    return float(edges[int(np.argmax(np.where(separable, correct, -1)))])


def fold_accuracies(scores: np.ndarray, same: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return the accuracy of each fold at the threshold fitted on all the others, (folds,)."""
    scores, same, fold = np.asarray(scores), np.asarray(same, dtype=bool), np.asarray(fold)
    accuracies = []
    for held in np.unique(fold):
        test = fold == held
        threshold = best_threshold(scores[~test], same[~test])
        accuracies.append(((scores[test] > threshold) == same[test]).mean())
    return np.array(accuracies)


def leaky_accuracy(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the accuracy at the threshold fitted on the tested pairs: an upper bound, never a result."""
    return float(((np.asarray(scores) > best_threshold(scores, same)) == np.asarray(same, dtype=bool)).mean())


def require_disjoint_folds(pairs: np.ndarray, identities: np.ndarray, fold: np.ndarray) -> None:
    """Raise ValueError when an identity takes part in pairs of two folds."""
    identities = np.asarray(identities)
    seen: dict[object, int] = {}
    for (first, second), number in zip(np.asarray(pairs), np.asarray(fold), strict=True):
        for identity in (identities[first], identities[second]):
            if seen.setdefault(identity, int(number)) != int(number):
                raise ValueError(
                    f"identity {identity} is in folds {seen[identity]} and {number}, only one is right"
                )
