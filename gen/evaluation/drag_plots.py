"""Plots and sheets of the drag task, written as PNG."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from faces.flow import flow_colours
from gen import atomic
from gen.evaluation import plots
from gen.evaluation.drag_exam import DragExam, partner
from gen.evaluation.drag_flows import COUNTS, FEW, NAMES, PREDICTED, FlowErrors
from pipelines.drag.drags import Drags

_SHOWN = 10
"""Edits of the sheet."""
_SCALE = 3
"""Pictures are enlarged so many times for arrows."""
_SOURCE, _TARGET, _LINE = (220, 40, 40), (40, 90, 230), (255, 255, 255)


def draw(
    folder: Path,
    exam: DragExam,
    rows: np.ndarray,
    flows: np.ndarray,
    outputs: np.ndarray,
    found: FlowErrors,
) -> None:
    """Write drags.png and flow-error.png.

    Args:
        folder: where to.
        exam: the set.
        rows: n edits.
        flows: (n, s, s, 2) predicted of `FEW` drags.
        outputs: (n, s, s, 3) uint8.
        found: errors of flows.
    """
    error_plot(folder / "flow-error.png", found)
    sheet(folder / "drags.png", exam, rows, flows, outputs)


def sheet(path: Path, exam: DragExam, rows: np.ndarray, flows: np.ndarray, outputs: np.ndarray) -> None:
    """Lay edits out, a row each: what was dragged, the flow, the result and the truth.

    Flows of a row share their colours, which are full at the longest of the true one. Of the edits, those are shown
    that drag something by a pixel at least.
    """
    drags = [exam.drags(row, FEW) for row in rows]
    moving = [number for number, one in enumerate(drags) if np.linalg.norm(one.vectors, axis=1).max() >= 1]
    places = np.linspace(0, len(moving) - 1, min(_SHOWN, len(moving))).round().astype(int)
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("source and drags", "predicted flow", "true flow", "output", "true target")
    }
    for number in (moving[place] for place in places):
        row = int(rows[number])
        longest = float(np.linalg.norm(exam.flows[row], axis=-1).max())
        shown = (
            arrows(exam.images[row], drags[number]), flow_colours(flows[number], longest),
            flow_colours(exam.flows[row], longest), outputs[number], exam.images[partner(row)],
        )  # fmt: skip
        for column, picture in zip(columns.values(), shown, strict=True):
            column.append(_enlarged(picture, exam.size * _SCALE))
    if len(places):
        plots.sheet(path, columns, exam.size * _SCALE)


def arrows(image: np.ndarray, drags: Drags) -> np.ndarray:
    """Draw drags on a picture that is enlarged for it: a red dot at each source, a smaller blue one at its target."""
    drawn = _enlarged(image, len(image) * _SCALE)
    ends = [np.rint(points * _SCALE).astype(int).tolist() for points in (drags.sources, drags.targets)]
    for source, target in zip(*ends, strict=True):
        cv2.line(drawn, source, target, _LINE, 3, cv2.LINE_AA)
        cv2.circle(drawn, source, 6, _SOURCE, -1, cv2.LINE_AA)
        cv2.circle(drawn, target, 4, _TARGET, -1, cv2.LINE_AA)
    return drawn


def error_plot(path: Path, found: FlowErrors) -> None:
    """Draw the mean end-point error by number of drags."""
    figure = Figure(figsize=(6.6, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, title in NAMES.items():
        width = 2.5 if name == PREDICTED else 1.0
        axes.plot(COUNTS, found.means(name), marker="o", markersize=3, label=title, linewidth=width)
    axes.set(xscale="log", xlabel="drags", ylabel="mean end-point error on the head, px of 128")
    axes.set_xticks(COUNTS, [str(count) for count in COUNTS])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    figure.legend(fontsize=7, loc="outside right upper")
    buffer = io.BytesIO()
    # No software tag: equal figures give equal bytes.
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    atomic.write_bytes(path, buffer.getvalue())


def _enlarged(image: np.ndarray, size: int) -> np.ndarray:
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_CUBIC)
