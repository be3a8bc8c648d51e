"""Decoupled cross-attention of identity tokens, low-rank updates, and the loss that ties words to parts.

IP-Adapter (Ye et al. 2023, arXiv:2308.06721, section 3.2): a second attention with keys and values of its own
over the image tokens, sharing the query with the text branch, added to it. ConsistentID (Huang et al. 2024,
arXiv:2404.16771) adds low-rank updates to every projection and a localisation loss on the text branch.

The weights live in an `IdentityConditioner`; the UNet only borrows them. A processor is a plain object, so
the UNet's own state dict, `save_pretrained` and offload hooks never see another model's parameters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple, cast

import torch
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn import functional

from pipelines.device import is_accelerator


class AdapterContext(NamedTuple):
    """What a further branch of decoupled cross-attention attends to, such as action units."""

    tokens: torch.Tensor
    """(b, T, D) tokens."""
    scale: float | torch.Tensor = 1.0
    """Strength of the branch: one number, or one a sample (b,)."""


class IdentityContext(NamedTuple):
    """What every identity processor gets: a UNet's `cross_attention_kwargs={"ip_hidden_states": ...}`."""

    tokens: torch.Tensor | None
    """(b, T, D) identity tokens; None leaves the text branch alone."""
    scale: float | torch.Tensor = 1.0
    """Strength of the identity branch: one number, or one a sample (b,)."""
    lora_scale: float = 1.0
    """Strength of the low-rank updates."""
    adapters: Mapping[str, AdapterContext] = MappingProxyType({})
    """Name -> tokens of further branches; those without are silent."""


