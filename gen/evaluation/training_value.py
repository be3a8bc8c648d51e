"""What a synthetic expression dataset is worth: train on it, test on held-out renders of other people.

Protocol of SynFER (Ma et al. 2024, section 4.3): against training on as much real data, here renders, over the size
of the set and over mixtures; a classifier that is trained from nothing and shares no weight with Mien.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import spearmanr

from faces import vocabulary
from gen.evaluation import heldout
from gen.evaluation.bars import Bar, Settings
from gen.evaluation.dataset import Dataset
from gen.evaluation.heldout import HeldOut
from gen.evaluation.intervals import bootstrap_interval
from gen.evaluation.recognizer import ExpressionRidge, features_of, fit, mean_recall

OF_RENDERS = 0.90
TEST_SHARE = 1 / 3
"""Share of the held-out people that every classifier is tested on; the others are the renders to train on."""
SCALES = (0.1, 0.5, 1.0, 2.0, 5.0)
MIXTURES = (0.0, 0.25, 0.5, 0.75, 1.0)
DRAWS = 5
"""Subsets of each size that classifiers are trained on: one alone moves an accuracy by up to 0.09."""
_GROUPS = ("age_band", "skin_tone", "gender")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pictures:
    """Pictures with an expression label, ready for the classifier."""

    features: np.ndarray
    """(2, n, f): of each picture and of its mirror image."""
    labels: np.ndarray
    persons: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> Pictures:
        """Take some of the pictures."""
        return Pictures(features=self.features[:, rows], labels=self.labels[rows], persons=self.persons[rows])

    def __len__(self) -> int:
        return len(self.labels)

    def balanced(self, count: int, seed: int = 0) -> Pictures:
        """Choose `count` pictures with every expression as often as the set allows."""
        rng = np.random.default_rng(seed)
        queues = [
            list(rng.permutation(np.flatnonzero(self.labels == name))) for name in vocabulary.EXPRESSIONS
        ]
        chosen: list[int] = []
        while len(chosen) < min(count, len(self)):
            for queue in queues:
                if queue and len(chosen) < count:
                    chosen.append(queue.pop())
        return self[np.array(chosen, np.int64)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """Accuracies on the test people, for the table and the plots."""

    renders: float
    synthetic: float
    both: float
    scaling: dict[float, float]
    """Times the renders' number -> accuracy."""
    mixture: dict[float, float]
    """Synthetic share at the renders' number -> accuracy."""
    groups: dict[str, dict[str, tuple[float, float]]]
    """Axis -> value -> accuracy of (renders, synthetic)."""
    count: int
    """Pictures of one time the renders' number."""


def measure(made: Dataset, settings: Settings) -> list[Bar]:
    """Measure a dataset against the held-out renders."""
    from gen.evaluation import plots

    heads = heldout.load(settings.data)
    settings.progress("training value", 0.0)
    bars, value = compare(made, heads)
    if settings.plots is not None:
        plots.training_value(settings.plots, value)
    settings.progress("training value", 1.0)
    return bars


def compare(made: Dataset, heads: HeldOut) -> tuple[list[Bar], Value]:
    """Train on the dataset, on renders and on both; test on renders of people that no classifier has seen."""
    test_people = np.unique(heads.identities)[:: round(1 / TEST_SHARE)]
    testing = np.isin(heads.identities, test_people)
    everything = of_heads(heads)
    train, test = everything[np.flatnonzero(~testing)], everything[np.flatnonzero(testing)]
    synthetic = of_dataset(made)
    count = min(len(train), len(synthetic))

    def right(draw: Callable[[int], Pictures]) -> np.ndarray:
        """Share of the draws whose classifier is right about each test picture, (n,)."""
        found = [_fit(draw(seed)).predict(test.features[0]) == test.labels for seed in range(DRAWS)]
        return np.mean(found, axis=0)

    score = {
        "renders": right(lambda seed: train.balanced(count, seed)),
        "synthetic": right(lambda seed: synthetic.balanced(count, seed)),
        "both": right(lambda seed: _joined([one.balanced(count, seed) for one in (train, synthetic)])),
    }
    scaling = {
        scale: mean_recall(right(partial(synthetic.balanced, round(scale * count))), test.labels)
        for scale in SCALES
        if round(scale * count) <= len(synthetic)
    }
    mixture = {
        share: mean_recall(right(partial(_mixed, train, synthetic, share, count)), test.labels)
        for share in MIXTURES
    }
    value = Value(
        renders=mean_recall(score["renders"], test.labels),
        synthetic=mean_recall(score["synthetic"], test.labels),
        both=mean_recall(score["both"], test.labels),
        scaling=scaling,
        mixture=mixture,
        groups=_by_group(heads, testing, score),
        count=count,
    )
    return _bars(value, test, score), value


