"""The expressions recipe with a random pipeline of toy size, and readers that take every frame for a face."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from toy_portraits import FrameAnalyzer, reading, save_pipeline

from faces import vocabulary
from gen import models
from gen.checks import ExpressionThresholds
from gen.engine import generate
from gen.labels import CALIBRATOR, Labeller
from gen.portraits import Studio
from gen.recipes.expressions import ExpressionsRecipe
from pipelines.expression.calibrator import LabelCalibrator, look
from pipelines.expression.modules import ActionUnitAdapter
from pipelines.expression.pipeline import ExpressionPipeline

OPEN = ExpressionThresholds(contrast=0, face_size=0, quality=0)


class ToyExpressions(ExpressionsRecipe):
    """The recipe with the toy's readers and with limits that noise can pass."""

    per_class: int = 3
    steps: int = 2
    batch_size: int = 4
    shard_size: int = 8
    thresholds: ExpressionThresholds = OPEN

    def models(self) -> dict[str, str]:
        """Those of the toy, whose analyzer has no files."""
        return models.fingerprint(self.model)

    def studio(self) -> Studio:
        """Load the pipeline from its folder."""
        pipe = ExpressionPipeline.from_pretrained(self.model)
        return Studio(
            pipe,
            FrameAnalyzer(),
            steps=self.steps,
            guidance=self.guidance,
            guidance_rescale=self.guidance_rescale,
            identity_scale=self.identity_scale,
        )

    def labeller(self, studio: Studio) -> Labeller:
        """Two readers that always agree."""
        return Labeller(Echo(), self.confidence)


class Echo:
    """A second reader that reads what the analyzer reads."""

    def read(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, 8)."""
        return np.array([list(reading(image)["expression"].values()) for image in images])


class Told:
    """A second reader that is sure of what it was told, one name a picture."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def read(self, images: np.ndarray) -> np.ndarray:
        """Probabilities (n, 8)."""
        return np.stack([sure(name) for name in self.names[: len(images)]])


class ToldAnalyzer(FrameAnalyzer):
    """An analyzer that is sure of what it was told, one name a picture, in turn."""

    def __init__(self, names: Sequence[str], **changed) -> None:
        self.names = list(names)
        self.changed = changed

    def __call__(self, pixels: np.ndarray):
        """Analyze a picture."""
        face = super().__call__(pixels)[0]
        odds = dict(zip(vocabulary.EXPRESSIONS, sure(self.names.pop(0)).tolist(), strict=True))
        fields = {name: getattr(face, name) for name in type(face).__dataclass_fields__}
        return [type(face)(**{**fields, "expression": odds, **self.changed})]


def sure(name: str, confidence: float = 0.9) -> np.ndarray:
    """Probabilities (8,) of a reader that is sure."""
    values = np.full(8, (1 - confidence) / 7)
    values[vocabulary.EXPRESSIONS.index(name)] = confidence
    return values


def save_expression_pipeline(folder: Path) -> Path:
    """Write a pipeline with random weights, and a prior and an adapter that fit it."""
    pipe = load_parts(save_pipeline(folder))
    torch.manual_seed(1)
    adapter = ActionUnitAdapter.for_unet(pipe.unet, num_tokens=2, hidden=16)
    for parameter in adapter.attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    adapter.save_pretrained(folder / "action_unit_adapter")
    return folder


def save_calibrator(folder: Path) -> Path:
    """Write a random calibrator beside the pipeline of a folder."""
    pipe = ExpressionPipeline.from_pretrained(folder)
    view = look(pipe, torch.zeros(1, 4, 8, 8), 60)
    torch.manual_seed(2)
    net = LabelCalibrator(view.features.shape[-1], view.attention.shape[-1], width=16)
    net.save_pretrained(folder / CALIBRATOR)
    return folder


def load_parts(folder: Path):
    """Load the portrait pipeline of a folder."""
    from pipelines.portrait.pipeline import PortraitPipeline

    return PortraitPipeline.from_pretrained(folder)


if __name__ == "__main__":
    generate(ToyExpressions.model_validate_json(sys.argv[1]), sys.argv[2], workers=int(sys.argv[3]))
