"""Face verification metrics on arrays of similarity scores, higher meaning more alike.

A score is accepted when it is strictly greater than the threshold, everywhere in this package.
"""

from __future__ import annotations

import numpy as np

EXPECTED_ERRORS = 10
"""A false accept rate counts as measured when at least this many impostor scores lie beyond it."""


class NotResolvable(ValueError):  # noqa: N818 - it reads as what happened
    """The asked false accept rate is finer than the number of impostor scores can show."""


def threshold_at_far(impostor: np.ndarray, far: float) -> float:
    """Find the lowest observed threshold whose false accept rate is at most `far`.

    Args:
        impostor: similarity scores of different people, (n,).
        far: false accept rate in (0, 1).

    Raises:
        NotResolvable: when `far` lies below 10 / n, because then fewer than ten errors are expected.
    """
    impostor = _finite(impostor, "impostor")
    if not 0 < far < 1:
        raise ValueError(f"false accept rate {far:g} is not inside (0, 1)")
    allowed = far * len(impostor)
    if allowed < EXPECTED_ERRORS - 1e-9:
        floor = EXPECTED_ERRORS / len(impostor)
        raise NotResolvable(
            f"FAR {far:g} is not resolvable with {len(impostor)} impostor scores: the lowest is {floor:.2g}"
        )
    position = len(impostor) - 1 - int(np.floor(allowed + 1e-9))
    return float(np.partition(impostor, position)[position])


def tar_at_far(genuine: np.ndarray, impostor: np.ndarray, far: float) -> tuple[float, float]:
    """Return (true accept rate, threshold) at a false accept rate; raises as `threshold_at_far` does."""
    threshold = threshold_at_far(impostor, far)
    return float((_finite(genuine, "genuine") > threshold).mean()), threshold


def roc(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (thresholds ascending, false accept rates, true accept rates) at every observed score."""
    genuine = np.sort(_finite(genuine, "genuine"))
    impostor = np.sort(_finite(impostor, "impostor"))
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    thresholds = np.concatenate([[thresholds[0] - 1.0], thresholds])
    far = 1.0 - np.searchsorted(impostor, thresholds, side="right") / len(impostor)
    tar = 1.0 - np.searchsorted(genuine, thresholds, side="right") / len(genuine)
    return thresholds, far, tar


def equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return the rate where false accepts equal false rejects, linear between neighbouring thresholds."""
    _, far, tar = roc(genuine, impostor)
    frr = 1.0 - tar
    after = int(np.argmax(frr >= far))
    if after == 0:
        return float(far[0])
    before = after - 1
    gap_before, gap_after = far[before] - frr[before], frr[after] - far[after]
    weight = gap_before / (gap_before + gap_after)
    return float(far[before] + weight * (far[after] - far[before]))


def area_under_curve(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return P(genuine > impostor) + P(equal) / 2, which is the area under the ROC (Mann and Whitney)."""
    genuine = _finite(genuine, "genuine")
    impostor = np.sort(_finite(impostor, "impostor"))
    below = np.searchsorted(impostor, genuine, side="left") + np.searchsorted(impostor, genuine, side="right")
    return float(below.mean() / (2 * len(impostor)))


def d_prime(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return (mean genuine - mean impostor) / sqrt of the mean of both variances."""
    difference, variance = _moments(genuine, impostor)
    return float(difference / np.sqrt(variance / 2))


def fisher_ratio(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """Return the Fisher discriminant ratio (mean difference)^2 / (sum of variances)."""
    difference, variance = _moments(genuine, impostor)
    return float(difference**2 / variance)


def pair_scores(embeddings: np.ndarray, identities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (genuine, impostor) cosines over every unordered pair of unit embeddings (n, e)."""
    identities = np.asarray(identities)
    rows, columns = np.triu_indices(len(embeddings), k=1)
    scores = (embeddings @ embeddings.T)[rows, columns]
    same = identities[rows] == identities[columns]
    return scores[same], scores[~same]


def _moments(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    genuine, impostor = _finite(genuine, "genuine"), _finite(impostor, "impostor")
    return float(genuine.mean() - impostor.mean()), float(genuine.var() + impostor.var())


def _finite(scores: np.ndarray, name: str) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if scores.size == 0:
        raise ValueError(f"no {name} scores: at least one pair is needed")
    if not np.isfinite(scores).all():
        count = int((~np.isfinite(scores)).sum())
        raise ValueError(f"{name} scores: {count} of {scores.size} are not finite")
    return scores
