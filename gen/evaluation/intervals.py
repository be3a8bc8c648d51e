"""Bootstrap confidence intervals that draw identities, because images of one person are not independent."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

DRAWS = 1000


def bootstrap_interval(
    clusters: ArrayLike, statistic: Callable[[np.ndarray], float], draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic when clusters are drawn with replacement.

    Args:
        clusters: the identity of every item, (n,).
        statistic: takes item indices (repeats included) and returns a number.
        draws: number of bootstrap samples.
        seed: seed of the draws; the interval is a function of the arguments.
    """
    _, inverse = np.unique(np.asarray(clusters), return_inverse=True)
    if inverse.size == 0:
        raise ValueError("bootstrap: there are no items")
    members = np.split(np.argsort(inverse, kind="stable"), np.cumsum(np.bincount(inverse))[:-1])
    rng = np.random.default_rng(seed)
    values = np.empty(draws)
    for draw in range(draws):
        chosen = rng.integers(len(members), size=len(members))
        values[draw] = statistic(np.concatenate([members[cluster] for cluster in chosen]))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return float(low), float(high)


def mean_interval(
    values: np.ndarray, clusters: ArrayLike, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of the mean of `values` (n,) over drawn clusters."""
    values = np.asarray(values, dtype=np.float64)
    return bootstrap_interval(clusters, lambda items: float(values[items].mean()), draws, seed)
