"""Does a picture show what was asked for? Expression, pose, hair colour and age band, read by the judge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from faces import vocabulary
from gen.evaluation.bars import Bar
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Measurements
from gen.evaluation.likeness import off_diagonal_mean

BAR = 0.85


def agreement(attribute: str, seen: Measurements, requested: Sequence[str]) -> np.ndarray:
    """Tell for each picture i and request j whether i shows what j asks, (n, n) bool.

    A pose is obeyed in the band of yaw where its name is the nearest, an age band between its ends.
    """
    if attribute == "age_band":
        low, high = np.array([vocabulary.AGE_BANDS[name] for name in requested], dtype=float).T
        age = seen.age[:, None]
        return (age >= low) & (age < high + 1)
    if attribute == "pose":
        low, high = np.array([_yaw_band(name) for name in requested]).T
        yaw = seen.pose[:, :1]
        return (yaw >= low) & (yaw <= high)
    shown = {"expression": seen.expression, "hair_colour": seen.hair_colour}[attribute]
    return shown[:, None] == np.asarray(requested)[None, :]


def measure(
    attribute: str,
    seen: Measurements,
    requested: Sequence[str],
    ceiling: bool = False,
    people: ArrayLike | None = None,
) -> Bar:
    """Score one attribute; the control judges every picture by the requests of all the others.

    Args:
        attribute: expression, pose, hair_colour or age_band.
        seen: the judge's view of one picture a head.
        requested: what was asked for, one a picture.
        ceiling: the pictures are real renders of what was asked.
        people: identity of each picture; None when there is one picture a head.
    """
    obeyed = agreement(attribute, seen, requested)
    own = np.diagonal(obeyed)
    clusters = np.arange(len(own)) if people is None else np.asarray(people)
    return Bar(
        name=f"{attribute.replace('_', ' ')} obeyed" + (", ceiling of real renders" if ceiling else ""),
        value=float(own.mean()),
        bar=BAR,
        direction=">=",
        n=len(np.unique(clusters)),
        ci95=mean_interval(own, clusters),
        control=off_diagonal_mean(obeyed),
    )


def _yaw_band(name: str) -> tuple[float, float]:
    """Degrees between which a named pose is the nearest one; the outermost poses have no outer end."""
    yaws = sorted(vocabulary.POSES.values())
    edges = [-np.inf, *((one + two) / 2 for one, two in pairwise(yaws)), np.inf]
    place = yaws.index(vocabulary.POSES[name])
    return edges[place], edges[place + 1]
