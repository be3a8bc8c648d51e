"""The identity conditioner: identity tokens for decoupled cross-attention and part tokens merged into words.

One class for the family IP-Adapter FaceID, FaceID-Plus, PlusV2, Portrait (Ye et al. 2023, arXiv:2308.06721,
and its face models) and ConsistentID (Huang et al. 2024, arXiv:2404.16771): the same mathematics, every width
configurable, so that the bundled model and the published checkpoints share one path.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from faces import vocabulary
from pipelines.portrait.attention import IdentityAttention, attend, attention_layers

Variant = Literal["faceid", "faceid_plus", "faceid_plusv2", "portrait", "consistentid"]
VARIANTS: tuple[Variant, ...] = ("faceid", "faceid_plus", "faceid_plusv2", "portrait", "consistentid")

_EARS, _EYES = (list(vocabulary.PARTS).index(name) for name in ("ears", "eyes"))


class IdentityTokens(NamedTuple):
    """What the conditioner makes of a person."""

    id_tokens: torch.Tensor
    """(b, T, D) for the identity branch of cross-attention."""
    part_tokens: torch.Tensor | None
    """(b, 5, D) in the order of `vocabulary.PARTS`, to be merged into words; None in variants without parts."""


class PerceiverAttention(nn.Module):
    """Latents attend to features and to themselves (Flamingo, Alayrac et al. 2022, arXiv:2204.14198)."""

    def __init__(self, width: int, head_dim: int = 64) -> None:
        super().__init__()
        self.heads = width // head_dim
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_kv = nn.Linear(width, 2 * width, bias=False)
        self.to_out = nn.Linear(width, width, bias=False)

    def forward(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Update of latents (b, t, width) from features (b, n, width)."""
        features, latents = self.norm1(features), self.norm2(latents)
        key, value = self.to_kv(torch.cat([features, latents], dim=1)).chunk(2, dim=-1)
        query, key, value = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in (self.to_q(latents), key, value)
        )
        out = attend(query, key, value)
        return self.to_out(out.transpose(1, 2).flatten(2))


def _feed_forward(width: int, mult: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width),
        nn.Linear(width, width * mult, bias=False),
        nn.GELU(),
        nn.Linear(width * mult, width, bias=False),
    )


