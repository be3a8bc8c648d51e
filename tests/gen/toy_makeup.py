"""The makeup recipe with random pipelines of toy size, and an analyzer that takes every frame for a face."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from diffusers import ControlNetModel, DDIMScheduler, UNet2DConditionModel
from toy_portraits import SIDE, WIDTH, FrameAnalyzer
from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

from faces.analysis import FaceAnalysis
from gen import models
from gen.checks import MakeupThresholds
from gen.portraits import Studio
from gen.recipes.makeup import MakeupRecipe
from pipelines.makeup.modules import MakeupAdapter, MakeupEncoder
from pipelines.makeup.pipeline import MakeupPipeline
from pipelines.portrait.pipeline import PortraitPipeline

OPEN = MakeupThresholds(contrast=0, face_size=0, similarity=-1, margin=-1)
FOLD = 4


class DiscAnalyzer(FrameAnalyzer):
    """A face in the middle of every frame; makeup as it is told."""

    makeup = 0.1

    def __call__(self, pixels: np.ndarray) -> list[FaceAnalysis]:
        """Analyze a picture."""
        (face,) = super().__call__(pixels)
        y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] / pixels.shape[0] - 0.5
        disc = (x**2 + y**2 < 0.35**2).astype(np.uint8)
        return [dataclasses.replace(face, parsing=disc, attributes={"makeup": self.makeup})]


class ToyMakeup(MakeupRecipe):
    """The recipe with the toy's analyzer and with limits that noise can pass."""

    faces: int = 3
    styles: int = 2
    steps: int = 2
    makeup_steps: int = 2
    batch_size: int = 3
    shard_size: int = 3
    max_similarity: float | None = 1.0
    max_training_similarity: float | None = 1.0
    thresholds: MakeupThresholds = OPEN

    def models(self) -> dict[str, str]:
        """Those of the toys, whose analyzer has no files."""
        return models.fingerprint(self.model) | models.within("makeup", self.makeup_model)

    def studio(self) -> Studio:
        """Load the pipeline from its folder."""
        return Studio(PortraitPipeline.from_pretrained(self.model), DiscAnalyzer(), **self.drawing)


def save_makeup_pipeline(folder: Path) -> Path:
    """Write a pipeline with random weights, of pixels in folds of `FOLD`."""
    torch.manual_seed(0)
    channels = 3 * FOLD**2
    unet = UNet2DConditionModel(
        sample_size=SIDE // FOLD, in_channels=channels, out_channels=channels, layers_per_block=1,
        block_out_channels=(8, 16), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), norm_num_groups=4,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=WIDTH, attention_head_dim=4,
    )  # fmt: skip
    content, structure = (
        ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 4, 8)) for _ in range(2)
    )
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, image_size=28,
        patch_size=14,
    )  # fmt: skip
    adapter = MakeupAdapter.for_unet(unet, token_dim=WIDTH, heads=2, head_dim=8)
    for parameter in adapter.attention.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    pipe = MakeupPipeline(
        vae=None,
        unet=unet,
        scheduler=DDIMScheduler(clip_sample=False),
        content_controlnet=content,
        structure_controlnet=structure,
        image_encoder=CLIPVisionModel(vision),
        adapter=adapter,
        feature_extractor=CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
        ),
        makeup_encoder=MakeupEncoder(
            state_dim=WIDTH, token_dim=WIDTH, code_dim=8, lengths=(4, 8), num_tokens=2, hidden=16, heads=2
        ),
    )
    pipe.save_pretrained(folder)
    return folder
