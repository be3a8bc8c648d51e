"""The label of a generated expression: what was intended, what was read, and what is decided from both.

All of it stays in the record, column by column, so that a user can decide otherwise.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from faces import vocabulary
from faces.readings import FaceReading
from gen.portraits import Studio, rounded
from pipelines.expression.annotator import Annotation, ExpressionAnnotator, decide
from pipelines.expression.calibrator import LabelCalibrator

CALIBRATOR = "label_calibrator"
"""Folder of the calibrator in a model's folder."""

_EXPLAINED = """## Labels

An expression here is **displayed**: a rig's action units, posed on nobody. Nobody felt anything, so no label says what
anybody feels, and a network trained on them reads displays, not emotions.

| column | what it says |
| --- | --- |
| `label` | the label to train with: `label_intended`, or `label_pseudo` where the decision was to relabel |
| `label_intended` | the expression that the picture was drawn to show; the same as `requested_expression` |
| `label_pseudo` | the most probable expression to the readers, who are not told what was intended |
| `label_soft` | their mean probability of {expressions}, in this order |
| `label_calibrator`, `label_analyzer` | the most probable one to each reader: the generator's own denoiser, and the \
face analysis; null where there was no such reader |
| `label_agreement` | share of the votes (intention and readers) for `label_pseudo` |
| `label_entropy` | of `label_soft` in bits: 0 is certainty, 3 no idea |
| `label_decision` | keep, or relabel; pictures to drop stand in `rejected/`. null where nothing was checked |
| `au_requested`, `au_measured` | intensities of {units}, in this order: asked for, and read off the picture |
| `measured_valence`, `measured_arousal` | -1 to 1, of the display |
| `measured_age_years` | the age that the face looks like; null where the reading is too wide to mean anything |
| `measured_open_set` | 0 to 1: how likely the display is none of the eight |

Intensities run from 0, rest, over 1, a strong display, to 1.5. A `caption` says what was requested, with FACS names and
the words trace, slight, marked, severe and maximum, as `faces.facs` defines them. For a relabelled picture it names the
new label and no action units, as it does not show those that were asked for. The readers were trained on renders of
the same rig that the generator learned from, and the checks keep what they recognise: see what they favour in
`report.html`."""


class Labeller:
    """Decides labels.

    Args:
        annotator: the second reader beside the analyzer; None where the model has no calibrator.
        confidence: least probability of a label that replaces the intended one.
    """

    def __init__(self, annotator: ExpressionAnnotator | None, confidence: float) -> None:
        self.annotator = annotator
        self.confidence = confidence

    @classmethod
    def load(cls, model: Path, studio: Studio, confidence: float) -> Labeller:
        """Take the calibrator of a model's folder, where it has one, to the pipeline that it looks through."""
        folder = model / CALIBRATOR
        if not folder.is_dir():
            return cls(None, confidence)
        calibrator = LabelCalibrator.from_pretrained(folder, torch_dtype=torch.float32)
        torch.nn.Module.to(calibrator, studio.pipe.device)
        annotator = ExpressionAnnotator(studio.pipe, calibrator, studio.analyzer, confidence)
        return cls(annotator, confidence)

    def __call__(
        self, images: Sequence[np.ndarray], faces: Sequence[FaceReading], intended: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Decide the columns of n pictures.

        Args:
            images: (S, S, 3) uint8 each, all of the denoiser's size.
            faces: what the analyzer read on each.
            intended: the expression that each was drawn to show.
        """
        seen = [np.array([face.expression[name] for name in vocabulary.EXPRESSIONS]) for face in faces]
        if self.annotator is None:
            rows = [_alone(*pair) for pair in zip(intended, seen, strict=True)]
            return [{**columns(row), "label_calibrator": None} for row in rows]
        others = self.annotator.read(np.stack(images)) if images else []
        readings = zip(intended, others, seen, strict=True)
        return [columns(decide(*reading, self.confidence)) for reading in readings]


def columns(found: Annotation) -> dict[str, Any]:
    """What the record stores of an annotation."""
    return rounded(
        {
            "label": found.label, "label_intended": found.intended, "label_pseudo": found.pseudo,
            "label_calibrator": found.calibrator, "label_analyzer": found.analyzer,
            "label_soft": [float(value) for value in found.soft], "label_agreement": found.agreement,
            "label_entropy": found.entropy, "label_decision": found.decision,
        }
    )  # fmt: skip


def unchecked(intended: str) -> dict[str, Any]:
    """The columns of a picture that nobody checked: it is taken for what was intended."""
    return {"label": intended, "label_intended": intended}


def explained() -> str:
    """What a datasheet says of labels, in Markdown."""
    names = {"expressions": vocabulary.EXPRESSIONS, "units": vocabulary.UNIT_COLUMNS}
    return _EXPLAINED.format(**{key: ", ".join(values) for key, values in names.items()})


def _alone(intended: str, analyzer: np.ndarray) -> Annotation:
    """Decide by the analyzer alone: it confirms an intention or it does not, but overrules none."""
    found = decide(intended, analyzer, analyzer, confidence=math.inf)
    return dataclasses.replace(found, agreement=1.0 if found.pseudo == intended else 0.5)
