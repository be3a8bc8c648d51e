"""Cross-attention to makeup tokens in place of text (Stable-Makeup, Zhang et al. 2024, arXiv:2403.07764, section 3.3).

Keys and values are new, query and output projections stay those of the denoiser. The weights live in a
`MakeupAdapter`; a processor only borrows them, so the denoiser's own state dict never sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.attention_processor import Attention
from torch import nn

from pipelines.portrait.attention import AdapterAttention, attend, attention_layers


class MakeupProcessor:
    """Attention processor: softmax((x Wq)(t Wk)^T / sqrt(d)) (t Wv) Wo over makeup tokens t.

    Args:
        layer: the weights.
        base: the processor it stands in for.
        scale: factor of what attention returns, before the output projection.
    """

    def __init__(self, layer: AdapterAttention, base: Any, scale: float = 1.0) -> None:
        self.layer = layer
        self.base = base
        self.scale = scale
        self._attention_backend = None  # the name diffusers' `set_attention_backend` looks for

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attend from (b, n, hidden) to makeup tokens (b, T, token_dim); returns (b, n, hidden).

        Raises:
            ValueError: tokens of another width, such as a text embedding.
        """
        width = self.layer.to_k.in_features
        if encoder_hidden_states is None or encoder_hidden_states.shape[-1] != width:
            found = None if encoder_hidden_states is None else tuple(encoder_hidden_states.shape)
            raise ValueError(f"makeup attention: tokens {found}, expected makeup tokens {width} wide")
        residual = hidden_states
        query = _split(attn.to_q(hidden_states), attn.heads)
        tokens = encoder_hidden_states.to(self.layer.to_k.weight.dtype)
        key, value = (
            _split(project(tokens).to(query.dtype), attn.heads)
            for project in (self.layer.to_k, self.layer.to_v)
        )
        mask = None
        if attention_mask is not None:
            mask = attn.prepare_attention_mask(attention_mask, tokens.shape[1], len(tokens))
            mask = mask.view(len(tokens), attn.heads, -1, mask.shape[-1])
        if self._attention_backend is None:
            out = attend(query, key, value, mask).transpose(1, 2)
        else:
            query, key, value = (x.transpose(1, 2) for x in (query, key, value))
            out = dispatch_attention_fn(query, key, value, mask, backend=self._attention_backend)
        out = attn.to_out[1](attn.to_out[0](self.scale * out.flatten(2).to(hidden_states.dtype)))
        out = out + residual if attn.residual_connection else out
        return out / attn.rescale_output_factor


def makeup_layers(unet: nn.Module) -> list[tuple[int, int]]:
    """(index, width) of the cross-attention layers of a UNet, in the order of `unet.attn_processors`."""
    return [(layer.index, layer.hidden) for layer in attention_layers(unet) if layer.token_dim]


def install_makeup_attention(unet: nn.Module, weights: Mapping[str, AdapterAttention]) -> None:
    """Let every cross-attention layer of `unet` attend to makeup tokens.

    Args:
        unet: a UNet2DConditionModel.
        weights: index of the layer -> its keys and values; one for every cross-attention layer.

    Raises:
        ValueError: layers without weights, weights without a layer, or of another width.
    """
    layers = {str(layer.index): layer for layer in attention_layers(unet) if layer.token_dim}
    if set(layers) != set(weights):
        raise ValueError(
            f"makeup attention is for layers {', '.join(sorted(weights, key=int))}, "
            f"the cross-attention layers of the UNet are {', '.join(sorted(layers, key=int))}"
        )
    for index, weight in weights.items():
        layer = layers[index]
        if weight.to_k.out_features != layer.hidden:
            raise ValueError(
                f"makeup attention: layer {index} is {layer.hidden} wide, its weights are for "
                f"{weight.to_k.out_features}"
            )
        attn: Any = unet.get_submodule(layer.name.removesuffix(".processor"))
        base = attn.processor.base if isinstance(attn.processor, MakeupProcessor) else attn.processor
        attn.set_processor(MakeupProcessor(weight, base))


def remove_makeup_attention(unet: nn.Module) -> None:
    """Put back every processor that `install_makeup_attention` replaced."""
    for layer in attention_layers(unet):
        attn: Any = unet.get_submodule(layer.name.removesuffix(".processor"))
        if isinstance(attn.processor, MakeupProcessor):
            attn.set_processor(attn.processor.base)


def check_text(controlnet: nn.Module, states: torch.Tensor) -> None:
    """Refuse what a ControlNet cannot attend to: it reads the embedding of a text, makeup is for the denoiser alone.

    Args:
        controlnet: a ControlNetModel.
        states: (b, n, D) that it would get.

    Raises:
        ValueError: states of another width than the text's, such as makeup tokens.
    """
    width = controlnet.config.cross_attention_dim
    if states.ndim != 3 or states.shape[-1] != width:
        raise ValueError(
            f"ControlNet: states {tuple(states.shape)}, expected the embedding of the empty text {width} wide; "
            "makeup tokens are for the denoiser alone"
        )


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (b, heads, n, width of a head)
