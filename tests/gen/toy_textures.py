"""The recipe of textures with the toy pipeline, whose head nobody would take for one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from gen.recipes.textures import TexturesRecipe
from gen.texture_checks import TextureThresholds
from pipelines.texture.pipeline import TexturePipeline
from tests.pipelines.texture_components import toy_texture_pipeline

OPEN = TextureThresholds(clipped_share=1, asymmetry=1, difference=0)


class FrontAnalyzer:
    """Finds as many faces in every picture as it is told, of the score that it is told."""

    def __init__(self, scores: tuple[float, ...] = (0.9,)) -> None:
        self.scores = scores

    def __call__(self, picture: np.ndarray) -> list[Any]:
        assert picture.dtype == np.uint8 and picture.shape == (256, 256, 3)
        return [SimpleNamespace(score=score) for score in self.scores]


class ToyTextures(TexturesRecipe):
    """Few people, two styles, limits that noise can pass."""

    people: int = 4
    styles: tuple[str, ...] = ("photoreal", "cartoon")
    steps: int = 2
    attempts: int = 2
    batch_size: int = 4
    shard_size: int = 4
    thresholds: TextureThresholds = OPEN

    def models(self) -> dict[str, str]:
        """The toy is drawn from a seed."""
        return {"toy": "0" * 64}

    def pipeline(self) -> TexturePipeline:
        """Nothing to load."""
        pipe = toy_texture_pipeline()
        pipe.analyzer = FrontAnalyzer()
        return pipe
