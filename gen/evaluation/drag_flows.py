"""How well drags are completed to a flow: errors on the head, at the drags and beside it, next to simple baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gen.evaluation.bars import NO_BAR, RENDERS, Bar, not_measured
from gen.evaluation.drag_exam import DragExam
from gen.evaluation.flow_baselines import BASELINES, baseline_flow
from gen.evaluation.flow_errors import drag_errors, end_point_error, leakage
from gen.evaluation.intervals import bootstrap_interval, mean_interval

COUNTS = (1, 3, 5, 10, 68)
"""Numbers of drags at which errors are measured."""
FEW = 5
"""Drags of an edit where nothing else is said."""
BEST, STILL, FALLS, AT_DRAGS, LEAK = 0.6, 0.5, 1.0, 0.05, 0.002
PREDICTED = "predicted"
NAMES = {
    PREDICTED: "predicted", "zero": "zero flow", "nearest": "nearest drag", "gaussian": "Gaussian RBF",
    "thin plate": "thin-plate spline", "affine": "affine",
}  # fmt: skip
"""What makes a flow -> how lines and plots call it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FlowErrors:
    """End-point errors on the head, mean of each edit, in pixels of 128."""

    errors: dict[str, dict[int, np.ndarray]]
    """Key of `NAMES` -> number of drags -> (n,)."""
    shuffled: np.ndarray
    """(n,) of the flows that were predicted for other people's drags, of `FEW`."""
    persons: np.ndarray
    """(n,)."""

    def means(self, name: str) -> np.ndarray:
        """Mean over edits at each of `COUNTS`."""
        return np.array([own.mean() for own in self.errors[name].values()])


