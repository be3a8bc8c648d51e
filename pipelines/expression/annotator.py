"""FERAnno: labels of generated faces, checked by two readers that do not know what was asked for.

The calibrator reads the denoiser's own view of a picture, the analyzer the picture itself. What was intended, what
was read, how far they agree and how sure they are stay apart, so that a user can decide otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from faces import vocabulary
from faces.analysis import FaceAnalyzer
from faces.networks import network_input
from pipelines.expression.calibrator import LabelCalibrator, look

Decision = Literal["keep", "relabel", "drop"]
_BATCH = 32


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Annotation:
    """What is known about the expression of one generated picture."""

    intended: str
    """What the picture was drawn to show."""
    pseudo: str
    """What both readers together find most probable."""
    soft: np.ndarray
    """(8,) their mean probability of each of `vocabulary.EXPRESSIONS`."""
    calibrator: str
    """What the calibrator alone finds."""
    analyzer: str
    """What the analyzer alone finds."""
    agreement: float
    """Share of the three votes (intention, calibrator, analyzer) for `pseudo`."""
    entropy: float
    """Of `soft`, in bits: 0 for certainty, 3 for no idea."""
    decision: Decision
    """keep the intended label, relabel with `pseudo`, or drop the picture."""

    @property
    def label(self) -> str | None:
        """The label after the decision; None for a picture to drop."""
        return {"keep": self.intended, "relabel": self.pseudo, "drop": None}[self.decision]


class ExpressionAnnotator:
    """Checks labels of pictures in the canonical frame.

    Args:
        pipe: the `ExpressionPipeline` whose denoiser looks.
        calibrator: reads its view.
        analyzer: reads the pictures.
        confidence: least probability of a label that replaces the intended one.
    """

    def __init__(
        self, pipe: Any, calibrator: LabelCalibrator, analyzer: FaceAnalyzer, confidence: float = 0.6
    ) -> None:
        self.pipe = pipe
        self.calibrator = calibrator.eval()
        self.analyzer = analyzer
        self.confidence = confidence

    def __call__(self, images: np.ndarray, intended: Sequence[str]) -> list[Annotation]:
        """Annotate images (n, S, S, 3) uint8 that were drawn to show `intended`, n names.

        Raises:
            ValueError: an unknown expression, or another number of names.
        """
        unknown = sorted(set(intended) - set(vocabulary.EXPRESSIONS))
        if unknown or len(intended) != len(images):
            raise ValueError(
                f"{len(intended)} labels for {len(images)} pictures, unknown among them: "
                f"{', '.join(unknown) or 'none'}; known are {', '.join(vocabulary.EXPRESSIONS)}"
            )
        seen = self.analyzer.analyze_aligned(images)
        by_analyzer = np.array([list(face.expression.values()) for face in seen]).reshape(-1, 8)
        by_calibrator = self.read(images)
        rows = zip(intended, by_calibrator, by_analyzer, strict=True)
        return [decide(label, one, other, self.confidence) for label, one, other in rows]

    @torch.no_grad()
    def read(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, 8) of the calibrator alone."""
        found = [np.zeros((0, len(vocabulary.EXPRESSIONS)))]
        for start in range(0, len(images), _BATCH):
            batch = np.ascontiguousarray(images[start : start + _BATCH])
            latents = self.pipe.encode_latents(network_input(torch.from_numpy(batch)))
            view = look(self.pipe, latents, self.calibrator.config.timestep)
            logits = self.calibrator(view.features, view.attention)
            found.append(logits.float().softmax(dim=-1).cpu().numpy())
        return np.concatenate(found)


def decide(intended: str, calibrator: np.ndarray, analyzer: np.ndarray, confidence: float) -> Annotation:
    """Weigh two readings (8,) against an intention.

    The intended label stays when the readers together find it most probable. It is replaced when each of them finds
    the same other one, with enough confidence; where they neither confirm it nor agree, the picture is dropped.
    """
    names = vocabulary.EXPRESSIONS
    soft = (calibrator + analyzer) / 2
    pseudo, one, other = (names[int(values.argmax())] for values in (soft, calibrator, analyzer))
    votes = (intended, one, other)
    if pseudo == intended:
        decision: Decision = "keep"
    elif one == other == pseudo and soft.max() >= confidence:
        decision = "relabel"
    else:
        decision = "drop"
    return Annotation(
        intended=intended,
        pseudo=pseudo,
        soft=soft,
        calibrator=one,
        analyzer=other,
        agreement=votes.count(pseudo) / len(votes),
        entropy=float(-(soft * np.log2(np.maximum(soft, 1e-12))).sum()),
        decision=decision,
    )
