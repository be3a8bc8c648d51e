"""Learning-rate schedules as pure functions of the step, so that a run resumes and extends without state."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["constant", "cosine", "linear"]


def factor(
    step: int, steps: int, schedule: Schedule, warmup: int = 0, cooldown: int = 0, final: float = 0.0
) -> float:
    """Return the share of the base learning rate that step `step` (0-based) of `steps` uses.

    `warmup` steps rise linearly from 1/warmup to 1. "cosine" and "linear" then fall to `final` at the end.
    "constant" stays at 1 and falls linearly to `final` over the last `cooldown` steps: a constant run can be
    stopped and extended at will, and the cooldown be done at the end (warmup-stable-decay, Hu et al. 2024,
    MiniCPM, section 4).
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        left = steps - step
        share = min(1.0, left / cooldown) if cooldown else 1.0
    else:
        done = min(1.0, (step - warmup) / max(1, steps - warmup))
        share = 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
    return final + (1.0 - final) * max(0.0, share)