def others(rows: np.ndarray) -> np.ndarray:
    """For each of n edits in the order of people, the place (n,) of an edit of somebody else, each taken once."""
    return np.roll(np.arange(len(rows)), -(len(rows) // 2))


def errors(exam: DragExam, rows: np.ndarray, flows: Mapping[int, np.ndarray]) -> FlowErrors:
    """Measure flows and what the baselines make of the same drags.

    The baselines are told where the head is, so that they too leave the background alone.

    Args:
        exam: the set.
        rows: n edits.
        flows: number of drags -> predicted flow (n, s, s, 2) in pixels.
    """
    made: dict[str, dict[int, np.ndarray]] = {name: {} for name in NAMES}
    for count in COUNTS:
        made[PREDICTED][count] = _errors(exam, rows, flows[count])
        for name in BASELINES:
            simple = [_baseline(exam, row, name, count) for row in rows]
            made[name][count] = _errors(exam, rows, simple)
    shuffled = _errors(exam, rows, flows[FEW][others(rows)])
    return FlowErrors(errors=made, shuffled=shuffled, persons=exam.persons[rows])


def measure(
    exam: DragExam, rows: np.ndarray, flows: Mapping[int, np.ndarray], found: FlowErrors
) -> list[Bar]:
    """All lines about flows; arguments as of `errors`, and what it gave."""
    return [
        *(_error_line(found, name) for name in NAMES),
        *ratio_bars(found),
        falling_bar(found),
        at_drags_bar(exam, rows, flows[FEW]),
        leakage_bar(exam, rows, flows[FEW]),
    ]


def _error_line(found: FlowErrors, name: str) -> Bar:
    own = found.errors[name][FEW]
    told = ", ".join(f"{count}: {mean:.2f}" for count, mean in zip(COUNTS, found.means(name), strict=True))
    return Bar(
        name=f"flow error at {FEW} drags in px of 128, {NAMES[name]}", value=float(own.mean()), bar=NO_BAR,
        direction="<=", n=_people(found.persons), ci95=mean_interval(own, found.persons),
        domain=f"{RENDERS}; by number of drags {told}",
    )  # fmt: skip


def ratio_bars(found: FlowErrors) -> list[Bar]:
    """The error over that of the best baseline, and over that of no flow at all.

    The best one is the one of the least mean; in each draw of the interval that may be another.
    """
    simple = {name: found.errors[name][FEW] for name in BASELINES}
    return [
        _ratio_bar(found, "the best baseline", simple, BEST),
        _ratio_bar(found, "no flow", {"zero": simple["zero"]}, STILL),
    ]


def _ratio_bar(found: FlowErrors, than: str, simple: Mapping[str, np.ndarray], bar: float) -> Bar:
    def ratio(values: np.ndarray, rows: np.ndarray) -> float:
        least = min(other[rows].mean() for other in simple.values())
        return float(values[rows].mean() / least) if least > 0 else float("nan")

    own, best = found.errors[PREDICTED][FEW], min(simple, key=lambda name: simple[name].mean())
    every = np.arange(len(own))
    return Bar(
        name=f"flow error at {FEW} drags over that of {than} (control: flows of other edits)",
        value=ratio(own, every), bar=bar, direction="<=", n=_people(found.persons),
        ci95=bootstrap_interval(found.persons, lambda rows: ratio(own, rows)),
        control=ratio(found.shuffled, every),
        domain=f"{RENDERS}; px of 128: {own.mean():.2f}, {NAMES[best]} {simple[best].mean():.2f}",
    )  # fmt: skip


def falling_bar(found: FlowErrors) -> Bar:
    """Share of the steps between numbers of drags at which the mean error falls; no flow at all stays as wrong."""

    def falls(name: str, rows: np.ndarray) -> float:
        means = np.array([found.errors[name][count][rows].mean() for count in COUNTS])
        return float((np.diff(means) < 0).mean())

    every = np.arange(len(found.persons))
    told = ", ".join(f"{mean:.3f}" for mean in found.means(PREDICTED))
    return Bar(
        name=f"flow error falls with {', '.join(map(str, COUNTS))} drags, share of steps (control: no flow)",
        value=falls(PREDICTED, every), bar=FALLS, direction=">=", n=_people(found.persons),
        ci95=bootstrap_interval(found.persons, lambda rows: falls(PREDICTED, rows)),
        control=falls("zero", every), domain=f"{RENDERS}; px of 128: {told}",
    )  # fmt: skip


def at_drags_bar(exam: DragExam, rows: np.ndarray, flows: np.ndarray) -> Bar:
    """How far dragged points end from their targets, over the length of the drag; still points have no length."""
    asked = [exam.drags(row, FEW) for row in rows]

    def missed(flows: np.ndarray) -> np.ndarray:
        found = [drag_errors(flow, one.sources, one.targets) for flow, one in zip(flows, asked, strict=True)]
        return np.concatenate(found)

    own, shuffled = missed(flows), missed(flows[others(rows)])
    persons = np.repeat(exam.persons[rows], [len(one.sources) for one in asked])
    long = np.isfinite(own)
    own, shuffled, persons = own[long], shuffled[long], persons[long]
    name = (
        f"error at the dragged point at {FEW} drags, median share of its drag (control: flows of other edits)"
    )
    if not len(own):
        return not_measured(name, AT_DRAGS, "<=", "no drag is long enough")
    return Bar(
        name=name, value=float(np.median(own)), bar=AT_DRAGS, direction="<=", n=_people(persons),
        ci95=bootstrap_interval(persons, lambda items: float(np.median(own[items]))),
        control=float(np.median(shuffled)),
        domain=f"{RENDERS}; {len(own)} drags, 95 % of them missed by {np.quantile(own, 0.95):.0%} at most",
    )  # fmt: skip


def leakage_bar(exam: DragExam, rows: np.ndarray, flows: np.ndarray) -> Bar:
    """Mean length of the flow where no head is; the control moves every pixel as the nearest drag."""
    own = np.array([leakage(flow, exam.heads[row]) for row, flow in zip(rows, flows, strict=True)])
    loose = [leakage(_baseline(exam, row, "nearest", FEW, masked=False), exam.heads[row]) for row in rows]
    there = np.isfinite(own)
    own, persons = own[there], exam.persons[rows][there]
    return Bar(
        name=f"background flow at {FEW} drags, share of the width (control: nearest drag everywhere)",
        value=float(own.mean()), bar=LEAK, direction="<=", n=_people(persons),
        ci95=mean_interval(own, persons), control=float(np.nanmean(loose)),
    )  # fmt: skip


def _baseline(exam: DragExam, row: int, name: str, count: int, masked: bool = True) -> np.ndarray:
    asked = exam.drags(row, count)
    head = exam.heads[row] if masked else None
    return baseline_flow(name, asked.sources, asked.targets, (exam.size, exam.size), head)


def _errors(exam: DragExam, rows: np.ndarray, flows: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    found = [
        end_point_error(flow, exam.flows[row], exam.heads[row]) for row, flow in zip(rows, flows, strict=True)
    ]
    return np.array(found) * (128 / exam.size)


def _people(persons: np.ndarray) -> int:
    return len(np.unique(persons))
