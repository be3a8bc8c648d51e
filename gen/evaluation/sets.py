"""Metrics of a set of synthetic identities, on unit-norm embeddings.

Definitions follow DCFace (Kim et al. 2023, section 4.2: uniqueness and consistency) and Vec2Face
(Wu et al. 2024: an identity counts when no earlier one is closer than the threshold).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_CHUNK = 2048


def greedy_unique(references: np.ndarray, threshold: float) -> np.ndarray:
    """Keep an identity when no identity kept before it is as close as `threshold` (DCFace).

    Args:
        references: one unit embedding an identity, (c, e).
        threshold: cosine; a pair with cosine >= threshold counts as one person.

    Returns:
        kept, (c,) bool; its mean is the uniqueness.
    """
    references = np.asarray(references)
    kept = np.zeros(len(references), dtype=bool)
    pool = np.empty_like(references)
    count = 0
    for index, embedding in enumerate(references):
        if count == 0 or (pool[:count] @ embedding).max() < threshold:
            kept[index] = True
            pool[count] = embedding
            count += 1
    return kept


def sequential_unique(references: np.ndarray, threshold: float) -> np.ndarray:
    """Count an identity when no earlier identity, kept or not, is as close as `threshold` (Vec2Face)."""
    references = np.asarray(references)
    unique = np.ones(len(references), dtype=bool)
    for start in range(0, len(references), _CHUNK):
        block = references[start : start + _CHUNK]
        scores = block @ references[: start + len(block)].T
        earlier = np.arange(scores.shape[1])[None, :] < (start + np.arange(len(block)))[:, None]
        unique[start : start + len(block)] = ~((scores >= threshold) & earlier).any(axis=1)
    return unique


def uniqueness_curve(unique: np.ndarray, step: int = 1000) -> list[tuple[int, int]]:
    """Return (identities made, identities unique) after every `step` of them: a weak generator saturates."""
    counts = np.cumsum(unique)
    ends = sorted({*range(step, len(unique) + 1, step), len(unique)})
    return [(end, int(counts[end - 1])) for end in ends if end]


def consistent(embeddings: np.ndarray, references: np.ndarray, threshold: float) -> np.ndarray:
    """Tell for each image (n, e) whether its cosine with its own reference (n, e) exceeds `threshold`."""
    return np.einsum("ne,ne->n", embeddings, references) > threshold


def consistency(accepted: np.ndarray, identities: ArrayLike) -> float:
    """Average over identities the share of accepted images, so that a large identity weighs no more."""
    _, inverse = np.unique(np.asarray(identities), return_inverse=True)
    return float((np.bincount(inverse, weights=accepted) / np.bincount(inverse)).mean())


def centres(embeddings: np.ndarray, identities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return (sorted identity names (c,), normalised mean embeddings (c, e))."""
    names, inverse = np.unique(np.asarray(identities), return_inverse=True)
    sums = np.zeros((len(names), embeddings.shape[1]))
    np.add.at(sums, inverse, embeddings)
    return names, sums / np.linalg.norm(sums, axis=1, keepdims=True)


def intra_class_diversity(embeddings: np.ndarray, identities: ArrayLike) -> np.ndarray:
    """Return 1 - mean pairwise cosine inside each identity with at least two images, in sorted name order.

    High diversity can be lost identity: read it beside the consistency only.
    """
    names, inverse = np.unique(np.asarray(identities), return_inverse=True)
    sums = np.zeros((len(names), embeddings.shape[1]))
    squares = np.zeros(len(names))
    np.add.at(sums, inverse, embeddings)
    np.add.at(squares, inverse, (embeddings**2).sum(axis=1))
    count = np.bincount(inverse)
    enough = count > 1
    pairs = (count * (count - 1))[enough]
    return 1.0 - ((sums**2).sum(axis=1)[enough] - squares[enough]) / pairs


@dataclass(frozen=True, kw_only=True, slots=True)
class Leakage:
    """Nearest training identity of every synthetic identity."""

    similarity: np.ndarray
    """(c,) highest cosine with any training identity."""
    nearest: np.ndarray
    """(c,) index of that training identity."""
    leaked: np.ndarray
    """(c,) bool: the cosine reaches the threshold."""

    @property
    def summary(self) -> dict[str, float]:
        """Maximum, 99.9th percentile and count at the threshold."""
        high = float(np.quantile(self.similarity, 0.999))
        return {"max": float(self.similarity.max()), "p99_9": high, "count": int(self.leaked.sum())}


def leakage(references: np.ndarray, training: np.ndarray, threshold: float) -> Leakage:
    """Compare synthetic identities (c, e) with every training identity (t, e) by cosine."""
    if len(training) == 0:
        raise ValueError("leakage: the set of training identities is empty")
    nearest = np.empty(len(references), dtype=np.int64)
    similarity = np.empty(len(references))
    for start in range(0, len(references), _CHUNK):
        scores = references[start : start + _CHUNK] @ training.T
        stop = start + len(scores)
        nearest[start:stop] = scores.argmax(axis=1)
        similarity[start:stop] = scores.max(axis=1)
    return Leakage(similarity=similarity, nearest=nearest, leaked=similarity >= threshold)


def cross_pair_faults(
    condition: list[str], target: list[str], identity_of: dict[str, str], split_of: dict[str, str]
) -> list[str]:
    """List what breaks the CrossFaceID contract: another image of the same person, and of the same split.

    Args:
        condition: image ids that give the identity embedding, one a training pair.
        target: image ids that are to be denoised.
        identity_of: image id -> identity id.
        split_of: image id -> split name.
    """
    faults = []
    for source, goal in zip(condition, target, strict=True):
        if source == goal:
            faults.append(f"{source}: conditions on itself")
        elif identity_of[source] != identity_of[goal]:
            faults.append(f"{source} -> {goal}: identity {identity_of[source]} is not {identity_of[goal]}")
        elif split_of[source] != split_of[goal]:
            faults.append(f"{source} -> {goal}: split {split_of[source]} is not {split_of[goal]}")
    return faults
