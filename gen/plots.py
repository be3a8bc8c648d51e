"""Plots of a dataset as SVG text, drawn without a display and with the same bytes for the same numbers."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

INK, PAPER, KEPT, LOST, OTHER = "#2b2f36", "#ffffff", "#2f7f79", "#d9825b", "#a9b2bd"
_STYLE: Any = {
    "svg.hashsalt": "mien", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#c9cfd6", "axes.linewidth": 0.8,
    "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "axes.titlesize": 10,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "legend.frameon": False,
}  # fmt: skip


def waterfall(stages: Sequence[tuple[str, int, int]]) -> str:
    """Draw how many attempts pass each check: (check, attempts that reach it, attempts turned down)."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 0.38 * len(stages) + 0.8), layout="constrained")
        axes = figure.subplots()
        names = [name for name, _, _ in stages]
        passed = np.array([count - lost for _, count, lost in stages])
        lost = np.array([lost for _, _, lost in stages])
        axes.barh(names, passed, color=KEPT, height=0.66)
        axes.barh(names, lost, left=passed, color=LOST, height=0.66)
        widest = max(1, int((passed + lost).max(initial=1)))
        for row, (good, bad) in enumerate(zip(passed, lost, strict=True)):
            text = f"{good}" + (f"  (-{bad})" if bad else "")
            axes.text((good + bad) + widest * 0.012, row, text, va="center", fontsize=8)
        axes.set_xlim(0, widest * 1.14)
        axes.invert_yaxis()
        axes.set_xlabel("attempts")
        return _svg(figure)


def bars(counts: Mapping[str, Mapping[str, int]], columns: int = 3) -> str:
    """Draw one small bar chart per axis: axis -> value -> samples."""
    with mpl.rc_context(_STYLE):
        rows = -(-len(counts) // columns)
        tallest = max((len(values) for values in counts.values()), default=1)
        figure = Figure(figsize=(9.6, rows * (0.24 * tallest + 0.65)), layout="constrained")
        grid = np.atleast_1d(figure.subplots(rows, columns)).ravel()
        for axes, (name, values) in zip(grid, counts.items(), strict=False):
            axes.barh(list(values), list(values.values()), color=KEPT, height=0.7)
            axes.set_title(name.replace("_", " "))
            axes.set_ylim(tallest - 0.4, -0.6)
            axes.tick_params(axis="y", length=0, labelsize=8)
            axes.tick_params(axis="x", labelsize=7)
        for axes in grid[len(counts) :]:
            axes.set_visible(False)
        return _svg(figure)


def histograms(groups: Mapping[str, np.ndarray], label: str, counted: str, bins: int = 48) -> str:
    """Draw distributions over one another; `counted` is what a bar counts."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 2.8), layout="constrained")
        axes = figure.subplots()
        values = np.concatenate([np.ravel(group) for group in groups.values()])
        edges = np.linspace(values.min(), values.max() + 1e-6, bins + 1)
        for colour, (name, group) in zip((KEPT, OTHER, LOST), groups.items(), strict=False):
            axes.hist(group, edges, color=colour, alpha=0.75, label=f"{name} ({len(group)})")
        axes.margins(y=0.3)  # room for the legend
        axes.set_xlabel(label)
        axes.set_ylabel(counted)
        axes.legend(fontsize=8, ncols=2, loc="upper left")
        return _svg(figure)


def crossing(groups: Mapping[str, np.ndarray], label: str) -> str:
    """Draw a measurement within each requested value: boxes between quartiles, whiskers at 5 and 95 %."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        axes = figure.subplots()
        axes.boxplot(
            list(groups.values()), tick_labels=list(groups), whis=(5, 95), showfliers=False,
            patch_artist=True,
            boxprops={"facecolor": KEPT, "edgecolor": KEPT, "alpha": 0.75}, medianprops={"color": INK},
        )  # fmt: skip
        axes.set_ylabel(label)
        return _svg(figure)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return re.sub(r"<svg ", '<svg role="img" ', text[text.index("<svg") :], count=1)
