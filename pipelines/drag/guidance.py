"""Guidance by picture and by flow (InstructPix2Pix, Brooks et al. 2023, arXiv:2211.09800, section 3.2.1).

The denoiser answers e_none without either, e_image by the picture alone and e_flow by both; their sum is
e_none + s_image (e_image - e_none) + s_flow (e_flow - e_image).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import torch

Branch = Literal["none", "image", "flow"]
"""What the denoiser is given beside noise: neither, the picture, or the picture and the flow."""


def branch_weights(image_scale: float, flow_scale: float) -> dict[Branch, float]:
    """Branches that have to be computed, and the weights that they are summed by.

    The weights are those of the formula, and add up to 1; a branch whose weight is 0 is left out.

    Args:
        image_scale: 0 without the picture, 1 as it is, above 1 closer to it.
        flow_scale: the same of the flow.

    Raises:
        ValueError: a scale that is not a finite number from 0 on.
    """
    for name, scale in (("image_scale", image_scale), ("flow_scale", flow_scale)):
        if not (math.isfinite(scale) and scale >= 0):
            raise ValueError(f"{name} {scale}: expected a number from 0 on")
    weights: dict[Branch, float] = {
        "none": 1 - image_scale,
        "image": image_scale - flow_scale,
        "flow": flow_scale,
    }
    return {branch: weight for branch, weight in weights.items() if weight != 0}


def combine(answers: Mapping[Branch, torch.Tensor], weights: Mapping[Branch, float]) -> torch.Tensor:
    """Sum the answers of the denoiser by the weights of `branch_weights`."""
    return torch.stack([weight * answers[branch] for branch, weight in weights.items()]).sum(dim=0)
