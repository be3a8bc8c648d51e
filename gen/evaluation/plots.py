"""Plots and picture sheets of an evaluation, written as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from matplotlib.figure import Figure

from gen import atomic
from gen.evaluation import likeness
from gen.evaluation.bars import Bar
from gen.evaluation.heldout import HeldOut
from gen.evaluation.judge import Measurements
from gen.evaluation.trials import Trial
from gen.evaluation.verification import roc, threshold_at_far

if TYPE_CHECKING:
    from gen.evaluation.training_value import Value

_BINS = np.linspace(-0.5, 1.0, 61).tolist()


def roc_plot(path: Path, curves: dict[str, tuple[np.ndarray, np.ndarray]], far: float) -> None:
    """Draw true against false accept rate, the latter on a log scale.

    Args:
        path: file to write.
        curves: name -> (genuine scores, impostor scores).
        far: operating point, drawn as a line.
    """
    figure, axes = _figure("false accept rate", "true accept rate")
    for name, (genuine, impostor) in curves.items():
        _, false, true = roc(genuine, impostor)
        floor = 1 / len(impostor)
        axes.plot(np.maximum(false, floor), true, label=name)
    axes.axvline(far, color="grey", linestyle=":", label=f"FAR {far:g}")
    axes.set(xscale="log", xlim=(1e-4, 1), ylim=(0, 1.02))
    axes.legend(loc="lower right")
    _save(figure, path)


def similarity_plot(path: Path, scores: dict[str, np.ndarray], threshold: float) -> None:
    """Draw histograms of cosine similarity, each of area one, and the threshold."""
    figure, axes = _figure("cosine similarity (judge)", "density")
    for name, values in scores.items():
        axes.hist(np.clip(values, _BINS[0], _BINS[-1]), _BINS, density=True, histtype="step", label=name)
    axes.axvline(threshold, color="grey", linestyle=":", label=f"threshold {threshold:.2f}")
    axes.legend(loc="upper left")
    _save(figure, path)


def training_value(folder: Path, value: Value) -> None:
    """Draw the scaling curve, the mixtures, and the accuracy of groups, each a PNG in a folder."""
    figure, axes = _figure("synthetic pictures, times the renders' number", "accuracy on held-out renders")
    axes.plot(list(value.scaling), list(value.scaling.values()), marker="o", label="synthetic alone")
    axes.axhline(value.renders, color="tab:orange", label="renders alone, 1x")
    axes.axhline(value.both, color="tab:green", linestyle="--", label="both, 1x each")
    axes.set(xscale="log", ylim=(0, 1))
    axes.legend(loc="lower right")
    _save(figure, folder / "scaling.png")
    figure, axes = _figure("synthetic share of a set of one size", "accuracy on held-out renders")
    axes.plot(list(value.mixture), list(value.mixture.values()), marker="o")
    axes.set(ylim=(0, 1))
    _save(figure, folder / "mixture.png")
    names = [(axis, group) for axis, own in value.groups.items() for group in own]
    figure, axes = _figure("accuracy", "", height=1.2 + 0.32 * len(names))
    for row, (axis, group) in enumerate(reversed(names)):
        renders, synthetic = value.groups[axis][group]
        axes.barh(row + 0.2, renders, height=0.35, color="tab:orange", label="renders" if row == 0 else None)
        axes.barh(
            row - 0.2, synthetic, height=0.35, color="tab:blue", label="synthetic" if row == 0 else None
        )
    axes.set_yticks(range(len(names)), [f"rendered {axis} {group}" for axis, group in reversed(names)])
    axes.set(xlim=(0, 1))
    axes.legend(loc="lower left")
    _save(figure, folder / "groups.png")


def units_plot(path: Path, correlations: Mapping[str, float]) -> None:
    """Draw how well each action unit that was asked for is seen."""
    figure, axes = _figure(
        "r of what was asked and what the judge sees", "", height=1.2 + 0.24 * len(correlations)
    )
    names = list(correlations)
    axes.barh(range(len(names)), [correlations[name] for name in reversed(names)], color="tab:blue")
    axes.set_yticks(range(len(names)), list(reversed(names)), fontsize=7)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set(xlim=(min(0.0, *correlations.values()), 1))
    _save(figure, path)


def bar_plot(path: Path, bars: Sequence[Bar]) -> None:
    """Draw lines whose values are shares: value with interval, control, and the bar to reach."""
    shown = [(bar, bar.value) for bar in bars if bar.value is not None and _is_share(bar)]
    figure, axes = _figure("share", "", height=1.2 + 0.32 * len(shown))
    for row, (bar, value) in enumerate(reversed(shown)):
        low, high = bar.ci95 or (value, value)
        axes.barh(row, value, color="tab:green" if bar.passed else "tab:red", alpha=0.7)
        axes.plot([low, high], [row, row], color="black", linewidth=1)
        axes.plot([bar.bar, bar.bar], [row - 0.4, row + 0.4], color="black", linestyle=":")
        if bar.control is not None:
            axes.plot(bar.control, row, "x", color="black")
    axes.set_yticks(range(len(shown)), [bar.name for bar, _ in reversed(shown)], fontsize=7)
    axes.set_xlim(0, 1.02)
    figure.suptitle("bar: value, line: 95 % interval, dotted: bar to reach, cross: control", fontsize=7)
    _save(figure, path)


def sheet(path: Path, columns: Mapping[str, Sequence[np.ndarray]], size: int = 128) -> None:
    """Lay pictures out in named columns, one row an item."""
    rows = min(len(column) for column in columns.values())
    figure = Figure(figsize=(1.4 * len(columns), 1.4 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, len(columns), squeeze=False)
    for column, (title, images) in enumerate(columns.items()):
        grid[0, column].set_title(title, fontsize=7)
        for row in range(rows):
            grid[row, column].imshow(cv2.resize(images[row], (size, size), interpolation=cv2.INTER_AREA))
            grid[row, column].set_axis_off()
    _save(figure, path)


def portrait_report(
    folder: Path,
    heads: HeldOut,
    trials: Sequence[Trial],
    images: np.ndarray,
    renders: Measurements,
    portraits: Measurements,
    bars: Sequence[Bar],
) -> None:
    """Write roc.png, similarity.png, bars.png and portraits.png of the portrait task."""
    impostor = likeness.impostor_scores(heads, renders)
    references = renders.embedding[[trial.reference for trial in trials]]
    targets = np.array([trial.target for trial in trials])
    made = np.einsum("ne,ne->n", references, portraits.embedding)
    real = np.einsum("ne,ne->n", references, renders.embedding[targets])
    scores = references @ portraits.embedding.T
    shuffled = scores[~np.eye(len(trials), dtype=bool)]
    threshold = threshold_at_far(impostor, likeness.FAR)
    roc_plot(
        folder / "roc.png", {"portraits": (made, impostor), "real renders": (real, impostor)}, likeness.FAR
    )
    named = {"portrait, own reference": made, "portrait, other reference": shuffled}
    named |= {"render, own reference": real, "render, other reference": impostor}
    similarity_plot(folder / "similarity.png", named, threshold)
    bar_plot(folder / "bars.png", bars)
    some = np.linspace(0, len(trials) - 1, min(8, len(trials))).round().astype(int)
    shown = {
        "reference": [heads.images[trials[i].reference] for i in some],
        "portrait": [images[i] for i in some],
        "real render": [heads.images[targets[i]] for i in some],
    }
    sheet(folder / "portraits.png", shown)


def _is_share(bar: Bar) -> bool:
    return bar.value is not None and 0 <= bar.value <= 1 and 0 < bar.bar <= 1 and bar.direction == ">="


def _figure(across: str, up: str, height: float = 3.6):
    figure = Figure(figsize=(5.4, height), layout="constrained")
    axes = figure.subplots()
    axes.set(xlabel=across, ylabel=up)
    return figure, axes


def _save(figure: Figure, path: Path) -> None:
    buffer = io.BytesIO()
    # No software tag: equal figures give equal bytes.
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    atomic.write_bytes(path, buffer.getvalue())
