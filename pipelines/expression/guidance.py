"""Semantic guidance: while drawing, the condition is moved to where a network that reads faces is content.

SynFER (Ma et al. 2024, arXiv:2410.09865, section 3.3) differentiates a loss on the estimate of the clean picture by
the text embedding and descends along it; moving the condition, not the latents, keeps samples where the denoiser is at
home.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

import torch
from torch import nn
from torch.nn import functional

from faces import vocabulary

Norm = Literal["global", "token"]
"""Length of a step: over all tokens of a picture together, or of each token alone."""


class Guide(Protocol):
    """Anything differentiable that says how far pictures are from what is wanted."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Losses (n,) of pictures (n, 3, h, w) in [0, 1]."""
        ...


class ExpressionGuide:
    """Cross-entropy of a wanted expression and squared error of wanted action units, as a network reads them.

    Args:
        network: answers "expression" and "action_units" like `faces.perception.PerceptionNet`.
        expressions: the wanted one of each picture, None where any will do.
        units: (n, k) wanted intensities.
        specified: (n, k) bool, which of them are wanted.
        unit_weight: of the mean squared error against the cross-entropy.
    """

    def __init__(
        self,
        network: nn.Module,
        expressions: Sequence[str | None],
        units: torch.Tensor,
        specified: torch.Tensor,
        unit_weight: float = 10.0,
    ) -> None:
        unknown = sorted(
            {name for name in expressions if name not in (None, *vocabulary.EXPRESSIONS)} - {None}
        )
        if unknown:
            raise ValueError(f"expression {unknown[0]!r}: known are {', '.join(vocabulary.EXPRESSIONS)}")
        self.network = network
        self.classes = torch.tensor(
            [-100 if name is None else vocabulary.EXPRESSIONS.index(name) for name in expressions]
        )
        self.units, self.specified, self.unit_weight = units, specified, unit_weight

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        """Losses (n,) of pictures (n, 3, h, w) in [0, 1]."""
        first = next(self.network.parameters())
        size = self.network.size
        pixels = images.to(first.device, first.dtype) * 2 - 1
        if pixels.shape[-1] != size:
            pixels = functional.interpolate(
                pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False
            )
        named = bool((self.classes >= 0).any())  # units alone are read much sooner
        read = self.network(pixels, ("expression", "action_units") if named else ("action_units",))
        loss = pixels.new_zeros(len(pixels), dtype=torch.float32)
        if named:
            wanted = self.classes.to(first.device)
            loss = functional.cross_entropy(
                read["expression"].float(), wanted, ignore_index=-100, reduction="none"
            )
        known = self.specified.to(first.device, torch.float32)
        error = (read["action_units"].float() - self.units.to(first.device)).square() * known
        return loss + self.unit_weight * error.sum(dim=1) / known.sum(dim=1).clamp(min=1)


def clean_estimate(
    scheduler: Any, predicted: torch.Tensor, noisy: torch.Tensor, timestep: Any
) -> torch.Tensor:
    """The clean latents that a prediction stands for (Ho et al. 2020, equation 15; v: Salimans and Ho 2022).

    Args:
        scheduler: whose `alphas_cumprod` and `prediction_type` apply.
        predicted: output of the denoiser.
        noisy: its input, after `scale_model_input`.
        timestep: of both.
    """
    signal = scheduler.alphas_cumprod[int(timestep)].to(noisy)
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        return signal.sqrt() * noisy - (1 - signal).sqrt() * predicted
    if kind == "epsilon":
        return (noisy - (1 - signal).sqrt() * predicted) / signal.sqrt()
    if kind == "sample":
        return predicted
    raise ValueError(f"scheduler predicts {kind!r}: known are epsilon, v_prediction, sample")


def descend(
    condition: torch.Tensor, gradient: torch.Tensor, length: float, norm: Norm = "global"
) -> torch.Tensor:
    """Move tokens (n, t, d) against a gradient by a step of the given length; where it is zero, not at all.

    The paper writes a plus sign; against a loss that is to fall, it has to be a minus.
    """
    axes = (1, 2) if norm == "global" else (2,)
    size = gradient.float().square().sum(dim=axes, keepdim=True).sqrt()
    step = torch.where(
        size > 0, gradient / size.clamp(min=1e-20).to(gradient.dtype), torch.zeros_like(gradient)
    )
    return condition - length * step
