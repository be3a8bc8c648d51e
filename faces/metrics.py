"""How readings of faces are scored, the same in training and in evaluation."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata

_OUTER_EYES = (36, 45)


def landmark_error(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Mean distance of landmarks (n, 68, 2) as a share of the distance of the outer eye corners, (n,).

    The inter-ocular NME of the 300-W challenge (Sagonas et al. 2013).
    """
    eyes = np.linalg.norm(wanted[:, _OUTER_EYES[0]] - wanted[:, _OUTER_EYES[1]], axis=1)
    return np.linalg.norm(found - wanted, axis=2).mean(axis=1) / eyes


def mean_iou(found: np.ndarray, wanted: np.ndarray) -> float:
    """Intersection over union of label maps (n, h, w), averaged over the classes of the truth."""
    return pooled_iou(*overlaps(found, wanted))


def overlaps(found: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of the intersection and of the union in each map and for each class of the truth, (n, classes) each."""
    labels = np.unique(wanted)
    pairs = [(found == label, wanted == label) for label in labels]
    both = np.stack([(mine & true).sum(axis=(1, 2)) for mine, true in pairs], axis=1)
    either = np.stack([(mine | true).sum(axis=(1, 2)) for mine, true in pairs], axis=1)
    return both, either


def pooled_iou(both: np.ndarray, either: np.ndarray) -> float:
    """Mean over classes of what `overlaps` counted, (n, classes) each; those that nobody saw or has are left out."""
    both, either = both.sum(axis=0), either.sum(axis=0)
    return float((both[either > 0] / either[either > 0]).mean())


def correlations(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Pearson's r of each column of two tables (n, k); nan where the truth does not vary."""
    a, b = found - found.mean(axis=0), wanted - wanted.mean(axis=0)
    spread = np.sqrt(np.square(a).sum(axis=0) * np.square(b).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.square(b).sum(axis=0) > 0, (a * b).sum(axis=0) / np.maximum(spread, 1e-12), np.nan)


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive's score (n,) is above a negative's, ties half (Hanley and McNeil 1982)."""
    ranks, count = rankdata(scores), int(positive.sum())
    if not 0 < count < len(scores):
        raise ValueError(f"auroc: {count} positives of {len(scores)}, both kinds are needed")
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def calibration_error(probabilities: np.ndarray, wanted: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error (Guo et al. 2017, section 2) of (n, k) probabilities for classes (n,).

    Bins hold equally many samples, since most confidences are near 1.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == wanted
    order = np.argsort(confidence, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return float(sum(len(p) * abs(confidence[p].mean() - right[p].mean()) for p in parts) / len(order))
