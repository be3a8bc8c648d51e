"""The bars of a synthetic identity dataset, scored by the judge at a threshold of held-out renders."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from faces import vocabulary
from gen import models, seeds
from gen.evaluation import dataset as datasets
from gen.evaluation import heldout, obedience, sets
from gen.evaluation.bars import RENDERS, Bar, Settings
from gen.evaluation.dataset import Dataset
from gen.evaluation.heldout import STATES, HeldOut
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.judge import Judge, Measurements, require_independent_files
from gen.evaluation.training_set import TrainingSet
from gen.evaluation.verification import d_prime, pair_scores, threshold_at_far

if TYPE_CHECKING:
    from gen.recipes.identities import IdentitiesRecipe

FAR = 0.001
UNIQUENESS, CONSISTENCY, DIVERSITY, SEPARATION, LEAKED, IMBALANCE = 0.98, 0.90, 0.5, 3.0, 0.05, 0.15
AXES = ("expression", "pose", "hair_colour", "age_band")
QUICK_IDS, QUICK_IMAGES, IDS, IMAGES = 12, 4, 50, 10
_COMPARED = 1000
"""Images whose every pair is compared; an even choice of a larger dataset."""
_SETS_OF_PEOPLE = 20
_LEAKED = "identities nearer to a training person than unseen people are"


def measure(settings: Settings) -> list[Bar]:
    """Measure a dataset, or a small one made for the purpose when the settings name none."""
    from pipelines.device import best_device

    heads = heldout.load(settings.data)
    judge = Judge.bundled(settings.device or best_device())
    require_independent_files(judge.network, models.folder(settings.model))
    if settings.dataset is not None:
        made = datasets.load(settings.dataset)
    else:
        with tempfile.TemporaryDirectory() as folder:
            made = datasets.make(Path(folder) / "identities", _recipe(settings), settings)
    bars = measure_dataset(made, judge, heads)
    try:
        training = TrainingSet.bundled()
    except FileNotFoundError as absent:
        reason = f"not measured: {absent}"
        return [*bars, Bar(name=_LEAKED, value=None, bar=LEAKED, direction="<=", n=0, domain=reason)]
    training.require_disjoint(heads.identities)
    return [*bars, measure_leakage(made, judge, heads, training)]


def _recipe(settings: Settings) -> IdentitiesRecipe:
    from gen.recipes.identities import IdentitiesRecipe

    if not settings.quick:
        return IdentitiesRecipe(ids=IDS, images_per_id=IMAGES, model=settings.model)
    # As the demo does, for the clock's sake.
    return IdentitiesRecipe(
        ids=QUICK_IDS, images_per_id=QUICK_IMAGES, model=settings.model, steps=8, drawings=1
    )


def measure_dataset(dataset: Dataset, judge: Judge, heads: HeldOut) -> list[Bar]:
    """Measure a dataset that is in memory.

    Args:
        dataset: images with their records.
        judge: shares no weights with the generator.
        heads: held-out renders: they give the threshold and the ceilings.
    """
    renders = judge.measure(heads.images)
    threshold = threshold_at_far(pair_scores(renders.embedding, heads.identities)[1], FAR)
    seen = judge.measure(dataset.images)
    names, references = _references(dataset, judge)
    position = {name: index for index, name in enumerate(names)}
    of_image = np.array([position[name] for name in dataset.identities])
    bars = _uniqueness(references, seen.embedding, of_image, threshold, renders.embedding, heads)
    bars += _consistency(references, seen.embedding, of_image, renders.embedding, heads, threshold)
    bars += _variety(seen.embedding, of_image, renders.embedding, heads)
    for axis in AXES:
        bars += _axis(axis, seen, dataset, of_image)
    return bars


def measure_leakage(dataset: Dataset, judge: Judge, heads: HeldOut, training: TrainingSet) -> Bar:
    """Count identities nearer to a training person than all but 1 % of people whom no network has seen.

    With thousands of training people somebody is always alike, so a verification threshold would say little.
    """
    unseen = sets.leakage(judge.measure(heads.images[::STATES]).embedding, training.centres, 1.0).similarity
    limit = float(np.quantile(unseen[::2], 0.99))
    leaked = sets.leakage(_references(dataset, judge)[1], training.centres, limit).leaked
    control = float((unseen[1::2] >= limit).mean())
    return _share(_LEAKED, leaked, LEAKED, np.arange(len(leaked)), control, "<=")


def _references(dataset: Dataset, judge: Judge) -> tuple[list[str], np.ndarray]:
    names = sorted(dataset.references)
    return names, judge.measure(np.stack([dataset.references[name] for name in names])).embedding


def _uniqueness(
    references: np.ndarray,
    images: np.ndarray,
    of_image: np.ndarray,
    threshold: float,
    renders: np.ndarray,
    heads: HeldOut,
) -> list[Bar]:
    # The mean of several pictures has lost what varies, so strangers' means are more alike than their pictures:
    # means have a threshold of their own, at the same false accept rate, of as many pictures.
    real_centres = sets.centres(renders, heads.identities)[1]
    strangers = pair_scores(real_centres, np.arange(len(real_centres)))[1]
    of_centres = threshold_at_far(strangers, FAR)
    # The control adds another image of each identity as if it were a person of its own.
    first = np.unique(of_image, return_index=True)[1]
    planted = sets.greedy_unique(np.concatenate([references, images[first]]), threshold)[len(references) :]
    few = _first_of_each(of_image, STATES)
    centres = sets.centres(images[few], of_image[few])[1]
    lines = {
        "uniqueness of references (kept greedily)": sets.greedy_unique(references, threshold),
        "uniqueness of centres (no earlier identity alike)": sets.sequential_unique(centres, of_centres),
    }
    bars = [
        _share(name, unique, UNIQUENESS, np.arange(len(unique)), float(planted.mean()))
        for name, unique in lines.items()
    ]
    # At a fixed rate of false accepts every set grows together: what as many rendered people are is the measure.
    shuffled = seeds.stream(0, "people")
    drawn = [shuffled.permutation(renders[::STATES])[: len(references)] for _ in range(_SETS_OF_PEOPLE)]
    real = float(np.mean([sets.greedy_unique(people, threshold).mean() for people in drawn]))
    domain = f"{RENDERS}; {len(drawn[0])} rendered people: {real:.2f}"
    return [dataclasses.replace(bars[0], domain=domain), *bars[1:]]


def _first_of_each(of_image: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` pictures of every identity, ascending."""
    order = np.argsort(of_image, kind="stable")
    starts = np.searchsorted(of_image[order], of_image[order])
    return np.sort(order[np.arange(len(order)) - starts < count])


