"""Denoiser and text encoder of `mini`: the classes of Stable Diffusion, narrow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

_HEAD = 32
_TEXT_HEAD = 64


def make_unet(
    channels: Sequence[int], plain_levels: int, layers: int, text_width: int, vae: Any
) -> UNet2DConditionModel:
    """Build a denoiser of 16 x 16 latents.

    Args:
        channels: of its levels, finest first.
        plain_levels: finest levels that are without attention.
        layers: residual blocks of a level.
        text_width: of the tokens that cross-attention reads.
        vae: whose latents it denoises.
    """
    deep = len(channels) - plain_levels
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=vae.config.latent_channels,
        out_channels=vae.config.latent_channels,
        down_block_types=("DownBlock2D",) * plain_levels + ("CrossAttnDownBlock2D",) * deep,
        up_block_types=("CrossAttnUpBlock2D",) * deep + ("UpBlock2D",) * plain_levels,
        block_out_channels=tuple(channels),
        layers_per_block=layers,
        cross_attention_dim=text_width,
        attention_head_dim=tuple(
            width // _HEAD for width in channels
        ),  # diffusers counts heads under this name
        norm_num_groups=16,
    )


def make_text_encoder(tokenizer: Any, width: int, layers: int) -> CLIPTextModel:
    """Build a text encoder for the words of a tokenizer."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=width,
            intermediate_size=width * 3,
            num_hidden_layers=layers,
            num_attention_heads=width // _TEXT_HEAD,
            max_position_embeddings=tokenizer.model_max_length,
            projection_dim=width,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
