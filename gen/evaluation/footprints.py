"""Does makeup have the right shape? Pixels that an edit changes against those that the layer truly changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from faces.makeup import LAYERS
from gen.evaluation.bars import RENDERS, Bar, not_measured
from gen.evaluation.colour import difference
from gen.evaluation.intervals import mean_interval
from gen.evaluation.makeup_exam import MakeupExam, Transfer

LIPS, LINER = 0.6, 0.4
_SHARE = 0.5
"""Of the median true change inside a layer: from there on a pixel counts as changed."""
_NEAR = 3
"""Pixels of 128 beyond a layer within which changes count for it."""
_LEAST_PIXELS, _LEAST_CHANGE = 8, 4.0
"""Smaller layers (of 128 px) and fainter ones (dE2000) have no shape that could be told."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Footprint:
    """Where one layer of a look truly changes a face."""

    near: np.ndarray
    """(s, s) bool: where to look."""
    changed: np.ndarray
    """(s, s) bool: what is changed there."""
    threshold: float
    """dE2000 from which a pixel counts as changed."""

    def iou(self, source: np.ndarray, output: np.ndarray) -> float:
        """Intersection over union of what an edit changes, (s, s, 3) uint8 each; the true render scores 1."""
        found = np.zeros_like(self.near)
        found[self.near] = difference(output[self.near], source[self.near]) > self.threshold
        return float((found & self.changed).sum() / (found | self.changed).sum())


def footprint(exam: MakeupExam, source: int, target: int, layer: str) -> Footprint | None:
    """What a layer truly changes, None where it is absent, hidden, tiny or faint.

    The change is measured between renders, because the map of opacity samples the centre of each pixel: of a liner, two
    pixels high, the true render would overlap that by a half only. A liner is measured on looks without shadow: shadow
    lies around it and changes colours as much, so a face without any liner would score nearly what a lined one does.
    """
    worn = {row["region"] for row in exam.labels[target]["makeup"]}
    if layer not in worn or (layer == "liner" and "shadow" in worn):
        return None
    alpha, unit = exam.alpha(target)[..., LAYERS.index(layer)], exam.size / 128
    core = alpha > alpha.max() / 2
    if core.sum() < _LEAST_PIXELS * unit**2:
        return None
    change = difference(exam.images[target], exam.images[source])
    threshold = _SHARE * float(np.median(change[core]))
    if threshold < _SHARE * _LEAST_CHANGE:
        return None
    side = 2 * round(_NEAR * unit) + 1
    element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    near = cv2.dilate((alpha > 0).astype(np.uint8), element) > 0
    return Footprint(near=near, changed=near & (change > threshold), threshold=threshold)


def shape_bars(
    exam: MakeupExam, trials: Sequence[Transfer], outputs: np.ndarray, pasted: np.ndarray
) -> list[Bar]:
    """Shape of lips and of liner in outputs, and in the control `pasted`, (n, s, s, 3) uint8 each."""
    bars = []
    for layer, bar in (("lips", LIPS), ("liner", LINER)):
        name = f"{layer} shape, IoU (control: reference pasted)"
        scores, controls, persons = [], [], []
        for trial, output, paste in zip(trials, outputs, pasted, strict=True):
            place = footprint(exam, trial.source, trial.target, layer)
            if place is not None:
                source = exam.images[trial.source]
                scores.append(place.iou(source, output))
                controls.append(place.iou(source, paste))
                persons.append(trial.person)
        if not scores:
            bars.append(not_measured(name, bar, ">=", f"no look shows {layer} alone"))
            continue
        bars.append(
            Bar(
                name=name, value=float(np.mean(scores)), bar=bar, direction=">=", n=len(set(persons)),
                ci95=mean_interval(np.array(scores), persons), control=float(np.mean(controls)),
                domain=f"{RENDERS}; the true render scores 1, doing nothing 0",
            )
        )  # fmt: skip
    return bars
