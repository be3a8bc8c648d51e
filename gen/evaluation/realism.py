"""Do portraits look like renders, do they vary like renders, and are they copies of training images?"""

from __future__ import annotations

import numpy as np

from gen.evaluation.bars import Bar
from gen.evaluation.heldout import STATES, HeldOut
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Measurements
from gen.evaluation.samples import PrecisionRecall, copy_distance, nearest, precision_recall
from gen.evaluation.training_set import TrainingSet
from gen.seeds import stream

PRECISION, RECALL, COPIES = 0.6, 0.4, 0.05
NEIGHBOURS = 3
_COPIES = "portraits nearer to a training image than unseen renders are"


def folds(heldout: HeldOut, heads: np.ndarray, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pair positions of portraits with as many other heads, so that no person is on both sides.

    Few portraits meet heads that have none; otherwise two halves of the portraits meet each other's heads.

    Returns:
        list of (positions in `heads`, heads to compare with).
    """
    rng = stream(seed, "realism")
    others = np.setdiff1d(np.arange(heldout.heads), heads)
    if len(others) >= len(heads):
        return [(np.arange(len(heads)), np.sort(rng.permutation(others)[: len(heads)]))]
    order = rng.permutation(len(heads))
    half = len(heads) // 2
    first, second = np.sort(order[:half]), np.sort(order[half : 2 * half])
    return [(first, heads[second]), (second, heads[first])]


def measure_samples(
    heldout: HeldOut,
    renders: Measurements,
    portraits: Measurements,
    heads: np.ndarray,
    targets: np.ndarray,
    seed: int,
) -> list[Bar]:
    """k-NN precision and recall of portraits and, as the floor, of real renders of the same states."""
    row_of = {int(head): heldout.row(head, 1) for head in range(heldout.heads)}
    row_of |= dict(zip(heads.tolist(), targets.tolist(), strict=True))
    results: dict[str, list[PrecisionRecall]] = {"made": [], "floor": [], "scattered": []}
    clusters: dict[str, list[np.ndarray]] = {"precise": [], "recalled": []}
    for positions, others in folds(heldout, heads, seed):
        real = renders.features[[row_of[int(head)] for head in others]]
        made = portraits.features[positions]
        results["made"].append(precision_recall(real, made, NEIGHBOURS))
        results["floor"].append(precision_recall(real, renders.features[targets[positions]], NEIGHBOURS))
        results["scattered"].append(precision_recall(real, _scattered(made, seed), NEIGHBOURS))
        clusters["precise"].append(heads[positions])
        clusters["recalled"].append(others)
    lines = []
    for name, bar, side in (("precision", PRECISION, "precise"), ("recall", RECALL, "recalled")):
        people = np.concatenate(clusters[side])
        control = float(_joined(results["scattered"], side).mean())
        for kind, suffix in (("made", ""), ("floor", ", floor of renders against renders")):
            lines.append(_line(f"sample {name}{suffix}", _joined(results[kind], side), bar, people, control))
    return lines


def copies_not_measured(reason: str, count: int) -> Bar:
    """Return the failing line that stands in when the training set is absent."""
    return Bar(
        name=_COPIES, value=None, bar=COPIES, direction="<=", n=count, domain=f"not measured: {reason}"
    )


def measure_copies(
    heldout: HeldOut, renders: Measurements, portraits: Measurements, training: TrainingSet
) -> Bar:
    """Count portraits nearer to a training image than all but 1 % of the held-out renders are.

    The control counts renders of the heads themselves, where nothing can have been copied.
    """
    pool = training.features
    unseen = training.project(renders.features)
    # The limit comes from one half of the heads and is checked on the other half.
    odd = (np.arange(len(unseen)) // STATES) % 2 == 1
    limit = copy_distance(unseen[~odd], pool)
    copied = nearest(training.project(portraits.features), pool)[1] < limit
    return Bar(
        name=_COPIES,
        value=float(copied.mean()),
        bar=COPIES,
        direction="<=",
        n=len(copied),
        ci95=mean_interval(copied, range(len(copied))),
        control=float((nearest(unseen[odd], pool)[1] < limit).mean()),
    )


def _scattered(features: np.ndarray, seed: int) -> np.ndarray:
    """Shuffle every feature on its own: the right spread in each dimension, and no face."""
    return np.stack(
        [stream(seed, "scattered", axis).permutation(column) for axis, column in enumerate(features.T)],
        axis=1,
    )


def _joined(results: list[PrecisionRecall], side: str) -> np.ndarray:
    return np.concatenate([getattr(result, side) for result in results])


def _line(name: str, values: np.ndarray, bar: float, clusters: np.ndarray, control: float) -> Bar:
    return Bar(
        name=name,
        value=float(values.mean()),
        bar=bar,
        direction=">=",
        n=len(values),
        ci95=mean_interval(values, clusters),
        control=control,
    )
