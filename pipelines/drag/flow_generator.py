"""The network that completes drags to a dense flow (InstantDrag, Shin et al. 2024, arXiv:2409.08857).

A U-Net of strided convolutions as in pix2pix (Isola et al. 2017, arXiv:1611.07004, section 6.1.1) with group norms.
Ours adds residual layers between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.resnet import ResnetBlock2D
from torch import nn
from torch.nn import functional

_SLOPE = 0.2
"""Of the leaky activations on the way down."""


class FlowDown(nn.Module):
    """Halve width and height.

    Args:
        channels: of the input.
        width: of the output.
        groups: of the norm; 0 for none.
        is_first: the input is a picture, which is not activated.
        resnets: residual layers behind it.
    """

    def __init__(
        self, channels: int, width: int, groups: int, is_first: bool, resnets: nn.ModuleList
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(groups, width) if groups else None
        self.is_first = is_first
        self.resnets = resnets

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, h, w) to (n, width, h / 2, w / 2)."""
        x = self.conv(x if self.is_first else functional.leaky_relu(x, _SLOPE))
        return _refined(x if self.norm is None else self.norm(x), self.resnets)


class FlowUp(nn.Module):
    """Double width and height.

    Args:
        channels: of the input.
        width: of the output.
        groups: of the norm; 0 for none.
        dropout: share of the output that training leaves out.
        resnets: residual layers behind it.
    """

    def __init__(
        self, channels: int, width: int, groups: int, dropout: float, resnets: nn.ModuleList
    ) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(channels, width, 4, stride=2, padding=1)
        self.norm = nn.GroupNorm(groups, width) if groups else None
        self.dropout = nn.Dropout(dropout)
        self.resnets = resnets

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, channels, h, w) to (n, width, 2 h, 2 w)."""
        x = self.conv(functional.relu(x))
        return _refined(self.dropout(x if self.norm is None else self.norm(x)), self.resnets)


def _refined(x: torch.Tensor, resnets: nn.ModuleList) -> torch.Tensor:
    for resnet in resnets:
        x = resnet(x, None)
    return x


class FlowGenerator(ModelMixin, ConfigMixin):
    """A picture and a map of drags in, a dense flow out; the defaults are the published network.

    Args:
        in_channels: of the picture and the map.
        out_channels: of the flow.
        block_out_channels: width of each step down, finest first; each halves height and width.
        layers_per_block: residual layers behind each step but the last; they cost few parameters and refine the flow.
        norm_num_groups: groups of the norms. The first step down, the innermost one and the last step up have none.
        dropout: behind steps up that keep their width, the innermost and the last one apart.
        sample_size: side of the pictures it is trained with.
        output: "tanh" for a flow in [-1, 1], "linear" for one without bounds.
    """

    @register_to_config
    def __init__(
        self,
        in_channels: int = 5,
        out_channels: int = 2,
        block_out_channels: Sequence[int] = (64, 128, 256, 512, 512, 512, 512, 512),
        layers_per_block: int = 0,
        norm_num_groups: int = 32,
        dropout: float = 0.5,
        sample_size: int = 256,
        output: Literal["tanh", "linear"] = "tanh",
    ) -> None:
        super().__init__()
        if output not in ("tanh", "linear"):
            raise ValueError(f"output {output!r}: expected tanh or linear")
        normed = block_out_channels if layers_per_block else block_out_channels[:-1]
        odd = [width for width in normed if width % norm_num_groups]
        if odd:
            raise ValueError(
                f"block_out_channels: {odd[0]} is no multiple of norm_num_groups={norm_num_groups}"
            )
        widths, last = list(block_out_channels), len(block_out_channels) - 1

        def resnets(width: int) -> nn.ModuleList:
            return nn.ModuleList(
                ResnetBlock2D(in_channels=width, temb_channels=None, groups=norm_num_groups)
                for _ in range(layers_per_block)
            )

        self.down_blocks = nn.ModuleList()
        for level, (outside, inside) in enumerate(pairwise([in_channels, *widths])):
            groups = norm_num_groups if 0 < level < last else 0
            self.down_blocks.append(FlowDown(outside, inside, groups, level == 0, resnets(inside)))
        self.up_blocks = nn.ModuleList()
        for level in range(last, -1, -1):
            inside, outside = widths[level], widths[level - 1] if level else out_channels
            groups = norm_num_groups if level else 0
            share = dropout if 0 < level < last and inside == outside else 0.0
            # All but the innermost see what came down to them beside what came up.
            refining = resnets(outside) if level else nn.ModuleList()
            self.up_blocks.append(
                FlowUp(inside if level == last else 2 * inside, outside, groups, share, refining)
            )

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        """Predict flow.

        Args:
            sample: pictures and maps side by side, (n, in_channels, h, w).

        Returns:
            (n, out_channels, h, w).

        Raises:
            ValueError: other channels, or a height or width that cannot be halved at every step.
        """
        self._check(sample)
        skips, x = [], sample
        for block in self.down_blocks:
            x = block(x)
            skips.append(x)
        skips.pop()  # the innermost goes up as it is
        for block in self.up_blocks[:-1]:
            x = torch.cat([skips.pop(), block(x)], dim=1)
        x = self.up_blocks[-1](x)
        return torch.tanh(x) if self.config.output == "tanh" else x

    def _check(self, sample: torch.Tensor) -> None:
        factor = 2 ** len(self.down_blocks)
        fits = sample.ndim == 4 and sample.shape[1] == self.config.in_channels
        if not fits or 0 in sample.shape[2:] or sample.shape[2] % factor or sample.shape[3] % factor:
            raise ValueError(
                f"sample {tuple(sample.shape)}: expected (n, {self.config.in_channels}, h, w) "
                f"with h and w multiples of {factor}"
            )
