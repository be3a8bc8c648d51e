"""Stable-Makeup files as published, at full size as shapes and shrunk with random numbers."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import save_file

from tests.pipelines.components import TEXT_WIDTH, toy_unet

NAMES = ("pytorch_model", "pytorch_model_1", "pytorch_model_2")
LAYERS = {
    **{1 + 2 * n: f"down_blocks.{n // 2}.attentions.{n % 2}" for n in range(6)},
    **{13 + 2 * n: f"up_blocks.{1 + n // 3}.attentions.{n % 3}" for n in range(9)},
    31: "mid_block.attentions.0",
}
"""Index in the file -> the attention of the UNet it stands for."""
LEVELS = {1: 0, 3: 0, 5: 1, 7: 1, 13: 2, 15: 2, 17: 2, 19: 1, 21: 1, 23: 1, 25: 0, 27: 0, 29: 0}
"""Index -> level of the UNet whose width it has; all others have the widest."""
FULL = {"width": 1024, "layers": 24, "ff": 4096, "patch": 14, "positions": 257, "inner": 512}
TOY = {"width": 48, "layers": 4, "ff": 96, "patch": 14, "positions": 5, "inner": 32}
TOY_LEVELS = (8, 16, 32, 32)
TOY_CONDITION = (4, 4, 8, 8)


def four_level_unet(cross_attention_dim: int = TEXT_WIDTH) -> UNet2DConditionModel:
    """The blocks of Stable Diffusion 1.5 in miniature."""
    return toy_unet(
        cross_attention_dim=cross_attention_dim,
        block_out_channels=TOY_LEVELS,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        layers_per_block=2,
    )


def encoder_shapes(width, layers, ff, patch, positions, inner):
    del inner
    shapes = {
        "embeddings.class_embedding": (width,),
        "embeddings.patch_embedding.weight": (width, 3, patch, patch),
        "embeddings.position_embedding.weight": (positions, width),
        "pre_layrnorm.weight": (width,),
        "pre_layrnorm.bias": (width,),
    }
    for layer in range(layers):
        start = f"encoder.layers.{layer}."
        for name in "qkv":
            shapes[f"{start}self_attn.{name}_proj.weight"] = (width, width)
            shapes[f"{start}self_attn.{name}_proj.bias"] = (width,)
        shapes |= {
            f"{start}self_attn.out_proj.weight": (width, width),
            f"{start}self_attn.out_proj.bias": (width,),
        }
        shapes |= {f"{start}layer_norm{n}.{kind}": (width,) for n in (1, 2) for kind in ("weight", "bias")}
        shapes |= {f"{start}mlp.fc1.weight": (ff, width), f"{start}mlp.fc1.bias": (ff,)}
        shapes |= {f"{start}mlp.fc2.weight": (width, ff), f"{start}mlp.fc2.bias": (width,)}
    return {f"image_encoder.vision_model.{key}": shape for key, shape in shapes.items()}


def attention_shapes(width, levels):
    hidden = {index: levels[LEVELS.get(index, 3)] for index in LAYERS}
    return {f"SSR_layers.{n}.to_{x}_SSR.weight": (hidden[n], width) for n in LAYERS for x in "kv"}


def mixer_shapes(width, inner, **_):
    shapes = {f"attn.to_{name}.weight": (inner, width) for name in "qkv"}
    shapes |= {"attn.to_out.0.weight": (width, inner), "attn.to_out.0.bias": (width,)}
    shapes |= {"ff.net.0.proj.weight": (8 * width, width), "ff.net.0.proj.bias": (8 * width,)}
    shapes |= {"ff.net.2.weight": (width, 4 * width), "ff.net.2.bias": (width,)}
    shapes |= {f"norm{n}.{kind}": (width,) for n in (1, 2) for kind in ("weight", "bias")}
    return {f"resampler.{key}": shape for key, shape in shapes.items()}


def main_shapes(sizes, levels):
    attention = attention_shapes(sizes["width"], levels)
    return encoder_shapes(**sizes) | attention | mixer_shapes(**sizes)


def controlnet_shapes(unet, levels, condition=(16, 32, 96, 256)):
    first, second, third, last = condition
    convolutions = {
        "conv_in": (levels[0], 4, 3),
        "controlnet_cond_embedding.conv_in": (first, 3, 3),
        "controlnet_cond_embedding.blocks.0": (first, first, 3),
        "controlnet_cond_embedding.blocks.1": (second, first, 3),
        "controlnet_cond_embedding.blocks.2": (second, second, 3),
        "controlnet_cond_embedding.blocks.3": (third, second, 3),
        "controlnet_cond_embedding.blocks.4": (third, third, 3),
        "controlnet_cond_embedding.blocks.5": (last, third, 3),
        "controlnet_cond_embedding.conv_out": (levels[0], last, 3),
        "controlnet_mid_block": (levels[3], levels[3], 1),
    }
    widths = [levels[0]] * 4 + [levels[1]] * 3 + [levels[2]] + [levels[2]] + [levels[3]] * 3
    convolutions |= {f"controlnet_down_blocks.{n}": (width, width, 1) for n, width in enumerate(widths)}
    shapes = {}
    for name, (outside, inside, size) in convolutions.items():
        shapes |= {f"{name}.weight": (outside, inside, size, size), f"{name}.bias": (outside,)}
    time = 4 * levels[0]
    shapes |= {"time_embedding.linear_1.weight": (time, levels[0]), "time_embedding.linear_1.bias": (time,)}
    shapes |= {"time_embedding.linear_2.weight": (time, time), "time_embedding.linear_2.bias": (time,)}
    encoder = ("down_blocks.", "mid_block.")
    return shapes | {key: tuple(x.shape) for key, x in unet.state_dict().items() if key.startswith(encoder)}


def random_state(shapes, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        noise = 0.1 * torch.randn(shape, generator=generator)
        state[key] = (noise + ("norm" in key and key.endswith("weight"))).to(dtype)
    return state


def toy_files(unet, dtype=torch.float32):
    controlnet = controlnet_shapes(unet, TOY_LEVELS, TOY_CONDITION)
    shapes = (main_shapes(TOY, TOY_LEVELS), controlnet, controlnet)
    return [random_state(item, seed, dtype) for seed, item in enumerate(shapes)]


def save(folder, files, names=NAMES):
    for name, state in zip(names, files, strict=True):
        save_file(state, folder / f"{name}.safetensors")
    return folder


def modules(made):
    return made.image_encoder, made.adapter, made.content_controlnet, made.structure_controlnet