class Resampler(nn.Module):
    """Latents read image features (b, n, feature_dim) through `depth` perceiver blocks."""

    def __init__(
        self, feature_dim: int, width: int, out_dim: int, depth: int, head_dim: int = 64, ff_mult: int = 4
    ) -> None:
        super().__init__()
        self.proj_in = nn.Linear(feature_dim, width)
        self.layers = nn.ModuleList(
            nn.ModuleList([PerceiverAttention(width, head_dim), _feed_forward(width, ff_mult)])
            for _ in range(depth)
        )
        self.proj_out = nn.Linear(width, out_dim)
        self.norm_out = nn.LayerNorm(out_dim)

    def forward(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Turn latents (b, t, width) into (b, t, out_dim) by reading features (b, n, feature_dim)."""
        features = self.proj_in(features)
        for layer in self.layers:
            attention, feed_forward = cast(nn.ModuleList, layer)
            latents = latents + attention(features, latents)
            latents = latents + feed_forward(latents)
        return self.norm_out(self.proj_out(latents))


class IdentityProjector(nn.Module):
    """Embedding (b, E) -> `num_tokens` tokens (b, T, D): an MLP alone, as FaceID and Portrait have it."""

    def __init__(self, id_dim: int, hidden: int, token_dim: int, num_tokens: int) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.proj = nn.Sequential(
            nn.Linear(id_dim, hidden), nn.GELU(), nn.Linear(hidden, token_dim * num_tokens)
        )
        self.norm = nn.LayerNorm(token_dim)

    def forward(self, id_embeds: torch.Tensor, states: torch.Tensor | None = None) -> torch.Tensor:
        """Project (b, E) to T tokens, or several embeddings of a person (b, r, E) to r * T; no use of states."""
        tokens = self.proj(id_embeds).unflatten(-1, (self.num_tokens, -1))
        return self.norm(tokens).flatten(1, -2)


class IdentityProjectorPlus(IdentityProjector):
    """The MLP's tokens then read the image encoder's states; `shortcut` (V2) adds them to what they read."""

    def __init__(
        self,
        id_dim: int,
        hidden: int,
        token_dim: int,
        num_tokens: int,
        state_dim: int,
        depth: int,
        head_dim: int,
        ff_mult: int,
        shortcut: bool,
    ) -> None:
        super().__init__(id_dim, hidden, token_dim, num_tokens)
        self.shortcut = shortcut
        self.resampler = Resampler(state_dim, token_dim, token_dim, depth, head_dim, ff_mult)

    def forward(self, id_embeds: torch.Tensor, states: torch.Tensor | None = None) -> torch.Tensor:
        """Project (b, E) with image states (b, N, C) to (b, T, D)."""
        tokens = super().forward(id_embeds)
        read = self.resampler(states, tokens)
        return tokens + read if self.shortcut else read


class PartEncoder(nn.Module):
    """One learned latent reads the states of one part image: (b, N, C) -> (b, D)."""

    def __init__(
        self, state_dim: int, width: int, token_dim: int, depth: int, head_dim: int, ff_mult: int
    ) -> None:
        super().__init__()
        self.latents = nn.Parameter(torch.randn(1, 1, width) / width**0.5)
        self.resampler = Resampler(state_dim, width, token_dim, depth, head_dim, ff_mult)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Encode (b, N, C) to (b, D)."""
        return self.resampler(states, self.latents.expand(len(states), -1, -1)).squeeze(1)


class FuseMLP(nn.Module):
    """LayerNorm, Linear, GELU, Linear."""

    def __init__(self, inside: int, width: int) -> None:
        super().__init__()
        self.layernorm = nn.LayerNorm(inside)
        self.fc1 = nn.Linear(inside, width)
        self.fc2 = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (..., inside) to (..., width)."""
        return self.fc2(functional.gelu(self.fc1(self.layernorm(x))))


class FuseModule(nn.Module):
    """Merge a part's token into the embedding of its word (PhotoMaker, Li et al. 2023, arXiv:2312.04461)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp1 = FuseMLP(2 * width, width)
        self.mlp2 = FuseMLP(width, width)
        self.layer_norm = nn.LayerNorm(width)

    def forward(self, words: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        """Merge words (..., D) with parts (..., D)."""
        merged = self.mlp1(torch.cat([words, parts], dim=-1)) + words
        return self.layer_norm(self.mlp2(merged) + merged)


class IdentityConditioner(ModelMixin, ConfigMixin):
    """Everything that makes a text-to-image UNet draw one person.

    Projector of the embedding, encoder of the parts, fusion into words, weights of the UNet's attention.

    Args:
        variant: which of the published designs.
        id_dim: E, width of the identity embedding.
        state_dim: C, width of the image encoder's hidden states.
        token_dim: D, width of the text embedding.
        num_tokens: T, identity tokens (for each embedding in "portrait").
        id_hidden: hidden width of the projector's MLP, None for 2 * id_dim.
        resampler_depth, head_dim, ff_mult: of the perceiver blocks.
        shortcut: add the MLP's tokens to what they read; None for the habit of the variant.
        part_width, part_depth: of the part encoder.
        attention_widths: (hidden, token_dim) of every attention layer of the UNet in its own order, token_dim
            0 for self-attention; empty for a conditioner without attention weights. See `for_unet`.
        rank: of the low-rank updates of attention; 0 for none.
        legacy_parts: word the details and pair "ears" with the picture of the eyes and "eyes" with the ears
            when both are there, as the published ConsistentID weights were trained.
        framing: what the image encoder sees: the face of the canonical frame, or the whole photograph.
        normed_embedding: the embedder's unit vectors are expected, not raw ones.
        embedder: name of the embedder the weights were trained with; embeddings of another one mean
            nothing here.
    """

    @register_to_config
    def __init__(
        self,
        variant: Variant = "consistentid",
        id_dim: int = 512,
        state_dim: int = 1280,
        token_dim: int = 768,
        num_tokens: int = 4,
        id_hidden: int | None = None,
        resampler_depth: int = 4,
        head_dim: int = 64,
        ff_mult: int = 4,
        shortcut: bool | None = None,
        part_width: int = 1024,
        part_depth: int = 8,
        attention_widths: tuple[tuple[int, int], ...] = (),
        rank: int = 0,
        legacy_parts: bool = False,
        framing: Literal["aligned", "photo"] = "aligned",
        normed_embedding: bool = True,
        embedder: str = "image_encoder",
    ) -> None:
        super().__init__()
        _check_config(variant, token_dim, part_width, head_dim)
        mlp = (id_dim, id_hidden or 2 * id_dim, token_dim, num_tokens)
        if variant in ("faceid", "portrait"):
            self.projector = IdentityProjector(*mlp)
        else:
            shortcut = variant == "faceid_plusv2" if shortcut is None else shortcut
            self.projector = IdentityProjectorPlus(
                *mlp, state_dim, resampler_depth, head_dim, ff_mult, shortcut
            )
        self.part_encoder = self.fuse_module = None
        if variant == "consistentid":
            self.part_encoder = PartEncoder(state_dim, part_width, token_dim, part_depth, head_dim, ff_mult)
            self.fuse_module = FuseModule(token_dim)
        self.attention = nn.ModuleDict(
            {
                str(index): IdentityAttention(hidden, cross, rank)
                for index, (hidden, cross) in enumerate(attention_widths)
                if rank or cross
            }
        )

    @classmethod
    def for_unet(cls, unet: nn.Module, **config) -> IdentityConditioner:
        """Build a conditioner that fits `unet`; the identity branch starts as a copy of the text branch.

        Args:
            unet: a UNet2DConditionModel.
            **config: the arguments of the class except `attention_widths`; `token_dim` follows the UNet.
        """
        layers = attention_layers(unet)
        widths = tuple((layer.hidden, layer.token_dim) for layer in layers)
        config.setdefault("token_dim", max(layer.token_dim for layer in layers))
        conditioner = cls(attention_widths=widths, **config)
        with torch.no_grad():
            for layer in layers:
                if layer.token_dim:
                    attn = unet.get_submodule(layer.name.removesuffix(".processor"))
                    weights = conditioner.attention[str(layer.index)]
                    weights.to_k_ip.weight.copy_(attn.to_k.weight)
                    weights.to_v_ip.weight.copy_(attn.to_v.weight)
        return conditioner

    def check_embeddings(self, id_embeds: torch.Tensor) -> None:
        """Refuse embeddings (..., E) of another length than the weights were trained with; zeros are nobody.

        Raises:
            ValueError: a raw embedding where a unit vector is expected, or the other way round.
        """
        length = id_embeds.float().norm(dim=-1).flatten()
        normed = self.config.normed_embedding
        wrong = (length - 1).abs() > 0.02 if normed else length < 5
        wrong &= length > 0
        if wrong.any():
            raise ValueError(
                f"id_embeds: length {float(length[wrong][0]):.3f}; variant {self.config.variant} with "
                f"{self.config.embedder} expects {'unit vectors' if normed else 'raw embeddings, above 5'}"
            )

    @property
    def uses_states(self) -> bool:
        """Whether the variant reads the image encoder's states beside the embedding."""
        return isinstance(self.projector, IdentityProjectorPlus)

    @property
    def uses_parts(self) -> bool:
        """Whether the variant merges part tokens into words."""
        return self.part_encoder is not None

    def forward(
        self,
        id_embeds: torch.Tensor,
        clip_states: torch.Tensor | None = None,
        part_states: torch.Tensor | None = None,
        part_valid: torch.Tensor | None = None,
    ) -> IdentityTokens:
        """Make the tokens of a batch of people.

        Args:
            id_embeds: (b, E); zeros for nobody. "faceid" and "portrait" also take several, (b, r, E).
            clip_states: (b, N, C) hidden states of the face crop; not needed by "faceid" and "portrait".
            part_states: (b, 5, N, C) hidden states of the part images, for "consistentid".
            part_valid: (b, 5) which parts are there.

        Raises:
            ValueError: an input that the variant needs is missing or has another width.
        """
        self._check_inputs(id_embeds, clip_states, part_states, part_valid)
        id_tokens = self.projector(id_embeds, clip_states)
        if not self.uses_parts:
            return IdentityTokens(id_tokens, None)
        tokens = self.part_encoder(part_states.flatten(0, 1)).unflatten(0, part_states.shape[:2])
        if self.config.legacy_parts:
            tokens = _swap_ears_and_eyes(tokens, part_valid)
        return IdentityTokens(id_tokens, tokens)

    def fuse(
        self, text: torch.Tensor, part_tokens: torch.Tensor, positions: torch.Tensor, valid: torch.Tensor
    ) -> torch.Tensor:
        """Merge part tokens into the words they belong to; `text` stays as it was.

        Args:
            text: (b, L, D).
            part_tokens: (b, K, D).
            positions: (b, K) index of each part's word in the text, -1 where it has none.
            valid: (b, K) bool.

        Returns:
            (b, L, D), equal to `text` outside the valid positions.
        """
        length = text.shape[1]
        safe = positions.clamp(0, length - 1)[..., None].expand(-1, -1, text.shape[2])
        dtype = self.fuse_module.layer_norm.weight.dtype
        merged = self.fuse_module(text.gather(1, safe).to(dtype), part_tokens.to(dtype)).to(text.dtype)
        # Invalid parts write into a spare row behind the text, so duplicated positions can never collide.
        target = torch.where((valid & (positions >= 0))[..., None], safe, length)
        spare = torch.zeros_like(text[:, :1])
        return torch.cat([text, spare], dim=1).scatter(1, target, merged)[:, :length]

    def _check_inputs(
        self,
        id_embeds: torch.Tensor,
        clip_states: torch.Tensor | None,
        part_states: torch.Tensor | None,
        part_valid: torch.Tensor | None,
    ) -> None:
        config = self.config
        if id_embeds.shape[-1] != config.id_dim:
            raise ValueError(
                f"id_embeds {tuple(id_embeds.shape)}: {config.embedder} embeddings are {config.id_dim} wide"
            )
        needed = {
            "clip_states": (clip_states, self.uses_states),
            "part_states": (part_states, self.uses_parts),
        }
        for name, (value, used) in needed.items():
            if used and value is None:
                raise ValueError(f"{name}: missing; variant {config.variant} needs it")
            if used and value.shape[-1] != config.state_dim:
                raise ValueError(f"{name} {tuple(value.shape)}: the states must be {config.state_dim} wide")
        if self.uses_parts and part_valid is None:
            raise ValueError(f"part_valid: missing; variant {config.variant} needs it")


def _check_config(variant: str, token_dim: int, part_width: int, head_dim: int) -> None:
    if variant not in VARIANTS:
        raise ValueError(f"variant={variant!r}: expected one of {', '.join(VARIANTS)}")
    widths = {"token_dim": token_dim} if variant in ("faceid_plus", "faceid_plusv2") else {}
    if variant == "consistentid":
        widths = {"token_dim": token_dim, "part_width": part_width}
    for name, width in widths.items():
        if width % head_dim:
            raise ValueError(f"{name}={width}: must be a multiple of head_dim={head_dim}")


def _swap_ears_and_eyes(tokens: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    order = list(range(tokens.shape[1]))
    order[_EARS], order[_EYES] = order[_EYES], order[_EARS]
    both = (valid[:, _EARS] & valid[:, _EYES])[:, None, None]
    return torch.where(both, tokens[:, order], tokens)
