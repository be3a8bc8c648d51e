"""Does a face wear what it was asked to wear? Colours of regions against the true render of the same face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from faces.makeup import REGIONS
from gen.evaluation.bars import RENDERS, Bar, not_measured
from gen.evaluation.colour import difference
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.makeup_exam import MakeupExam, Transfer

LEFT, RETRIEVED, MONOTONE = 0.50, 0.80, 0.90
STRENGTHS = (0.0, 0.5, 1.0, 1.5, 2.0)
_LEAST = 5.0
"""Pixels of full opacity, of a picture of 128 px, below which a region counts as hidden."""


def region_difference(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> float:
    """Mean CIEDE2000 of two pictures (s, s, 3), weighted by opacity (s, s); nan where nothing shows."""
    where = weight > 0
    if weight.sum() < _LEAST * (len(weight) / 128) ** 2:
        return float("nan")
    return float(np.average(difference(first[where], second[where]), weights=weight[where]))


def region_bars(
    title: str, exam: MakeupExam, outputs: np.ndarray, starts: np.ndarray, goals: np.ndarray, worn: np.ndarray
) -> list[Bar]:
    """What is left of the difference between start and goal, for each region; doing nothing leaves all of it.

    A region's pixels count by the opacity of its layers, and pictures in which it has none are left out.

    Args:
        title: of the lines.
        exam: the set.
        outputs: (n, s, s, 3) uint8.
        starts: rows of what was edited.
        goals: rows of the true renders of what was asked for.
        worn: rows whose makeup says where to look.
    """
    return [_region_bar(title, region, exam, outputs, starts, goals, worn) for region in REGIONS]


def _region_bar(
    title: str, region: str, exam: MakeupExam, outputs: np.ndarray, starts: np.ndarray, goals: np.ndarray,
    worn: np.ndarray,
) -> Bar:  # fmt: skip
    weights = [exam.weight(row, region) for row in worn]
    pairs = zip(goals, weights, strict=True)
    left = [
        region_difference(output, exam.images[goal], weight)
        for output, (goal, weight) in zip(outputs, pairs, strict=True)
    ]
    gap = [
        region_difference(exam.images[start], exam.images[goal], weight)
        for start, goal, weight in zip(starts, goals, weights, strict=True)
    ]
    left, gap, persons = np.array(left), np.array(gap), exam.persons[starts]
    there = np.isfinite(gap) & (gap > 0)
    name = f"{title}, dE2000 left in {region}"
    if not there.any():
        return not_measured(name, LEFT, "<=", f"no picture shows makeup of the {region}")
    left, gap, persons = left[there], gap[there], persons[there]
    return Bar(
        name=name, value=float(left.sum() / gap.sum()), bar=LEFT, direction="<=", n=len(np.unique(persons)),
        ci95=bootstrap_interval(persons, lambda rows: float(left[rows].sum() / gap[rows].sum())),
        control=1.0, domain=f"{RENDERS}; doing nothing leaves 1, which is {gap.mean():.1f} dE2000",
    )  # fmt: skip


def retrieval_bar(exam: MakeupExam, trials: Sequence[Transfer], outputs: np.ndarray) -> Bar:
    """How often the look asked for is the nearest among the true renders of the source in all looks of its group.

    Pictures are compared where any of these looks has makeup.
    """
    nearest = []
    for trial, output in zip(trials, outputs, strict=True):
        rows = [exam.row(trial.person, picture) for picture in range(1, exam.pictures)]
        weight = 1 - np.prod([1 - exam.weight(row) for row in rows], axis=0)
        found = [region_difference(output, exam.images[row], weight) for row in rows]
        nearest.append(rows[int(np.argmin(found))])
    nearest, targets = np.array(nearest), np.array([trial.target for trial in trials])
    persons = np.array([trial.person for trial in trials])
    drawn = np.random.default_rng(0).integers(1, exam.pictures, len(trials)) + persons * exam.pictures
    return Bar(
        name=f"own look nearest among the {exam.pictures - 1} of the group (control: a random look asked for)",
        value=float((nearest == targets).mean()), bar=RETRIEVED, direction=">=", n=len(np.unique(persons)),
        ci95=mean_interval(nearest == targets, persons), control=float((nearest == drawn).mean()),
    )  # fmt: skip


def strength_bars(exam: MakeupExam, trials: Sequence[Transfer], outputs: np.ndarray) -> list[Bar]:
    """Does more strength show more, and none give the photograph back?

    Args:
        exam: the set.
        trials: a few.
        outputs: (len(trials) x len(STRENGTHS), s, s, 3) uint8: every strength of the first, then of the next.
    """
    outputs = outputs.reshape(len(trials), len(STRENGTHS), *outputs.shape[1:])
    effects = np.array(
        [
            [region_difference(one, exam.images[trial.source], exam.weight(trial.target)) for one in row]
            for trial, row in zip(trials, outputs, strict=True)
        ]
    )
    persons = np.array([trial.person for trial in trials])
    order = np.array([_spearman(row, np.array(STRENGTHS)) for row in effects])
    rng = np.random.default_rng(0)
    shuffled = [_spearman(row, rng.permutation(STRENGTHS)) for row in effects for _ in range(20)]
    same = np.array(
        [(row[0] == exam.images[trial.source]).all() for trial, row in zip(trials, outputs, strict=True)]
    )
    people = len(np.unique(persons))
    means = ", ".join(
        f"{strength:g}: {mean:.1f}" for strength, mean in zip(STRENGTHS, effects.mean(axis=0), strict=True)
    )
    return [
        Bar(
            name="strength and effect, mean Spearman (control: shuffled)", value=float(order.mean()),
            bar=MONOTONE, direction=">=", n=people, ci95=mean_interval(order, persons),
            control=float(np.mean(shuffled)), domain=f"{RENDERS}; dE2000 from the source at strength {means}",
        ),
        Bar(
            name="strength 0 gives the photograph's bytes back", value=float(same.mean()), bar=1.0,
            direction=">=", n=people,
        ),
    ]  # fmt: skip


def _spearman(effect: np.ndarray, strength: np.ndarray) -> float:
    """Rank correlation, ties at their mean; 0 where the effect is the same throughout or cannot be seen."""
    if not np.isfinite(effect).all() or np.ptp(effect) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(effect), rankdata(strength))[0, 1])
