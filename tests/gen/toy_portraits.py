"""The identities recipe with a random pipeline of toy size, and an analyzer that takes every frame for a face."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DConditionModel
from safetensors.numpy import save_file
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from faces import alignment, vocabulary
from faces.analysis import FaceAnalysis
from faces.perception import AGE_CENTRES
from gen.checks import Thresholds
from gen.engine import generate
from gen.portraits import Studio
from gen.prior import FILE, fit_prior
from gen.recipes.identities import IdentitiesRecipe
from pipelines.autoencoder import PatchAutoencoderKL
from pipelines.portrait.modules import IdentityConditioner
from pipelines.portrait.pipeline import PortraitPipeline

WIDTH, SIDE = 16, 32
OPEN = Thresholds(contrast=0, face_size=0, similarity=-1, margin=-1)


class ToyIdentities(IdentitiesRecipe):
    """The recipe with the toy's analyzer and with limits that noise can pass."""

    ids: int = 6
    images_per_id: int = 3
    steps: int = 2
    batch_size: int = 4
    shard_size: int = 8
    max_similarity: float | None = 1.0
    max_training_similarity: float | None = 1.0
    thresholds: Thresholds = OPEN

    def studio(self) -> Studio:
        """Load the pipeline from its folder."""
        pipe = PortraitPipeline.from_pretrained(self.model)
        return Studio(
            pipe,
            FrameAnalyzer(),
            steps=self.steps,
            guidance=self.guidance,
            guidance_rescale=self.guidance_rescale,
            identity_scale=self.identity_scale,
        )


def reading(pixels: np.ndarray) -> dict[str, Any]:
    """What is read off a face: numbers that follow from the pixels, none of them true."""
    rng = np.random.default_rng(int(pixels.astype(np.int64).sum()))
    units = dict(zip(vocabulary.UNIT_COLUMNS, rng.uniform(0, 1, len(vocabulary.UNIT_COLUMNS)), strict=True))
    odds = rng.dirichlet(np.full(len(vocabulary.EXPRESSIONS), 0.3))
    return {
        "outline_landmarks": None, "landmark_sigma": np.ones(68, np.float32),
        "pose": np.zeros(3, np.float32), "action_units": units,
        "expression": dict(zip(vocabulary.EXPRESSIONS, odds.tolist(), strict=True)), "open_set": 0.1,
        "valence": 0.2, "arousal": -0.1, "age": np.eye(len(AGE_CENTRES))[3], "hair_colour": {},
        "attributes": {}, "quality": 0.8,
    }  # fmt: skip


class FrameAnalyzer:
    """Every picture shows one face, as a canonical frame does."""

    def __call__(self, pixels: np.ndarray) -> list[FaceAnalysis]:
        """Analyze a picture."""
        side = pixels.shape[0]
        angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
        points = np.stack([np.cos(angle), np.sin(angle)], 1) * 0.2 + 0.5
        points[36:42], points[42:48], points[48:68] = alignment.ANCHORS
        parsing = np.ones((side, side), np.uint8)
        marks = np.float32(points * side)
        box = np.concatenate([marks.min(0), marks.max(0)])
        place = {"box": box, "score": 1.0, "landmarks": marks, "aligned": pixels, "matrix": np.eye(2, 3)}
        return [FaceAnalysis(**place, parsing=parsing, **reading(pixels))]

    def analyze_aligned(self, frames: np.ndarray) -> list[FaceAnalysis]:
        """Analyze frames."""
        return [self(frame)[0] for frame in frames]


def save_pipeline(folder: Path) -> Path:
    """Write a pipeline with random weights and a prior that fits its encoder."""
    torch.manual_seed(0)
    tokenizer = _tokenizer(folder)
    text = CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=200, projection_dim=WIDTH,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    vision = CLIPVisionConfig(
        hidden_size=WIDTH, intermediate_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, image_size=28,
        patch_size=14, projection_dim=WIDTH,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=SIDE // 4, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), norm_num_groups=4,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=WIDTH, attention_head_dim=4,
    )  # fmt: skip
    conditioner = IdentityConditioner.for_unet(
        unet, id_dim=WIDTH, state_dim=WIDTH, num_tokens=2, id_hidden=WIDTH, resampler_depth=1, head_dim=8,
        ff_mult=1, part_width=WIDTH, part_depth=1,
    )  # fmt: skip
    pipe = PortraitPipeline(
        vae=PatchAutoencoderKL(
            block_out_channels=(8,), latent_channels=4, norm_num_groups=4, patch_size=4, sample_size=SIDE
        ),
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DPMSolverMultistepScheduler(prediction_type="v_prediction"),
        conditioner=conditioner,
        image_encoder=CLIPVisionModelWithProjection(vision),
        feature_extractor=CLIPImageProcessorPil(
            size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}
        ),
    )
    pipe.save_pretrained(folder)
    people = np.random.default_rng(0).standard_normal((60, WIDTH))
    save_file(fit_prior(people, components=4), folder / FILE)
    return folder


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """Single letters: enough for every prompt."""
    letters = "abcdefghijklmnopqrstuvwxyz,-:"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({piece: index for index, piece in enumerate(pieces)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=200)


if __name__ == "__main__":
    generate(ToyIdentities.model_validate_json(sys.argv[1]), sys.argv[2], workers=int(sys.argv[3]))
