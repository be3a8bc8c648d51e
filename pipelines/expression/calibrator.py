"""The label calibrator: what the denoiser itself makes of a finished picture, read as an expression.

SynFER (Ma et al. 2024, arXiv:2410.09865, section 3.4, FERAnno) labels synthetic pictures with the features and the
cross-attention of the denoiser that drew them, since what was asked for is not always what was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import nn
from torch.nn import functional

from faces import captions, vocabulary
from pipelines.portrait.attention import IdentityContext, record_text_attention

GRID = 4
"""Side of the grid that maps and features are averaged to."""
_BLOCKS = ("mid_block", "up_blocks")
_SEED = 41


@dataclass(frozen=True, slots=True)
class DenoiserView:
    """What the denoiser shows of n pictures, on a grid of 4 x 4."""

    features: torch.Tensor
    """(n, 16, F): outputs of the upward blocks, side by side."""
    attention: torch.Tensor
    """(n, 16, A): how much each place looks at the words of each expression, in each layer."""


class LabelCalibrator(ModelMixin, ConfigMixin):
    """Reads an expression off a `DenoiserView`: two branches that attend to each other, then a small MLP.

    Args:
        feature_dim: F.
        attention_dim: A.
        width: of both branches.
        heads: of their attention.
        timestep: of the noise that the denoiser looks through, low so that the picture is all there.
        classes: what it tells apart.
    """

    @register_to_config
    def __init__(
        self,
        feature_dim: int,
        attention_dim: int,
        width: int = 64,
        heads: int = 4,
        timestep: int = 60,
        classes: Sequence[str] = vocabulary.EXPRESSIONS,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.LayerNorm(feature_dim), nn.Linear(feature_dim, width))
        self.attention = nn.Sequential(nn.LayerNorm(attention_dim), nn.Linear(attention_dim, width))
        self.places = nn.Parameter(torch.zeros(1, GRID**2, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.to_features = nn.MultiheadAttention(width, heads, batch_first=True)
        self.to_attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Sequential(
            nn.LayerNorm(2 * width * GRID**2), nn.Linear(2 * width * GRID**2, width), nn.SiLU(),
            nn.Linear(width, len(classes)),
        )  # fmt: skip

    def forward(self, features: torch.Tensor, attention: torch.Tensor) -> torch.Tensor:
        """Logits (n, classes) of a view: features (n, 16, F), attention (n, 16, A)."""
        one = self.norms[0](self.features(features) + self.places)
        other = self.norms[1](self.attention(attention) + self.places)
        fused = one + self.to_features(one, other, other, need_weights=False)[0]
        asked = other + self.to_attention(other, one, one, need_weights=False)[0]
        return self.head(torch.cat([fused, asked], dim=-1).flatten(1))


@torch.no_grad()
def look(pipe: Any, latents: torch.Tensor, timestep: int) -> DenoiserView:
    """Run the denoiser once on finished pictures, on nobody and with all expressions named.

    The words name every expression alike, so nothing of an intended label can leak into the view.

    Args:
        pipe: a `PortraitPipeline`.
        latents: (n, C, h, w) clean latents.
        timestep: of the noise, the same for every picture.
    """
    signal = pipe.scheduler.alphas_cumprod[timestep].to(latents)
    rng = torch.Generator().manual_seed(_SEED)
    noise = torch.randn(latents.shape[1:], generator=rng).to(latents)
    noisy = signal.sqrt() * latents + (1 - signal).sqrt() * noise
    text = pipe.encode_prompt([probe()])[0].expand(len(latents), -1, -1)
    nobody = pipe.identity_from_embedding(torch.zeros(1, pipe.conditioner.config.id_dim))
    tokens = pipe.encode_conditions([""], None, nobody)[2].expand(len(latents), -1, -1)
    with _recorded_outputs(pipe.unet) as outputs, record_text_attention(pipe.unet, _BLOCKS) as recorded:
        kwargs = {"ip_hidden_states": IdentityContext(tokens)}
        pipe.unet(noisy, timestep, text.to(noisy), cross_attention_kwargs=kwargs)
    features = torch.cat([functional.adaptive_avg_pool2d(x.float(), GRID) for x in outputs], dim=1)
    words = word_positions(pipe.tokenizer)
    ratio = latents.shape[-2] / latents.shape[-1]
    maps = [_word_maps(item, words, ratio) for items in recorded.values() for item in items]
    attention = torch.cat(maps, dim=1)
    return DenoiserView(features.flatten(2).transpose(1, 2), attention.flatten(2).transpose(1, 2))


def probe() -> str:
    """The text that the denoiser reads while it looks: every expression, in its canonical words."""
    return ", ".join(captions.wording("expression", name) for name in vocabulary.EXPRESSIONS)


def word_positions(tokenizer: Any) -> list[list[int]]:
    """Places of the tokens of each expression's words in the encoded probe."""
    ids: list[int] = []
    places = []
    for number, name in enumerate(vocabulary.EXPRESSIONS):
        if number:
            ids += _ids(tokenizer, ",")
        start = len(ids) + 1  # the token of the beginning stands before all
        ids += _ids(tokenizer, captions.wording("expression", name))
        places.append(list(range(start, len(ids) + 1)))
    return places


def _ids(tokenizer: Any, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False, verbose=False).input_ids


def _word_maps(probabilities: torch.Tensor, words: Sequence[Sequence[int]], ratio: float) -> torch.Tensor:
    """Attention (n, heads, h * w, L) to each expression's words as maps (n, expressions, 4, 4), mean over heads."""
    count = probabilities.shape[2]
    height = round((count * ratio) ** 0.5)
    mean = probabilities.float().mean(dim=1)
    length = mean.shape[-1]
    asked = torch.stack(
        [mean[..., [place for place in places if place < length]].sum(dim=-1) for places in words], dim=1
    )
    return functional.adaptive_avg_pool2d(asked.unflatten(-1, (height, count // height)), GRID)


@contextmanager
def _recorded_outputs(unet: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collect what the upward blocks of a UNet give, while the block runs."""
    outputs: list[torch.Tensor] = []
    blocks = cast(nn.ModuleList, unet.up_blocks)
    hooks = [block.register_forward_hook(lambda module, args, out: outputs.append(out)) for block in blocks]
    try:
        yield outputs
    finally:
        for hook in hooks:
            hook.remove()