def _consistency(
    references: np.ndarray,
    images: np.ndarray,
    of_image: np.ndarray,
    renders: np.ndarray,
    heads: HeldOut,
    threshold: float,
) -> list[Bar]:
    accepted = sets.consistent(images, references[of_image], threshold)
    others = references[(of_image + 1) % len(references)]
    shuffled = sets.consistency(sets.consistent(images, others, threshold), of_image)
    head = np.repeat(np.arange(heads.heads), STATES - 1)
    states = np.flatnonzero(np.arange(len(renders)) % STATES)
    own, next_head = renders[head * STATES], renders[(head + 1) % heads.heads * STATES]
    real = sets.consistent(renders[states], own, threshold)
    control = sets.consistency(sets.consistent(renders[states], next_head, threshold), head)
    return [
        _share("consistency at FAR 0.1 %", accepted, CONSISTENCY, of_image, shuffled),
        _share("consistency at FAR 0.1 %, ceiling of real renders", real, CONSISTENCY, head, control),
    ]


def _variety(images: np.ndarray, of_image: np.ndarray, renders: np.ndarray, heads: HeldOut) -> list[Bar]:
    diversity = sets.intra_class_diversity(images, of_image)
    real = float(sets.intra_class_diversity(renders, heads.identities).mean())
    ratio = diversity / max(real, 1e-9)
    chosen = np.unique(np.linspace(0, len(images) - 1, min(_COMPARED, len(images))).astype(int))
    return [
        Bar(
            name="diversity inside an identity over that of real renders",
            value=float(ratio.mean()) if len(ratio) else None,
            bar=DIVERSITY,
            direction=">=",
            n=len(ratio),
            ci95=mean_interval(ratio, np.arange(len(ratio))) if len(ratio) else None,
            control=0.0,
        ),
        _separation("separation of identities, d'", images[chosen], of_image[chosen]),
        _separation("separation of identities, d', ceiling of real renders", renders, heads.identities),
    ]


