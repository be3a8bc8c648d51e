"""What makes tokens of a look: the detail-preserving adapter, and the encoder of codes that carry no identity.

Stable-Makeup (Zhang et al. 2024, arXiv:2403.07764, section 3.3) takes states of many depths of an image encoder, mixes
them in one transformer block, and attends to all of them. BeautyBank (Lu et al. 2024, arXiv:2411.11231, section 3)
has a code for a look, apart from who wears it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from diffusers.models.attention import FeedForward
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn import functional

from faces.makeup import VECTOR_SIZE, MakeupLook
from pipelines.makeup.attention import makeup_layers
from pipelines.portrait.attention import AdapterAttention


class MixingBlock(nn.Module):
    """One pre-norm transformer block over all tokens; the published code calls it a resampler.

    Args:
        width: of the tokens.
        heads: of attention.
        head_dim: width of each head.
    """

    def __init__(self, width: int, heads: int, head_dim: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attn = Attention(query_dim=width, heads=heads, dim_head=head_dim)
        self.norm2 = nn.LayerNorm(width)
        self.ff = FeedForward(width, activation_fn="geglu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (b, n, width) to the same shape."""
        x = x + self.attn(self.norm1(x))
        return x + self.ff(self.norm2(x))


class MakeupAdapter(ModelMixin, ConfigMixin):
    """Tokens of a reference picture, and the attention of the denoiser to them.

    Args:
        token_dim: D, width of the image encoder's states.
        heads: of the mixing block.
        head_dim: of each of its heads.
        attention_widths: (layer index, width) of every cross-attention layer; see `for_unet`.
        framing: what the image encoder sees of a reference: its face, or the whole canonical frame.
    """

    @register_to_config
    def __init__(
        self,
        token_dim: int = 1024,
        heads: int = 8,
        head_dim: int = 64,
        attention_widths: Sequence[tuple[int, int]] = (),
        framing: Literal["face", "frame"] = "frame",
    ) -> None:
        super().__init__()
        self.mixer = MixingBlock(token_dim, heads, head_dim)
        self.attention = nn.ModuleDict(
            {str(index): AdapterAttention(width, token_dim) for index, width in attention_widths}
        )

    @classmethod
    def for_unet(cls, unet: nn.Module, **config) -> MakeupAdapter:
        """Build an adapter that fits `unet`; `config` as for the class."""
        return cls(attention_widths=tuple(makeup_layers(unet)), **config)

    def forward(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Tokens of a reference.

        Args:
            states: of the image encoder before its first layer and after each, (b, n, D) each.

        Returns:
            (b, k * n, D): every second state from the third on, shallow first, mixed.
        """
        return self.mixer(detail_states(states).to(self.mixer.norm1.weight.dtype))


def detail_states(states: Sequence[torch.Tensor]) -> torch.Tensor:
    """States 2, 4, 6, ... of an image encoder side by side, (b, k * n, D)."""
    return torch.cat(list(states)[2::2], dim=1)


class MakeupEncoder(ModelMixin, ConfigMixin):
    """Codes of looks: vectors of length 1, alike for the same look on different people.

    The first numbers of a code hold what is coarse, all of them what is fine: training opens them one after another
    (BeautyBank's progressive tuning), so a code may be cut and compared at any length of `lengths`.

    Args:
        state_dim: width of the image encoder's states.
        token_dim: D, width of the tokens that the denoiser attends to.
        code_dim: C, numbers of a code.
        lengths: prefixes of a code that are codes of their own, shortest first.
        num_tokens: T, tokens that a code becomes.
        hidden: width inside.
        heads: of the attention that reads the states.
    """

    @register_to_config
    def __init__(
        self,
        state_dim: int = 1024,
        token_dim: int = 1024,
        code_dim: int = 64,
        lengths: Sequence[int] = (16, 64),
        num_tokens: int = 8,
        hidden: int = 512,
        heads: int = 8,
    ) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, 4, state_dim) * 0.5)
        self.norm = nn.LayerNorm(state_dim)
        self.read = nn.MultiheadAttention(state_dim, heads, batch_first=True)
        self.to_code = nn.Sequential(
            nn.Flatten(), nn.LayerNorm(4 * state_dim), nn.Linear(4 * state_dim, hidden), nn.GELU(),
            nn.Linear(hidden, code_dim),
        )  # fmt: skip
        self.from_vector = nn.Sequential(
            nn.Linear(VECTOR_SIZE, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
            nn.Linear(hidden, code_dim),
        )  # fmt: skip
        self.to_vector = nn.Sequential(nn.Linear(code_dim, hidden), nn.GELU(), nn.Linear(hidden, VECTOR_SIZE))
        self.to_tokens = nn.Sequential(
            nn.Linear(code_dim, hidden), nn.GELU(), nn.Linear(hidden, num_tokens * token_dim)
        )
        self.token_norm = nn.LayerNorm(token_dim)

    def forward(self, states: Sequence[torch.Tensor]) -> torch.Tensor:
        """Codes (b, C) of length 1 of references, by the states of the image encoder."""
        tokens = self.norm(detail_states(states).to(self.norm.weight.dtype))
        queries = self.queries.expand(len(tokens), -1, -1)
        return functional.normalize(
            self.to_code(self.read(queries, tokens, tokens, need_weights=False)[0]), dim=1
        )

    def encode_looks(self, looks: Sequence[MakeupLook]) -> torch.Tensor:
        """Codes (b, C) of looks given as colours."""
        vectors = torch.from_numpy(np.stack([look.vector() for look in looks]))
        return self.encode_vectors(vectors.to(self.device, self.dtype))

    def encode_vectors(self, vectors: torch.Tensor) -> torch.Tensor:
        """Codes (b, C) of `MakeupLook.vector`s (b, 20)."""
        return functional.normalize(self.from_vector(vectors), dim=1)

    def describe(self, codes: torch.Tensor) -> list[MakeupLook]:
        """Colours and opacities of codes (b, C), as far as four layers can say them."""
        vectors = self.to_vector(codes.to(self.device, self.dtype)).float().cpu().numpy()
        return [MakeupLook.from_vector(vector) for vector in vectors]

    def tokens(self, codes: torch.Tensor) -> torch.Tensor:
        """Tokens (b, T, D) of codes (b, C)."""
        tokens = self.to_tokens(codes).unflatten(1, (self.config.num_tokens, -1))
        return self.token_norm(tokens)


def cut(codes: torch.Tensor, length: int) -> torch.Tensor:
    """Keep the first `length` numbers of codes (b, C) and bring them to length 1; the rest is zero."""
    kept = torch.cat([codes[:, :length], torch.zeros_like(codes[:, length:])], dim=1)
    return functional.normalize(kept, dim=1)


def similarity(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Cosine -1..1 of each of (a, C) codes with each of (b, C), (a, b)."""
    return functional.normalize(first.float(), dim=1) @ functional.normalize(second.float(), dim=1).T


def interpolate(first: torch.Tensor, second: torch.Tensor, share: float) -> torch.Tensor:
    """Codes (b, C) on the way from `first` (share 0) to `second` (share 1), along the sphere."""
    a, b = (functional.normalize(x.float(), dim=-1) for x in (first, second))
    angle = torch.acos((a * b).sum(-1, keepdim=True).clamp(-1 + 1e-6, 1 - 1e-6))
    mixed = torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b
    return functional.normalize(mixed, dim=-1)


def search(query: torch.Tensor, gallery: torch.Tensor, count: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the looks of a gallery (g, C) that are most like each query (q, C).

    Returns:
        Similarities and indices, (q, count) each, best first.
    """
    found = similarity(query, gallery).topk(min(count, len(gallery)), dim=1)
    return found.values, found.indices
