"""How well a makeup model does: on its codes, and on pixels that makeup changes."""

from __future__ import annotations

import numpy as np
import torch

from train.data.makeup import MakeupPairs


def told_share(read: torch.Tensor, pairs: MakeupPairs) -> float:
    """Share of the variance of colours and opacities that is read right off codes, (n, 20) as `MakeupLook.vector`."""
    vectors = torch.from_numpy(pairs.vectors)
    return 1 - float((read - vectors).square().mean() / (vectors - vectors.mean(dim=0)).square().mean())


def found_share(codes: torch.Tensor, pairs: MakeupPairs) -> float:
    """Share of made-up pictures whose nearest code on another person is of the same look."""
    rows = np.flatnonzero(~pairs.is_bare)
    scores = codes[rows] @ codes[rows].T
    person, style = (torch.from_numpy(x[rows]) for x in (pairs.heads.identity, pairs.style))
    nearest = scores.masked_fill(person[:, None] == person[None], -2).argmax(1)
    return float((style[nearest] == style).float().mean())


def left_share(before: np.ndarray, after: np.ndarray, drawn: np.ndarray) -> float:
    """Difference of drawn pictures to the true ones as a share of what there was to change, where that is much."""
    before, after, drawn = (x.astype(np.float32) for x in (before, after, drawn))
    wanted = np.abs(after - before).mean(axis=-1)
    much = wanted > 10
    return float((np.abs(after - drawn).mean(axis=-1) * much).sum() / (wanted * much).sum())
