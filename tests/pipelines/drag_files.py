"""InstantDrag files as published, shrunk, with random numbers; and FlowGen a second time, nested as its keys are."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler
from safetensors.torch import save_file
from torch import nn

from tests.pipelines.components import toy_unet

NARROW = (8, 16, 32, 64, 64, 64, 64, 64)
"""Widths of a FlowGen with the published nesting and an eighth of its width."""
NARROW_GROUPS = 8
SHALLOW = (32, 32, 64)
"""Widths of the smallest one that has the published norms."""


class NestedLevel(nn.Module):
    """A level of FlowGen that holds all below it."""

    def __init__(self, level: int, widths: tuple[int, ...], groups: int) -> None:
        super().__init__()
        self.level, inside = level, widths[level]
        outside = widths[level - 1]
        if level == 0:
            child = NestedLevel(1, widths, groups)
            parts = [down(5, inside), child, nn.ReLU(), up(2 * inside, 2), nn.Tanh()]
        elif level == len(widths) - 1:
            norm = nn.GroupNorm(groups, outside)
            parts = [
                nn.LeakyReLU(0.2, True), down(outside, inside), nn.ReLU(), up(inside, outside), norm
            ]  # fmt: skip
        else:
            child = NestedLevel(level + 1, widths, groups)
            parts = [
                nn.LeakyReLU(0.2, True), down(outside, inside), nn.GroupNorm(groups, inside), child,
                nn.ReLU(), up(2 * inside, outside), nn.GroupNorm(groups, outside), nn.Dropout(0.5),
            ]  # fmt: skip
        self.model = nn.Sequential(*parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x) if self.level == 0 else torch.cat([x, self.model(x)], dim=1)


class NestedFlowGen(nn.Module):
    """Names its tensors as the published file does."""

    def __init__(self, widths: tuple[int, ...] = NARROW, groups: int = NARROW_GROUPS) -> None:
        super().__init__()
        self.model = NestedLevel(0, widths, groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


def down(channels: int, width: int) -> nn.Conv2d:
    return nn.Conv2d(channels, width, kernel_size=4, stride=2, padding=1)


def up(channels: int, width: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(channels, width, kernel_size=4, stride=2, padding=1)


def nested(seed: int = 0, widths: tuple[int, ...] = NARROW, groups: int = NARROW_GROUPS) -> NestedFlowGen:
    """Every tensor drawn at random, so that each has an effect."""
    torch.manual_seed(seed)
    network = NestedFlowGen(widths, groups)
    for name, parameter in network.named_parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, mean=float(name.endswith("weight")), std=0.3)
    return network.eval()


def save_published(folder: Path, in_channels: int = 10) -> Path:
    """Write all of InstantDrag's files but the text embedding, which its authors keep elsewhere."""
    for number in (2, 3):
        state = nested(number, SHALLOW, 32).state_dict()
        save_file(state, folder / f"flowgen_config{number}.safetensors")
    inside = folder / "flowdiffusion"
    toy_unet(in_channels=in_channels).save_pretrained(inside / "unet")
    torch.manual_seed(0)
    vae = AutoencoderKL(block_out_channels=(4,), norm_num_groups=2, latent_channels=4)
    vae.save_pretrained(inside / "vae")
    DDIMScheduler(prediction_type="v_prediction").save_pretrained(inside / "scheduler")
    index = {
        "_class_name": ["pipeline", "FlowDiffusionPipeline"],
        "unet": ["diffusers", "UNet2DConditionModel"],
    }
    (inside / "model_index.json").write_text(json.dumps(index))
    return folder
