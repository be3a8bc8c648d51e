"""The bundled image encoder: a convolutional stem under a few transformer layers.

It answers like CLIP's vision tower (`image_embeds`, `hidden_states`), so the pipeline cannot tell them apart. A plain
ViT of this size learns next to nothing from the first hundred thousand pictures; early convolutions do
(Xiao et al. 2021, "Early Convolutions Help Transformers See Better").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput
from torch import nn
from torch.nn import functional


@dataclass
class FaceEncoderOutput(BaseOutput):
    """What `FaceEncoder` returns, under the names of transformers' CLIP."""

    image_embeds: torch.Tensor
    """(n, projection_dim), not normalised."""
    hidden_states: tuple[torch.Tensor, ...] | None = None
    """(n, 1 + tokens, hidden_size) after the stem and after each layer; the first token stands for the whole."""


class FaceEncoder(ModelMixin, ConfigMixin):
    """Encodes face crops (n, 3, s, s) in [-1, 1].

    Args:
        image_size: s in pixels, a multiple of 16.
        hidden_size: width of the tokens.
        num_hidden_layers: transformer layers.
        num_attention_heads: of each layer.
        projection_dim: width of the identity embedding.
        stem_widths: widths of the first three of four convolutions, each of which halves the picture.
    """

    @register_to_config
    def __init__(
        self,
        image_size: int = 112,
        hidden_size: int = 192,
        num_hidden_layers: int = 3,
        num_attention_heads: int = 3,
        projection_dim: int = 256,
        stem_widths: tuple[int, ...] = (32, 64, 128),
    ) -> None:
        super().__init__()
        widths = (3, *stem_widths, hidden_size)
        self.stem = nn.Sequential(*(_Halving(a, b) for a, b in zip(widths[:-1], widths[1:], strict=True)))
        tokens = (image_size // 2 ** (len(widths) - 1)) ** 2
        self.summary = nn.Parameter(torch.zeros(1, 1, hidden_size))
        self.places = nn.Parameter(torch.randn(1, tokens + 1, hidden_size) * 0.02)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                hidden_size,
                num_attention_heads,
                hidden_size * 3,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(num_hidden_layers)
        )
        self.norm = nn.LayerNorm(hidden_size * 2)
        self.visual_projection = nn.Linear(hidden_size * 2, projection_dim, bias=False)
        # What all faces have in common is subtracted, else every two embeddings start almost parallel.
        self.centre = nn.BatchNorm1d(projection_dim, affine=False)

    def forward(self, pixel_values: torch.Tensor, output_hidden_states: bool = False) -> FaceEncoderOutput:
        """Encode crops; all layers' tokens are returned when `output_hidden_states` is set."""
        states = self.read(self.stem(pixel_values))
        tokens = states[-1]
        pooled = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=-1)
        embeds = self.centre(self.visual_projection(self.norm(pooled)))
        return FaceEncoderOutput(
            image_embeds=embeds, hidden_states=tuple(states) if output_hidden_states else None
        )

    def read(self, maps: torch.Tensor) -> list[torch.Tensor]:
        """Tokens (n, 1 + h * w, hidden_size) of the stem's maps (n, hidden_size, h, w), and after each layer."""
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.summary.expand(len(tokens), -1, -1), tokens], dim=1) + self.places
        states = [tokens]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return states


class _Halving(nn.Module):
    """A strided convolution and a residual one, each with batch norm.

    Group norm would divide out how light a face is, and took half as long again to learn the same.
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inside, outside, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.same = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.silu(self.norm1(self.down(x)))
        return functional.silu(x + self.norm2(self.same(x)))
