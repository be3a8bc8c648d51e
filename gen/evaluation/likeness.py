"""Does a portrait show the person of its reference? Scored by the judge against renders."""

from __future__ import annotations

import numpy as np

from gen.evaluation.bars import Bar
from gen.evaluation.heldout import STATES, HeldOut
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.judge import Measurements
from gen.evaluation.verification import threshold_at_far

FAR = 0.01
TAR = 0.70
OVER_CONTROL = 10.0


def impostor_scores(heldout: HeldOut, renders: Measurements) -> np.ndarray:
    """Cosines of the reference of each head with every other state of every other head."""
    references = renders.embedding[::STATES]
    others = np.flatnonzero(np.arange(len(renders)) % STATES)
    scores = references @ renders.embedding[others].T
    return scores[np.arange(heldout.heads)[:, None] != others[None, :] // STATES]


def passes(references: np.ndarray, portraits: np.ndarray, threshold: float) -> np.ndarray:
    """Tell for every reference i and portrait j whether the judge takes them for one person, (n, n) bool."""
    return references @ portraits.T > threshold


def off_diagonal_mean(matrix: np.ndarray) -> float:
    """Average a square matrix without its diagonal: the shuffled control over every possible shuffle."""
    count = len(matrix)
    if count < 2:
        raise ValueError("a shuffled control needs at least two heads")
    return float((matrix.sum() - np.trace(matrix)) / (count * (count - 1)))


def measure(
    heldout: HeldOut,
    renders: Measurements,
    portraits: Measurements,
    references: np.ndarray,
    targets: np.ndarray,
) -> list[Bar]:
    """Compare portraits with their references, and real renders of the same states with the same references.

    Args:
        heldout: the held-out set.
        renders: the judge's view of all of it.
        portraits: the judge's view of the portraits, (n,).
        references: row of each portrait's reference.
        targets: row of the real render that shows what each portrait was asked for.
    """
    threshold = threshold_at_far(impostor_scores(heldout, renders), FAR)
    reference = renders.embedding[references]
    made = passes(reference, portraits.embedding, threshold)
    real = passes(reference, renders.embedding[targets], threshold)
    return [
        _share("identity TAR at FAR 1 %", made),
        _ratio("identity TAR over shuffled references", made),
        _share("identity TAR at FAR 1 %, ceiling of real renders", real),
    ]


def _share(name: str, matrix: np.ndarray) -> Bar:
    own = np.diagonal(matrix)
    return Bar(
        name=name,
        value=float(own.mean()),
        bar=TAR,
        direction=">=",
        n=len(own),
        ci95=mean_interval(own, range(len(own))),
        control=off_diagonal_mean(matrix),
    )


def _ratio(name: str, matrix: np.ndarray) -> Bar:
    count = len(matrix)

    def ratio(heads: np.ndarray) -> float:
        drawn = matrix[np.ix_(heads, heads)]
        different = heads[:, None] != heads[None, :]
        # No shuffled pair accepted counts as one accepted: the ratio stays a lower bound and finite.
        return float(np.diagonal(drawn).mean() / max(drawn[different].mean(), 1 / different.sum()))

    return Bar(
        name=name,
        value=ratio(np.arange(count)),
        bar=OVER_CONTROL,
        direction=">=",
        n=count,
        ci95=bootstrap_interval(range(count), ratio, draws=300),
        control=1.0,
    )
