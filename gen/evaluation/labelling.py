"""Does FERAnno mend labels? Wrong ones are planted among labels that are known to be right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from faces import vocabulary
from faces.analysis import FaceAnalyzer
from gen import models
from gen.evaluation.bars import Bar, Settings
from gen.evaluation.intervals import mean_interval
from gen.evaluation.judge import Judge
from gen.evaluation.trials import SEED
from gen.seeds import stream

if TYPE_CHECKING:
    from gen.evaluation.expressions import DrawnExpressions

NOISE = 0.2
REPAIRED, BROKEN = 0.70, 0.05


def measure(pipe: Any, drawn: DrawnExpressions, judge: Judge, settings: Settings) -> list[Bar]:
    """Plant wrong labels on drawn faces, annotate, and count what is repaired and what is broken.

    A label is known to be right where the picture was drawn for it and the judge, who takes no part in the
    annotation, sees it too. Both drawings of a face, guided and not, are looked at.
    """
    from gen.evaluation.expressions import read_expression
    from pipelines.expression.annotator import ExpressionAnnotator
    from pipelines.expression.calibrator import LabelCalibrator

    images = np.concatenate([drawn.plain, drawn.guided])
    asked, persons = np.tile(drawn.expressions, 2), np.tile(drawn.persons, 2)
    sure = read_expression(judge.measure(images, read=True)) == asked
    images, truth, persons = images[sure], asked[sure], persons[sure]
    planted = plant(truth, NOISE)
    calibrator = LabelCalibrator.from_pretrained(models.folder(settings.model) / "label_calibrator")
    annotator = ExpressionAnnotator(
        pipe, calibrator.float(), FaceAnalyzer.from_pretrained("mini", embed=False)
    )
    found = annotator(images, planted.tolist())
    labels = np.array([annotation.label or "" for annotation in found])
    wrong = planted != truth
    repaired, broken = labels[wrong] == truth[wrong], labels[~wrong] != truth[~wrong]
    return [
        Bar(
            name="planted wrong labels repaired", value=float(repaired.mean()), bar=REPAIRED, direction=">=",
            n=int(wrong.sum()), ci95=mean_interval(repaired, persons[wrong]), control=0.0,
        ),
        Bar(
            name="right labels changed or dropped", value=float(broken.mean()), bar=BROKEN, direction="<=",
            n=int((~wrong).sum()), ci95=mean_interval(broken, persons[~wrong]), control=0.0,
        ),
    ]  # fmt: skip


def plant(truth: np.ndarray, share: float) -> np.ndarray:
    """Replace a share of labels (n,) by others, evenly over the rest of the expressions."""
    rng = stream(SEED, "planted")
    labels = truth.copy()
    for row in rng.permutation(len(truth))[: round(share * len(truth))]:
        labels[row] = rng.choice([name for name in vocabulary.EXPRESSIONS if name != truth[row]])
    return labels