def of_heads(heads: HeldOut) -> Pictures:
    """Renders as pictures of the classifier."""
    labels = np.array([row["expression"] for row in heads.labels])
    return Pictures(features=features_of(heads.images), labels=labels, persons=heads.identities)


def of_dataset(made: Dataset) -> Pictures:
    """A generated dataset with the labels that its annotation decided on, else with what was asked for."""
    labels = np.array([row.get("label") or row["requested_expression"] for row in made.rows])
    return Pictures(features=features_of(made.images), labels=labels, persons=made.identities)


def _bars(value: Value, test: Pictures, score: dict[str, np.ndarray]) -> list[Bar]:
    def recall(kind: str, rows: np.ndarray) -> float:
        return mean_recall(score[kind][rows], test.labels[rows])

    def ratio(rows: np.ndarray) -> float:
        return recall("synthetic", rows) / max(recall("renders", rows), 1e-9)

    def gain(rows: np.ndarray) -> float:
        return recall("both", rows) - recall("renders", rows)

    scales = sorted(value.scaling)
    rises = (
        spearmanr(scales, [value.scaling[scale] for scale in scales]).statistic if len(scales) > 2 else None
    )
    people, everything = len(np.unique(test.persons)), np.arange(len(test))
    domain = f"{value.count} pictures each, tested on renders of {people} other people"
    curve = ", ".join(f"{scale:g}x {value.scaling[scale]:.2f}" for scale in scales)
    mixed = ", ".join(f"{share:.0%} {score:.2f}" for share, score in value.mixture.items())
    return [
        Bar(
            name=f"accuracy of synthetic over that of renders ({value.synthetic:.3f} / {value.renders:.3f})",
            value=ratio(everything), bar=OF_RENDERS, direction=">=", n=people,
            ci95=bootstrap_interval(test.persons, ratio, draws=300), control=1 / 8 / value.renders, domain=domain,
        ),
        Bar(
            name=f"gain of synthetic added to renders (mixtures: {mixed})", value=gain(everything), bar=0.0,
            direction=">=", n=people, ci95=bootstrap_interval(test.persons, gain, draws=300), domain=domain,
        ),
        Bar(
            name=f"accuracy rises with size, Spearman ({curve})",
            value=None if rises is None else float(rises), bar=0.9, direction=">=", n=len(scales), domain=domain,
        ),
    ]  # fmt: skip


def _by_group(
    heads: HeldOut, testing: np.ndarray, score: dict[str, np.ndarray]
) -> dict[str, dict[str, tuple[float, float]]]:
    """Accuracy on rendered groups of the test people."""
    rows = [row for row, chosen in zip(heads.labels, testing, strict=True) if chosen]
    groups: dict[str, dict[str, tuple[float, float]]] = {}
    for axis in _GROUPS:
        values = np.array([str(_group(row, axis)) for row in rows])
        groups[axis] = {}
        for name in np.unique(values):
            own = values == name
            groups[axis][str(name)] = (
                float(score["renders"][own].mean()), float(score["synthetic"][own].mean())
            )  # fmt: skip
    return groups


def _group(row: dict, axis: str) -> object:
    return vocabulary.age_band(row["age_years"]) if axis == "age_band" else row[axis]


def _mixed(train: Pictures, synthetic: Pictures, share: float, count: int, seed: int) -> Pictures:
    made = round(share * count)
    return _joined([train.balanced(count - made, seed), synthetic.balanced(made, seed)])


def _joined(parts: Sequence[Pictures]) -> Pictures:
    parts = [part for part in parts if len(part)]
    return Pictures(
        features=np.concatenate([part.features for part in parts], axis=1),
        labels=np.concatenate([part.labels for part in parts]),
        persons=np.concatenate([part.persons for part in parts]),
    )


def _fit(pictures: Pictures) -> ExpressionRidge:
    return fit(pictures.features, pictures.labels, pictures.persons)
