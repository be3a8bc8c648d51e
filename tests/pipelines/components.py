"""Real classes at toy size, each made from its own seed: what the pipeline tests are run on."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from pipelines.autoencoder import PatchAutoencoderKL
from pipelines.portrait.conditioning import IdentityConditioning
from pipelines.portrait.modules import IdentityConditioner
from pipelines.portrait.pipeline import PortraitPipeline
from tests.pipelines.tokens import toy_tokenizer

TEXT_WIDTH, ID_WIDTH, STATE_WIDTH = 32, 16, 24


def toy_unet(seed: int = 0, cross_attention_dim: int = TEXT_WIDTH, **config: Any) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    defaults = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (16, 32),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 1,
        "cross_attention_dim": cross_attention_dim,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**defaults | config).eval()


def toy_vae(patch_size: int = 2, **config: Any) -> AutoencoderKL:
    torch.manual_seed(0)
    return PatchAutoencoderKL(
        patch_size=patch_size,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
        latent_channels=4,
        sample_size=32,
        **config,
    ).eval()


def toy_text_encoder(width: int = TEXT_WIDTH, length: int = 48, is_projected: bool = False) -> CLIPTextModel:
    tokenizer = toy_tokenizer(length)
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=length,
        projection_dim=width,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return (CLIPTextModelWithProjection if is_projected else CLIPTextModel)(config).eval()


def toy_image_encoder() -> CLIPVisionModelWithProjection:
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=STATE_WIDTH,
        intermediate_size=STATE_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=ID_WIDTH,
    )
    return CLIPVisionModelWithProjection(config).eval()


def toy_processor() -> CLIPImageProcessorPil:
    return CLIPImageProcessorPil(
        size={"shortest_edge": 28}, crop_size=28, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )


def toy_conditioner(unet: UNet2DConditionModel, seed: int = 0, **config: Any) -> IdentityConditioner:
    """A conditioner with every weight drawn at random, so that each part has an effect."""
    torch.manual_seed(seed)
    defaults = {
        "id_dim": ID_WIDTH,
        "state_dim": STATE_WIDTH,
        "num_tokens": 2,
        "resampler_depth": 1,
        "head_dim": 16,
        "part_width": 32,
        "part_depth": 1,
    }
    conditioner = IdentityConditioner.for_unet(unet, **defaults | config)
    for parameter in conditioner.attention.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return conditioner.eval()


def toy_components(length: int = 48, **conditioner: Any) -> dict[str, Any]:
    unet = toy_unet()
    return {
        "vae": toy_vae(),
        "text_encoder": toy_text_encoder(length=length),
        "tokenizer": toy_tokenizer(length),
        "unet": unet,
        "scheduler": DDIMScheduler(num_train_timesteps=1000, clip_sample=False),
        "conditioner": toy_conditioner(unet, **conditioner),
        "image_encoder": toy_image_encoder(),
        "feature_extractor": toy_processor(),
    }


def toy_pipeline(**conditioner: Any) -> PortraitPipeline:
    pipe = PortraitPipeline(**toy_components(**conditioner))
    pipe.set_progress_bar_config(disable=True)
    return pipe


def toy_frames(count: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Canonical frames of noise with a parsing that holds every part: pictures (n, 32, 32, 3), ids (n, 32, 32)."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    parsing = np.zeros((count, 32, 32), np.uint8)
    parsing[:, 6:28, 8:24] = 1
    for label, row, column in ((4, 12, 10), (5, 12, 18), (7, 14, 5), (8, 14, 25), (10, 16, 14), (12, 21, 13)):
        parsing[:, row : row + 3, column : column + 3] = label
    return frames, parsing


def toy_people(pipe: PortraitPipeline, count: int = 2, seed: int = 0) -> IdentityConditioning:
    return pipe.encode_aligned(*toy_frames(count, seed))


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]
