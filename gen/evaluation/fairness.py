"""Demographic metrics of verification, and how balanced a dataset is.

Groups are strata known by construction (rendered skin tone, age band), never inferred from a face.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupErrors:
    """Error rates per group at one global threshold."""

    groups: tuple[Hashable, ...]
    accuracy: np.ndarray
    """(g,) mean of true accept and true reject rate."""
    fmr: np.ndarray
    """(g,) false match rate."""
    fnmr: np.ndarray
    """(g,) false non-match rate."""

    @property
    def accuracy_sd(self) -> float:
        """Standard deviation of the accuracies over groups."""
        return float(self.accuracy.std())

    @property
    def accuracy_gap(self) -> float:
        """Best minus worst accuracy."""
        return float(self.accuracy.max() - self.accuracy.min())

    @property
    def skewed_error_ratio(self) -> float:
        """Highest error over lowest error; 1 when both are zero, infinite when only the lowest is."""
        return _ratio(1.0 - self.accuracy)

    @property
    def fmr_ratio(self) -> float:
        """Highest over lowest false match rate."""
        return _ratio(self.fmr)

    @property
    def fnmr_ratio(self) -> float:
        """Highest over lowest false non-match rate."""
        return _ratio(self.fnmr)

    def fairness_discrepancy_rate(self, alpha: float = 0.5) -> float:
        """Return 1 - (alpha max|dFMR| + (1 - alpha) max|dFNMR|), after Pereira and Marcel 2021."""
        return float(1.0 - alpha * np.ptp(self.fmr) - (1.0 - alpha) * np.ptp(self.fnmr))


def group_errors(
    genuine: np.ndarray,
    genuine_group: ArrayLike,
    impostor: np.ndarray,
    impostor_group: ArrayLike,
    threshold: float,
) -> GroupErrors:
    """Measure errors of each group at one threshold; impostor pairs are pairs within a group.

    Raises:
        ValueError: when a group has no genuine or no impostor pair.
    """
    of_genuine, of_impostor = np.asarray(genuine_group), np.asarray(impostor_group)
    groups = tuple(np.union1d(of_genuine, of_impostor).tolist())
    fmr, fnmr = [], []
    for group in groups:
        own = np.asarray(genuine)[of_genuine == group]
        others = np.asarray(impostor)[of_impostor == group]
        if not len(own) or not len(others):
            raise ValueError(
                f"group {group}: {len(own)} genuine and {len(others)} impostor pairs, it needs both"
            )
        fnmr.append((own <= threshold).mean())
        fmr.append((others > threshold).mean())
    rates = np.array(fmr), np.array(fnmr)
    return GroupErrors(groups=groups, accuracy=1.0 - (rates[0] + rates[1]) / 2, fmr=rates[0], fnmr=rates[1])


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """How far the joint histogram of some axes lies from its target."""

    cells: dict[tuple, int]
    """Count of every cell of the target, zero included."""
    total_variation: float
    """Half the L1 distance between the observed and the target distribution, 0..1."""
    chi_square_p: float
    """Chance of a histogram at least this uneven when samples are drawn from the target."""
    effective_cells: float
    """exp(entropy) of the observed distribution: the number of equal cells that is as even."""
    minimum: int
    """Smallest cell count."""


def balance(rows: Sequence[tuple], target: dict[tuple, float]) -> Balance:
    """Compare the joint table of `rows` (one tuple of strata a sample) with `target` probabilities.

    Raises:
        ValueError: when a row falls in no cell of the target, or the target does not sum to 1.
    """
    if not rows or abs(sum(target.values()) - 1.0) > 1e-6:
        raise ValueError(f"balance: {len(rows)} rows, target sums to {sum(target.values()):g} and not 1")
    cells = dict.fromkeys(target, 0)
    for row in rows:
        if tuple(row) not in cells:
            raise ValueError(f"balance: {tuple(row)} is in no cell of the target")
        cells[tuple(row)] += 1
    counts, expected = np.array(list(cells.values()), dtype=float), np.array(list(target.values()))
    share = counts / counts.sum()
    filled = share[share > 0]
    possible = expected > 0
    p_value = 1.0
    if possible.sum() > 1:
        p_value = float(stats.chisquare(counts[possible], expected[possible] * counts[possible].sum()).pvalue)
    return Balance(
        cells=cells,
        total_variation=float(np.abs(share - expected).sum() / 2),
        chi_square_p=p_value,
        effective_cells=float(np.exp(-(filled * np.log(filled)).sum())),
        minimum=int(counts.min()),
    )


def uniform_target(*axes: Sequence) -> dict[tuple, float]:
    """Give every combination of the values of `axes` the same probability."""
    grid = [()]
    for axis in axes:
        grid = [(*cell, value) for cell in grid for value in axis]
    return dict.fromkeys(grid, 1.0 / len(grid))


def _ratio(errors: np.ndarray) -> float:
    # Rounding of 1 - accuracy leaves 1e-17 where the error is exactly zero.
    high, low = (float(value) if value > 1e-12 else 0.0 for value in (errors.max(), errors.min()))
    if low == 0.0:
        return 1.0 if high == 0.0 else float("inf")
    return high / low
