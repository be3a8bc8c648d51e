"""What a flow says of the edited picture before any network draws it: moved pixels, and holes that nothing moved into.

Pixels are carried forward and summed where they land, the fastest ones counting most (Niklaus and Liu 2020, "Softmax
Splatting for Video Frame Interpolation", arXiv:2003.05534, section 3.2): what moves lies in front of what stays.
"""

from __future__ import annotations

import torch
from torch.nn import functional

_IMPORTANCE = 400.0
"""Logarithm of the weight of a pixel that moves by a frame's width, over one that stays."""
_MOST_LOG = 20.0
"""Largest logarithm of a weight."""
_FILLED = 0.5
"""Weight without importance below which a place counts as a hole."""


def resize_flow(flow: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bring a flow (n, 2, h, w) in pixels of its own grid to another grid (height, width) in pixels of that one."""
    height, width = flow.shape[2:]
    if (height, width) == tuple(size):
        return flow
    scale = flow.new_tensor([size[1] / width, size[0] / height])[:, None, None]
    return functional.interpolate(flow, size=size, mode="bilinear", align_corners=False) * scale


def splat(pictures: torch.Tensor, flow: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Move pixels to where a flow takes them.

    Args:
        pictures: (n, c, h, w) of any range.
        flow: (n, 2, h, w) forward flow (dx, dy) in pixels.

    Returns:
        (n, c, h, w), 0 in holes; and holes (n, 1, h, w), 1 where no pixel lands and 0 where one wholly does.
    """
    count, channels, height, width = pictures.shape
    flow = flow.to(pictures.dtype)
    length = flow.norm(dim=1, keepdim=True) / width
    weight = (_IMPORTANCE * length).clamp(max=_MOST_LOG).exp()
    carried = torch.cat([pictures * weight, weight, torch.ones_like(weight)], dim=1)
    landed = _scatter(carried, flow)
    total, plain = landed[:, channels : channels + 1], landed[:, channels + 1 :]
    holes = (1 - plain / _FILLED).clamp(0, 1)
    moved = landed[:, :channels] / torch.where(total > 0, total, torch.ones_like(total))
    return moved * (holes < 1), holes


def _scatter(values: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """Add each value to the four pixels around where it lands, by nearness; what lands outside is lost."""
    count, channels, height, width = values.shape
    rows = torch.arange(height, device=flow.device, dtype=flow.dtype).view(1, height, 1)
    columns = torch.arange(width, device=flow.device, dtype=flow.dtype).view(1, 1, width)
    x, y = columns + flow[:, 0], rows + flow[:, 1]
    left, top = x.floor(), y.floor()
    summed = values.new_zeros(count, channels, height * width)
    flat = values.flatten(2)
    for column, row in ((left, top), (left + 1, top), (left, top + 1), (left + 1, top + 1)):
        share = (1 - (x - column).abs()) * (1 - (y - row).abs())
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        share = torch.where(inside, share, torch.zeros_like(share)).flatten(1)[:, None]
        place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long().flatten(1)[:, None]
        summed.scatter_add_(2, place.expand(-1, channels, -1), flat * share)
    return summed.view(count, channels, height, width)
