"""The tower that recognises people: a convolutional stem under a few transformer layers.

A plain ViT of this size learns next to nothing from the first hundred thousand pictures; early convolutions do
(Xiao et al. 2021, "Early Convolutions Help Transformers See Better"). `pipelines.portrait.encoder.FaceEncoder` is
the same tower as a component of a pipeline; both read the same files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from weights import quantized

_CONFIG, _WEIGHTS = "config.json", "diffusion_pytorch_model.safetensors"


class TowerLayers:
    """What a module needs to be a tower: `add_layers` in its constructor, then `encode`."""

    stem: nn.Sequential
    summary: nn.Parameter
    places: nn.Parameter
    layers: nn.ModuleList
    norm: nn.LayerNorm
    visual_projection: nn.Linear
    centre: nn.BatchNorm1d

    def add_layers(
        self,
        image_size: int,
        hidden_size: int,
        num_hidden_layers: int,
        num_attention_heads: int,
        projection_dim: int,
        stem_widths: tuple[int, ...],
    ) -> None:
        """Add stem, transformer layers and projection to the module; see `FaceEncoder` for the arguments."""
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

    def encode(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Embed crops (n, 3, s, s) in [-1, 1]: (n, projection_dim), not normalised, and the tokens of all layers."""
        states = self.read(self.stem(pixel_values))
        tokens = states[-1]
        pooled = torch.cat([tokens[:, 0], tokens[:, 1:].mean(dim=1)], dim=-1)
        return self.centre(self.visual_projection(self.norm(pooled))), states

    def read(self, maps: torch.Tensor) -> list[torch.Tensor]:
        """Tokens (n, 1 + h * w, hidden_size) of the stem's maps (n, hidden_size, h, w), and after each layer."""
        tokens = maps.flatten(2).transpose(1, 2)
        tokens = torch.cat([self.summary.expand(len(tokens), -1, -1), tokens], dim=1) + self.places
        states = [tokens]
        for layer in self.layers:
            states.append(layer(states[-1]))
        return states


class FaceTower(TowerLayers, nn.Module):
    """A tower on its own, for use where no pipeline is.

    Args:
        **shape: the arguments of `add_layers`.
    """

    def __init__(self, **shape: Any) -> None:
        super().__init__()
        self.image_size = int(shape["image_size"])
        self.add_layers(**shape)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Embed crops (n, 3, s, s) in [-1, 1]: (n, projection_dim) of length 1."""
        return functional.normalize(self.encode(pixel_values)[0].float(), dim=-1)

    @classmethod
    def load(cls, folder: str | Path) -> FaceTower:
        """Read a saved `FaceEncoder`, packed (`weights.quantized`) or not, in fp32 and evaluation mode.

        Raises:
            FileNotFoundError: config or weights are missing.
        """
        source = Path(folder)
        weights = quantized.FILE if (source / quantized.FILE).is_file() else _WEIGHTS
        for name in (_CONFIG, weights):
            if not (source / name).is_file():
                raise FileNotFoundError(f"{source / name}: missing; expected a saved FaceEncoder")
        config = json.loads((source / _CONFIG).read_text(encoding="utf-8"))
        tower = cls(**{name: value for name, value in config.items() if not name.startswith("_")})
        tower.load_state_dict(quantized.unpack(load_file(source / weights)))
        return tower.float().eval()


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