class LowRank(nn.Module):
    """up(down(x)), zero until trained (LoRA, Hu et al. 2021, arXiv:2106.09685, section 4.1)."""

    def __init__(self, inside: int, outside: int, rank: int) -> None:
        super().__init__()
        self.down = nn.Linear(inside, rank, bias=False)
        self.up = nn.Linear(rank, outside, bias=False)
        nn.init.normal_(self.down.weight, std=1 / rank)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., inside) to (..., outside) in the dtype of `x`."""
        return self.up(self.down(x.to(self.down.weight.dtype))).to(x.dtype)


class IdentityAttention(nn.Module):
    """Trainable weights of one attention layer: keys and values of the identity branch, low-rank updates.

    Args:
        hidden: width of the layer.
        token_dim: width of the tokens a cross-attention layer reads; 0 for self-attention (no identity
            branch).
        rank: of the updates to q, k, v and out; 0 for none.
    """

    def __init__(self, hidden: int, token_dim: int = 0, rank: int = 0) -> None:
        super().__init__()
        self.to_k_ip = self.to_v_ip = None
        if token_dim:
            self.to_k_ip = nn.Linear(token_dim, hidden, bias=False)
            self.to_v_ip = nn.Linear(token_dim, hidden, bias=False)
        source = token_dim or hidden
        self.to_q_lora = LowRank(hidden, hidden, rank) if rank else None
        self.to_k_lora = LowRank(source, hidden, rank) if rank else None
        self.to_v_lora = LowRank(source, hidden, rank) if rank else None
        self.to_out_lora = LowRank(hidden, hidden, rank) if rank else None


class AdapterAttention(nn.Module):
    """Keys and values of a further branch at one cross-attention layer (IP-Adapter, section 3.2).

    Args:
        hidden: width of the layer.
        token_dim: width of the tokens.
    """

    def __init__(self, hidden: int, token_dim: int) -> None:
        super().__init__()
        self.to_k = nn.Linear(token_dim, hidden, bias=False)
        self.to_v = nn.Linear(token_dim, hidden, bias=False)


class IdentityProcessor:
    """Attention processor: the stock attention of a UNet plus low-rank updates plus the identity branch.

    Args:
        layer: the weights.
        base: the processor it stands in for, put back by `remove_identity_attention`.
    """

    def __init__(self, layer: IdentityAttention, base: Any) -> None:
        self.layer = layer
        self.base = base
        self.adapters: dict[str, AdapterAttention] = {}
        self.recorded: list[torch.Tensor] | None = None
        self._attention_backend = None  # the name diffusers' `set_attention_backend` looks for

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        ip_hidden_states: IdentityContext | None = None,
    ) -> torch.Tensor:
        """Attend from (b, n, hidden) or (b, hidden, h, w); returns the same shape."""
        layer = self.layer
        # Without a context the layer is the stock one: a UNet shared with another pipeline draws as before.
        context = ip_hidden_states or IdentityContext(None, 0.0, 0.0)
        residual, shape = hidden_states, hidden_states.shape
        if attn.spatial_norm is not None:
            hidden_states = attn.spatial_norm(hidden_states, temb)
        if len(shape) == 4:
            hidden_states = hidden_states.flatten(2).transpose(1, 2)
        if attn.group_norm is not None:
            hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)

        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            source = attn.norm_encoder_hidden_states(source)
        query = _updated(attn.to_q, layer.to_q_lora, hidden_states, context.lora_scale)
        key = _updated(attn.to_k, layer.to_k_lora, source, context.lora_scale)
        value = _updated(attn.to_v, layer.to_v_lora, source, context.lora_scale)
        query, key, value = (_split(x, attn.heads) for x in (query, key, value))
        query = query if attn.norm_q is None else attn.norm_q(query)
        key = key if attn.norm_k is None else attn.norm_k(key)
        mask = self._prepared_mask(attn, attention_mask, source)

        if self.recorded is None:
            out = self._attend(query, key, value, mask)
        else:
            out = self._attend_and_record(query, key, value, mask)
        if layer.to_k_ip is not None and context.tokens is not None:
            keys, values = layer.to_k_ip, layer.to_v_ip
            branch = self._branch(query, context.tokens, keys, values, attn.heads)
            out = out + _column(context.scale, out) * branch
        for name, (tokens, scale) in context.adapters.items():
            if name in self.adapters:
                adapter = self.adapters[name]
                branch = self._branch(query, tokens, adapter.to_k, adapter.to_v, attn.heads)
                out = out + _column(scale, out) * branch

        out = _updated(attn.to_out[0], layer.to_out_lora, out.to(query.dtype), context.lora_scale)
        out = attn.to_out[1](out)
        if len(shape) == 4:
            out = out.transpose(1, 2).reshape(shape)
        if attn.residual_connection:
            out = out + residual
        return out / attn.rescale_output_factor

    def _branch(
        self, query: torch.Tensor, tokens: torch.Tensor, to_k: nn.Linear, to_v: nn.Linear, heads: int
    ) -> torch.Tensor:
        tokens = tokens.to(to_k.weight.dtype)
        key, value = (_split(project(tokens).to(query.dtype), heads) for project in (to_k, to_v))
        return self._attend(query, key, value, None)

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        if self._attention_backend is None:
            out = attend(query, key, value, mask).transpose(1, 2)
        else:
            query, key, value = (x.transpose(1, 2) for x in (query, key, value))
            out = dispatch_attention_fn(query, key, value, mask, backend=self._attention_backend)
        return out.flatten(2)

    def _attend_and_record(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        probabilities = _probabilities(query, key, mask)
        self.recorded.append(probabilities)
        return (probabilities.to(value.dtype) @ value).transpose(1, 2).flatten(2)

    @staticmethod
    def _prepared_mask(
        attn: Attention, mask: torch.Tensor | None, source: torch.Tensor
    ) -> torch.Tensor | None:
        if mask is None:
            return None
        mask = attn.prepare_attention_mask(mask, source.shape[1], source.shape[0])
        return mask.view(source.shape[0], attn.heads, -1, mask.shape[-1])


def attend(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Scaled dot product attention of (b, heads, n, d), fused unless a CPU trains.

    There the backward pass of the fused kernel takes longer than the rest of a small UNet.
    """
    if torch.is_grad_enabled() and not is_accelerator(query.device):
        return _probabilities(query, key, mask).to(value.dtype) @ value
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _probabilities(
    query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None
) -> torch.Tensor:  # (b, heads, n, L)
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return (scores if mask is None else scores + mask).float().softmax(dim=-1)


def _split(x: torch.Tensor, heads: int) -> torch.Tensor:
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)  # (b, heads, n, width of a head)


def _updated(base: nn.Module, update: LowRank | None, x: torch.Tensor, scale: float) -> torch.Tensor:
    return base(x) if update is None or scale == 0 else base(x) + scale * update(x)


def _column(scale: float | torch.Tensor, like: torch.Tensor) -> float | torch.Tensor:
    return scale.to(like).view(-1, 1, 1) if isinstance(scale, torch.Tensor) else scale


class AttentionLayer(NamedTuple):
    """One attention layer of a UNet; `index` is its place in `unet.attn_processors`, as in published files."""

    index: int
    name: str
    hidden: int
    token_dim: int
    """Width of the tokens that cross-attention reads, 0 for self-attention."""


def attention_layers(unet: nn.Module) -> list[AttentionLayer]:
    """List the attention layers of a UNet in the order of `unet.attn_processors`: down, up, then the middle.

    Processors of an IP-Adapter's projection (`encoder_hid_proj`) are no layers of the UNet and are left out.
    """
    processors: Mapping[str, Any] = unet.attn_processors  # type: ignore[assignment]
    names = [name for name in processors if not name.startswith("encoder_hid_proj")]
    layers = []
    for index, name in enumerate(names):
        attn = _attention(unet, name)
        token_dim = attn.to_k.in_features if name.endswith("attn2.processor") else 0
        layers.append(AttentionLayer(index, name, attn.to_q.out_features, token_dim))
    return layers


