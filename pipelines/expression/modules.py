"""The action unit adapter: continuous intensities become tokens that the denoiser attends to.

SynFER (Ma et al. 2024, arXiv:2410.09865, section 3.2) injects action units through decoupled cross-attention beside
the text, with the denoiser frozen. Its labels are on or off; here intensities are continuous, the two sides of the
face are told apart, and a unit that nobody specified has a token state of its own, so it stays free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn

from faces import vocabulary
from faces.facs import STRONGEST
from pipelines.portrait.attention import AdapterAttention, AdapterContext, IdentityContext, attention_layers

BRANCH = "action_units"
"""Name of the branch in `IdentityContext.adapters`."""


class ActionUnitAdapter(ModelMixin, ConfigMixin):
    """Tokens for action units, and the weights of their attention.

    Args:
        units: names of the columns it takes, `vocabulary.UNIT_COLUMNS` for the bundled model.
        token_dim: D, width of the tokens.
        num_tokens: T.
        hidden: width inside the MLP.
        attention_widths: layer index -> width of the layer, as pairs; see `for_unet`.
    """

    @register_to_config
    def __init__(
        self,
        units: Sequence[str] = vocabulary.UNIT_COLUMNS,
        token_dim: int = 768,
        num_tokens: int = 4,
        hidden: int = 512,
        attention_widths: Sequence[tuple[int, int]] = (),
    ) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(2 * len(units), hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, num_tokens * token_dim),
        )  # fmt: skip
        self.norm = nn.LayerNorm(token_dim)
        self.attention = nn.ModuleDict(
            {str(index): AdapterAttention(width, token_dim) for index, width in attention_widths}
        )

    @classmethod
    def for_unet(cls, unet: nn.Module, **config) -> ActionUnitAdapter:
        """Build an adapter that fits `unet`; its branch is silent until trained: values start at zero.

        Args:
            unet: a UNet2DConditionModel.
            **config: the arguments of the class except `attention_widths`.
        """
        layers = [layer for layer in attention_layers(unet) if layer.token_dim]
        config.setdefault("token_dim", max(layer.token_dim for layer in layers))
        adapter = cls(attention_widths=tuple((layer.index, layer.hidden) for layer in layers), **config)
        with torch.no_grad():
            for layer in layers:
                attn = unet.get_submodule(layer.name.removesuffix(".processor"))
                weights = adapter.attention[str(layer.index)]
                if attn.to_k.weight.shape == weights.to_k.weight.shape:
                    weights.to_k.weight.copy_(attn.to_k.weight)
                nn.init.zeros_(weights.to_v.weight)
        return adapter

    def forward(self, values: torch.Tensor, specified: torch.Tensor | None = None) -> torch.Tensor:
        """Make tokens (b, T, D).

        Args:
            values: (b, units) intensities, 0 for rest and 1 for a strong display.
            specified: (b, units) bool, which of them are meant; all by default. The others stay free.
        """
        if specified is None:
            specified = torch.ones_like(values, dtype=torch.bool)
        known = specified.to(values.dtype)
        seen = torch.cat([values * known, known], dim=-1).to(self.norm.weight.dtype)
        return self.norm(self.mlp(seen).unflatten(-1, (self.config.num_tokens, -1)))

    def table(
        self, units: Mapping[str, float] | Sequence[Mapping[str, float]] | None, count: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Intensities by name as a table: values and which are specified, (count, units) each.

        Args:
            units: name -> intensity for all, or one mapping for each of `count` pictures; "AU12" of a sided unit
                means both sides, "AU12L" the subject's left alone. None specifies nothing.
            count: of pictures.

        Raises:
            ValueError: an unknown name, an intensity outside 0..1.5, another number of mappings.
        """
        rows = [units or {}] * count if units is None or isinstance(units, Mapping) else list(units)
        if len(rows) != count:
            raise ValueError(f"action_units: {len(rows)} given for {count} pictures")
        columns = list(self.config.units)
        values, specified = (
            torch.zeros(count, len(columns)),
            torch.zeros(count, len(columns), dtype=torch.bool),
        )
        for row, wanted in enumerate(rows):
            for name, intensity in wanted.items():
                found = [columns.index(name)] if name in columns else []
                found = found or [columns.index(name + side) for side in "LR" if name + side in columns]
                if not found:
                    raise ValueError(f"action_units: unknown '{name}', known are {', '.join(columns)}")
                if not 0 <= intensity <= STRONGEST:  # NaN fails as well
                    raise ValueError(f"action_units: {name} is {intensity}, expected 0..{STRONGEST}")
                values[row, found] = float(intensity)
                specified[row, found] = True
        return values, specified


def freed(unit_tokens: torch.Tensor | None) -> torch.Tensor | None:
    """Tokens (2 n, T, D) of which the half where everything is free comes first: that half, twice."""
    return None if unit_tokens is None else unit_tokens[: len(unit_tokens) // 2].repeat(2, 1, 1)


def attention_context(
    identity_tokens: torch.Tensor,
    unit_tokens: torch.Tensor | None,
    scale: torch.Tensor,
    unit_scales: torch.Tensor,
    rows: slice,
) -> IdentityContext:
    """What the attention layers get, for the given rows of [unconditional, conditional]."""
    adapters = {}
    if unit_tokens is not None:
        adapters[BRANCH] = AdapterContext(unit_tokens[rows], unit_scales[rows])
    return IdentityContext(identity_tokens[rows], scale[rows], adapters=adapters)
