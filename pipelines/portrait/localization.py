"""The loss that ties words to parts: a word of a part should be looked at from inside the part.

The facial attention localisation of ConsistentID (Huang et al. 2024, arXiv:2404.16771), after FastComposer (Xiao et al.
2023, arXiv:2305.10431), on what `pipelines.portrait.attention.record_text_attention` records.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.nn import functional


def localization_loss(
    probabilities: torch.Tensor,
    positions: torch.Tensor,
    masks: torch.Tensor,
    valid: torch.Tensor,
    size: tuple[int, int],
) -> torch.Tensor:
    """Punish a part's word for being looked at from outside the part.

    The facial attention localisation of ConsistentID, after FastComposer (Xiao et al. 2023,
    arXiv:2305.10431), on the text branch of cross-attention.

    Args:
        probabilities: (b, heads, h * w, L) softmax of the text branch of one layer.
        positions: (b, K) position in the text of each part's word, -1 where it has none.
        masks: (b, K, H, W) of the parts, 0..1, any size.
        valid: (b, K) which parts count.
        size: (h, w) of the layer's grid.

    Returns:
        Scalar: about -1 when attention lies inside the parts, about +1 when outside, 0 when no part is valid.
    """
    heads = probabilities.shape[1]
    masks = functional.interpolate(masks.float(), size=size, mode="bilinear", antialias=True)
    masks = masks.flatten(2).transpose(1, 2)[:, None]  # (b, 1, h * w, K)
    index = positions.clamp(min=0)[:, None, None].expand(-1, heads, probabilities.shape[2], -1)
    looked_at = probabilities.float().gather(3, index)  # (b, heads, h * w, K)
    looked_at = looked_at / (looked_at.amax(dim=2, keepdim=True) + 1e-5)
    inside = (looked_at * masks).sum(2) / (masks.sum(2) + 1e-5)
    outside = (looked_at * (1 - masks)).sum(2) / ((1 - masks).sum(2) + 1e-5)
    weight = (valid & (positions >= 0))[:, None].to(inside.dtype)
    return (((outside - inside) * weight).sum(2) / (weight.sum(2) + 1e-5)).mean()


def mean_localization_loss(
    recorded: Mapping[str, list[torch.Tensor]],
    positions: torch.Tensor,
    masks: torch.Tensor,
    valid: torch.Tensor,
    latent_size: tuple[int, int],
) -> torch.Tensor:
    """Average `localization_loss` over all that `record_text_attention` saw; `latent_size` is (h, w)."""
    losses = [
        localization_loss(item, positions, masks, valid, _grid(item.shape[2], latent_size))
        for items in recorded.values()
        for item in items
    ]
    return torch.stack(losses).mean()


def _grid(count: int, latent_size: tuple[int, int]) -> tuple[int, int]:
    height, width = latent_size
    while height * width > count:
        height, width = (height + 1) // 2, (width + 1) // 2  # stride-2 convolutions round up
    if height * width != count:
        raise ValueError(f"{count} positions of attention: no halving of {latent_size} gives as many")
    return height, width