def _attention(unet: nn.Module, name: str) -> Attention:
    return cast(Attention, unet.get_submodule(name.removesuffix(".processor")))


def install_identity_attention(unet: nn.Module, weights: Mapping[str, IdentityAttention]) -> None:
    """Let the attention layers of `unet` use `weights`, keyed by the index of the layer.

    Layers without weights keep their processor.

    Raises:
        ValueError: the UNet has no such layer, or one of another width.
    """
    layers = {str(layer.index): layer for layer in attention_layers(unet)}
    for index, weight in weights.items():
        if index not in layers:
            raise ValueError(f"attention layer {index}: the UNet has {len(layers)} attention layers")
        layer = layers[index]
        keys = weight.to_k_ip
        found = (keys.out_features, keys.in_features) if keys is not None else None
        if found is not None and found != (layer.hidden, layer.token_dim):
            raise ValueError(
                f"attention layer {index} ({layer.name}): identity keys map {found[1]} to {found[0]} channels, "
                f"the UNet needs {layer.token_dim} to {layer.hidden}"
            )
    remove_identity_attention(unet)
    for index, weight in weights.items():
        attn = _attention(unet, layers[index].name)
        attn.set_processor(IdentityProcessor(weight, attn.processor))


def install_adapter(unet: nn.Module, name: str, weights: Mapping[str, AdapterAttention]) -> None:
    """Give the cross-attention layers of `unet` a further branch, keyed by the index of the layer.

    Args:
        unet: with identity attention installed.
        name: of the branch, under which `IdentityContext.adapters` brings its tokens.
        weights: of the branch.

    Raises:
        ValueError: a layer without identity attention, or of another width.
    """
    layers = {str(layer.index): layer for layer in attention_layers(unet)}
    for index, weight in weights.items():
        processor = _attention(unet, layers[index].name).processor if index in layers else None
        if not isinstance(processor, IdentityProcessor):
            raise ValueError(f"adapter {name}: attention layer {index} of the UNet has no identity attention")
        if weight.to_k.out_features != layers[index].hidden:
            raise ValueError(
                f"adapter {name}: attention layer {index} is {layers[index].hidden} wide, "
                f"its weights are for {weight.to_k.out_features}"
            )
        processor.adapters[name] = weight


def remove_identity_attention(unet: nn.Module) -> None:
    """Put back every processor that `install_identity_attention` replaced; the UNet is as it was."""
    for layer in attention_layers(unet):
        attn = _attention(unet, layer.name)
        if isinstance(attn.processor, IdentityProcessor):
            attn.set_processor(attn.processor.base)


def is_installed(unet: nn.Module, weights: Mapping[str, IdentityAttention]) -> bool:
    """Whether the attention layers of `unet` use exactly these weights."""
    names = {str(layer.index): layer.name for layer in attention_layers(unet)}
    processors = {index: _attention(unet, names[index]).processor for index in weights if index in names}
    return all(getattr(processors.get(index), "layer", None) is weight for index, weight in weights.items())


def is_adapter_installed(unet: nn.Module, name: str, weights: Mapping[str, AdapterAttention]) -> bool:
    """Whether the branch `name` of the attention layers of `unet` uses exactly these weights."""
    layers = {str(layer.index): layer.name for layer in attention_layers(unet)}
    processors = {index: _attention(unet, layers[index]).processor for index in weights if index in layers}
    return all(
        getattr(processors.get(index), "adapters", {}).get(name) is weight
        for index, weight in weights.items()
    )


@contextmanager
def record_text_attention(
    unet: nn.Module, blocks: tuple[str, ...]
) -> Iterator[dict[str, list[torch.Tensor]]]:
    """Record the softmax of the text branch in cross-attention layers while the block runs.

    Args:
        unet: with identity attention installed.
        blocks: beginnings of layer names, e.g. ("down_blocks.1", "mid_block", "up_blocks.1").

    Yields:
        layer name -> list of (b, heads, n, L), one for each time the layer ran, with gradients. Only these
        layers leave the fused attention kernels.

    Raises:
        ValueError: no layer with identity attention has such a name.
    """
    chosen = {
        layer.name: _attention(unet, layer.name).processor
        for layer in attention_layers(unet)
        if layer.token_dim and layer.name.startswith(blocks)
    }
    chosen = {name: item for name, item in chosen.items() if isinstance(item, IdentityProcessor)}
    if not chosen:
        raise ValueError(f"no cross-attention layer with identity attention begins with any of {blocks}")
    recorded: dict[str, list[torch.Tensor]] = {name: [] for name in chosen}
    for name, processor in chosen.items():
        processor.recorded = recorded[name]
    try:
        yield recorded
    finally:
        for processor in chosen.values():
            processor.recorded = None
