"""The parts of `mini`'s makeup model: the classes of Stable-Makeup, narrow, on patches of pixels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import nn

from pipelines.makeup.modules import MakeupAdapter, MakeupEncoder
from pipelines.portrait.encoder import FaceEncoder

if TYPE_CHECKING:
    from train.tasks.makeup import MakeupConfig

PARTS = {
    "unet": UNet2DConditionModel,
    "content_controlnet": ControlNetModel,
    "structure_controlnet": ControlNetModel,
    "image_encoder": FaceEncoder,
    "adapter": MakeupAdapter,
    "makeup_encoder": MakeupEncoder,
}
"""Name in a `MakeupPipeline` -> class of what is trained."""


def make_parts(config: MakeupConfig) -> dict[str, nn.Module]:
    """Make untrained parts."""
    channels, side = 3 * config.fold**2, config.window // config.fold
    shape: dict[str, Any] = {
        "in_channels": channels,
        "block_out_channels": config.channels,
        "layers_per_block": 1,
        "cross_attention_dim": 32,
        "attention_head_dim": tuple(width // 16 for width in config.channels),
        "norm_num_groups": 16,
    }
    deep = len(config.channels) - 1
    unet = UNet2DConditionModel(
        sample_size=side,
        out_channels=channels,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * deep,
        up_block_types=("CrossAttnUpBlock2D",) * deep + ("UpBlock2D",),
        **shape,
    )
    controlnets = [
        ControlNetModel(
            down_block_types=("DownBlock2D",) * (deep + 1),
            mid_block_type="UNetMidBlock2D",
            conditioning_embedding_out_channels=(16, 32, 64, 128)[: config.fold.bit_length()],
            **shape,
        )
        for _ in range(2)
    ]
    dim = config.token_dim
    encoder = FaceEncoder(
        image_size=config.encoder_size,
        hidden_size=dim,
        num_hidden_layers=config.encoder_layers,
        num_attention_heads=dim // 16,
        projection_dim=8,
        stem_widths=config.encoder_stem,
    )
    return {
        "unet": unet,
        "content_controlnet": controlnets[0],
        "structure_controlnet": controlnets[1],
        "image_encoder": encoder,
        "adapter": MakeupAdapter.for_unet(unet, token_dim=dim, heads=4, head_dim=dim // 4, framing="face"),
        "makeup_encoder": MakeupEncoder(
            state_dim=dim,
            token_dim=dim,
            code_dim=config.code_dim,
            lengths=config.lengths,
            hidden=2 * dim,
            heads=4,
        ),
    }


def load_parts(folder: Path, names: Sequence[str] = tuple(PARTS)) -> dict[str, nn.Module]:
    """Load parts of an exported model, in fp32."""
    return {
        name: kind.from_pretrained(folder / name, torch_dtype=torch.float32)
        for name, kind in PARTS.items()
        if name in names
    }


def predicts_change(folder: Path) -> bool:
    """Whether the denoiser of an exported model answers with what changes."""
    return bool(json.loads((folder / "model_index.json").read_text("utf-8")).get("predicts_change"))
