"""Losses as pure functions: weights of the diffusion loss by noise level, what codes shall tell and not tell.

Min-SNR weighting: Hang et al. 2023, "Efficient Diffusion Training via Min-SNR Weighting Strategy", section
3.4. The paper weighs the loss on x0 by min(SNR, gamma); epsilon and v scale that error by SNR and SNR + 1.
"""

from __future__ import annotations

from typing import Literal

import torch

Prediction = Literal["epsilon", "v_prediction", "sample"]


def snr(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
    """Return the signal-to-noise ratio alpha^2 / sigma^2 of each timestep, (n,) float32.

    Args:
        alphas_cumprod: alpha^2 of every training timestep, (steps,), in 0..1.
        timesteps: (n,) int64.
    """
    signal = alphas_cumprod.to(timesteps.device, torch.float32)[timesteps]
    return signal / (1.0 - signal)


def min_snr_weight(ratio: torch.Tensor, prediction: Prediction, gamma: float = 5.0) -> torch.Tensor:
    """Return the min-SNR weight of each sample for a model that predicts `prediction`, same shape as `ratio`.

    A ratio of 0 (zero terminal SNR) is fine: epsilon gets 1, v_prediction and sample get 0.
    """
    if gamma <= 0:
        raise ValueError(f"gamma={gamma}: must be above 0 (the paper uses 5)")
    if prediction == "epsilon":
        return gamma / ratio.clamp(min=gamma)
    if prediction == "v_prediction":
        return ratio.clamp(max=gamma) / (ratio + 1.0)
    if prediction == "sample":
        return ratio.clamp(max=gamma)
    raise ValueError(f"prediction={prediction!r}: must be epsilon, v_prediction or sample")


def target(
    prediction: Prediction, clean: torch.Tensor, noise: torch.Tensor, signal: torch.Tensor
) -> torch.Tensor:
    """Return what the model should predict.

    Args:
        prediction: What the model predicts; v = alpha noise - sigma clean (Salimans & Ho 2022, appendix D).
        clean: x0, (n, ...).
        noise: epsilon, as `clean`.
        signal: alpha^2 of each sample, (n,), in 0..1.
    """
    if prediction == "epsilon":
        return noise
    if prediction == "sample":
        return clean
    level = signal.view(-1, *(1,) * (clean.ndim - 1)).to(clean.dtype)
    return level.sqrt() * noise - (1.0 - level).sqrt() * clean


def weighted_mse(
    predicted: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean over samples of weight x mean squared error, in float32.

    Args:
        predicted: (n, ...).
        wanted: (n, ...).
        weight: (n,) of each sample.
        mask: Weights within a sample, broadcastable to `predicted`, normalised per sample; None: all alike.
    """
    error = (predicted.float() - wanted.float()).square()
    if mask is None:
        per_sample = error.flatten(1).mean(1)
    else:
        mask = mask.to(error.dtype).expand_as(error)
        per_sample = (error * mask).flatten(1).sum(1) / mask.flatten(1).sum(1).clamp(min=1e-8)
    return (weight.to(error.dtype) * per_sample).mean()


def contrastive_loss(codes: torch.Tensor, label: torch.Tensor, temperature: float) -> torch.Tensor:
    """Cross-entropy of finding a code of the same label among all others.

    Khosla et al. 2020, "Supervised Contrastive Learning", equation 2.

    Args:
        codes: (n, c) of length 1.
        label: (n,).
        temperature: that cosines are divided by.
    """
    itself = torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    scores = (codes @ codes.T / temperature).masked_fill(itself, -1e4)
    same = (label[:, None] == label[None]) & ~itself
    return -((scores.log_softmax(dim=1) * same).sum(1) / same.sum(1).clamp(min=1)).mean()


def covariance_penalty(codes: torch.Tensor, facts: torch.Tensor) -> torch.Tensor:
    """Squared covariance of codes with facts that they shall not tell, a mean over facts.

    Not the correlation: that has no scale, and codes collapse before it lets go.

    Args:
        codes: (n, c).
        facts: (n, f); each is brought to a deviation of 1 first.
    """
    beyond = codes.float() - codes.float().mean(dim=0)
    facts = (facts - facts.mean(dim=0)) / facts.std(dim=0).clamp(min=1e-4)
    return (beyond.T @ facts / len(facts)).square().sum(dim=0).mean()
