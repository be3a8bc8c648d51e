"""What a denoiser of Stable Diffusion attends to where there is no prompt, kept as a component."""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config


class NullText(ModelMixin, ConfigMixin):
    """The text embedding of "".

    Args:
        tokens: of the embedding.
        width: of a token.
    """

    @register_to_config
    def __init__(self, tokens: int = 77, width: int = 768) -> None:
        super().__init__()
        self.states = torch.nn.Parameter(torch.zeros(1, tokens, width), requires_grad=False)

    @classmethod
    def of(cls, states: torch.Tensor) -> NullText:
        """Keep an embedding, (1, T, D)."""
        made = cls(tokens=states.shape[1], width=states.shape[2])
        made.states.data.copy_(states)
        return made

    def forward(self, count: int) -> torch.Tensor:
        """Return it for several pictures, (count, T, D)."""
        return self.states.expand(count, -1, -1)
