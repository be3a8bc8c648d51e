"""Noise of denoisers of pixels that answer with the clean sample: the scheduler, and noisy samples to train on."""

from __future__ import annotations

import torch
from diffusers import DPMSolverMultistepScheduler

from train.draws import Draws

_TIMESTEPS = 1000


def sample_scheduler() -> DPMSolverMultistepScheduler:
    """The scheduler of such a denoiser: cosine noise, from pure noise down in a few steps."""
    return DPMSolverMultistepScheduler(
        num_train_timesteps=_TIMESTEPS,
        beta_schedule="squaredcos_cap_v2",
        prediction_type="sample",
        timestep_spacing="trailing",
    )


def noised(
    clean: torch.Tensor, signal: torch.Tensor, draws: Draws, power: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add noise at random levels.

    Args:
        clean: (n, c, h, w).
        signal: alpha^2 of every timestep, `alphas_cumprod` of the scheduler.
        draws: a row a sample.
        power: above 1, more samples are noisy.

    Returns:
        Noisy samples (n, c, h, w), and their timesteps (n,).
    """
    # Drawn on the device: a generator for each sample would take longer than the step.
    noise = torch.randn_like(clean)
    share = 1 - draws.uniform() ** power
    timesteps = (share * _TIMESTEPS).long().clamp(max=_TIMESTEPS - 1)
    level = signal.to(clean.device)[timesteps].view(-1, 1, 1, 1)
    return level.sqrt() * clean + (1 - level).sqrt() * noise, timesteps
