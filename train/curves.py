"""Draws what runs wrote to metrics.jsonl: one panel a run, training as a line, validation as dots.

python -m train.curves portrait:velocity judge:loss,eer --out docs/images/training.png
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

_COLUMNS = 3


def draw(runs: Sequence[tuple[Path, list[str]]]) -> Figure:
    """Draw the named metrics of every run over its steps, on logarithmic axes.

    Raises:
        FileNotFoundError: a run has no metrics.jsonl.
        ValueError: a run never logged a metric of that name.
    """
    columns = min(len(runs), _COLUMNS)
    lines = -(-len(runs) // columns)
    figure = Figure(figsize=(3.4 * columns, 2.6 * lines), layout="constrained", dpi=110)
    panels = np.atleast_1d(figure.subplots(lines, columns)).ravel()
    for unused in panels[len(runs) :]:
        unused.remove()
    for axes, (folder, names) in zip(panels, runs, strict=False):
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
        rows = [json.loads(line) for line in text.splitlines()]
        for name in names:
            _draw_metric(axes, rows, name, folder)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_title(folder.name, loc="left", fontsize=10, fontweight="bold")
        axes.set_xlabel("step")
        axes.legend(frameon=False, fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _draw_metric(axes: Axes, rows: list[dict[str, Any]], name: str, folder: Path) -> None:
    found = False
    for kind, style, label in (("train", "-", name), ("validate", "o--", f"{name}, held out")):
        points = [(row["step"], row[name]) for row in rows if row["kind"] == kind and name in row]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1, markersize=4)
            found = True
    if not found:
        logged = sorted({key for row in rows for key in row} - {"step", "kind"})
        raise ValueError(f"{folder}: no metric {name!r}; logged: {', '.join(logged)}")


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", help="RUN:METRIC[,METRIC]")
    parser.add_argument("--folder", type=Path, default=Path("runs"), help="where the runs are")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    pairs = [run.partition(":")[::2] for run in arguments.runs]
    draw([(arguments.folder / run, names.split(",")) for run, names in pairs]).savefig(arguments.out)


if __name__ == "__main__":
    main()