def _separation(name: str, embeddings: np.ndarray, identities: np.ndarray) -> Bar:
    scores = embeddings @ embeddings.T
    same = np.asarray(identities)[:, None] == np.asarray(identities)[None, :]

    def separation(items: np.ndarray) -> float:
        different = items[:, None] != items[None, :]
        drawn, genuine = scores[np.ix_(items, items)], same[np.ix_(items, items)]
        if not (genuine & different).any() or genuine.all():
            return float("nan")
        return d_prime(drawn[genuine & different], drawn[~genuine])

    value = separation(np.arange(len(embeddings)))
    shuffled = seeds.stream(0, "separation").permutation(np.asarray(identities))
    return Bar(
        name=name,
        value=None if np.isnan(value) else value,
        bar=SEPARATION,
        direction=">=",
        n=len(np.unique(identities)),
        ci95=bootstrap_interval(identities, separation, draws=100),
        control=d_prime(*pair_scores(embeddings, shuffled)),
    )


def _axis(axis: str, seen: Measurements, dataset: Dataset, of_image: np.ndarray) -> list[Bar]:
    """Agreement of what was asked with what is seen, and balance of what is seen against the plan."""
    asked = [(index, row.get(f"requested_{axis}")) for index, row in enumerate(dataset.rows)]
    stated = [(index, value) for index, value in asked if value is not None]
    planned = [row[axis] for row in dataset.planned if axis in row]
    if len(stated) < 2 or not planned:
        return []
    index = np.array([number for number, _ in stated])
    some = np.unique(np.linspace(0, len(index) - 1, min(_COMPARED, len(index))).astype(int))
    requested = [stated[number][1] for number in some]
    agreed = obedience.measure(axis, seen[index[some]], requested, people=of_image[index[some]])
    return [agreed, _balance(axis, seen[index], planned, of_image[index])]


def _balance(axis: str, seen: Measurements, planned: Sequence[str], people: np.ndarray) -> Bar:
    values = list(
        {"pose": vocabulary.POSES, "age_band": vocabulary.AGE_BANDS}.get(axis, sorted(set(planned)))
    )
    shown = np.array([values.index(value) if value in values else -1 for value in _shown(axis, seen)])
    target = np.bincount([values.index(value) for value in planned], minlength=len(values)) / len(planned)

    def distance(items: np.ndarray) -> float:
        counts = np.bincount(shown[items] + 1, minlength=len(values) + 1) / len(items)
        return float((np.abs(counts[1:] - target).sum() + counts[0]) / 2)

    return Bar(
        name=f"balance of {axis.replace('_', ' ')}: distance of what is seen from the plan",
        value=distance(np.arange(len(shown))),
        bar=IMBALANCE,
        direction="<=",
        n=len(np.unique(people)),
        ci95=bootstrap_interval(people, distance, draws=300),
        # A set that shows nothing but its most frequent value.
        control=float(1 - target.max()),
    )


def _shown(axis: str, seen: Measurements) -> list[str]:
    if axis == "pose":
        return [vocabulary.pose_name(float(yaw)) for yaw in seen.pose[:, 0]]
    if axis == "age_band":
        return [vocabulary.age_band(max(float(age), vocabulary.MINIMUM_AGE)) for age in seen.age]
    return {"expression": seen.expression, "hair_colour": seen.hair_colour}[axis].tolist()


def _share(
    name: str,
    values: np.ndarray,
    bar: float,
    clusters: np.ndarray,
    control: float,
    direction: Literal[">=", "<="] = ">=",
) -> Bar:
    return Bar(
        name=name,
        value=sets.consistency(values, clusters),
        bar=bar,
        direction=direction,
        n=len(np.unique(clusters)),
        ci95=mean_interval(values, clusters),
        control=control,
    )
