"""The bundled image encoder: `faces.tower` as a component of a pipeline.

It answers like CLIP's vision tower (`image_embeds`, `hidden_states`), so the pipeline cannot tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.utils import BaseOutput

from faces.tower import TowerLayers


@dataclass
class FaceEncoderOutput(BaseOutput):
    """What `FaceEncoder` returns, under the names of transformers' CLIP."""

    image_embeds: torch.Tensor
    """(n, projection_dim), not normalised."""
    hidden_states: tuple[torch.Tensor, ...] | None = None
    """(n, 1 + tokens, hidden_size) after the stem and after each layer; the first token stands for the whole."""


class FaceEncoder(TowerLayers, ModelMixin, ConfigMixin):
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
        self.add_layers(
            image_size, hidden_size, num_hidden_layers, num_attention_heads, projection_dim, stem_widths
        )

    def forward(self, pixel_values: torch.Tensor, output_hidden_states: bool = False) -> FaceEncoderOutput:
        """Encode crops; all layers' tokens are returned when `output_hidden_states` is set."""
        embeds, states = self.encode(pixel_values)
        return FaceEncoderOutput(
            image_embeds=embeds, hidden_states=tuple(states) if output_hidden_states else None
        )
