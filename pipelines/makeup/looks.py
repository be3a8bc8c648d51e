"""The ways to say what a face shall wear: a photograph, colours, a code, or several of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from faces.images import ImageSource
from faces.makeup import MakeupLook


@dataclass(frozen=True, slots=True)
class Blend:
    """Several looks at once, each for a share."""

    looks: tuple[Any, ...]
    """Photographs, `MakeupLook`s or codes."""
    shares: tuple[float, ...]
    """Of each look; they add up to 1."""

    def __post_init__(self) -> None:
        """Refuse shares that do not fit."""
        if not self.looks or len(self.looks) != len(self.shares):
            raise ValueError(
                f"blend: {len(self.looks)} looks and {len(self.shares)} shares, expected as many"
            )
        if min(self.shares) < 0 or abs(sum(self.shares) - 1) > 1e-4:
            raise ValueError(f"blend: shares {self.shares}, expected numbers from 0 on that add up to 1")
        if any(isinstance(look, Blend) for look in self.looks):
            raise ValueError("blend: a blend of blends; name all looks in one")


Makeup = ImageSource | MakeupLook | Blend
"""What a face wears; a code is a vector (C,), as an array or a tensor."""


def is_code(makeup: Any) -> bool:
    """Whether a value is the code of a look: one row of numbers."""
    return isinstance(makeup, np.ndarray | torch.Tensor) and makeup.ndim == 1


def is_single(makeup: Any) -> bool:
    """Whether a value is one look and no list of looks."""
    return not isinstance(makeup, list | tuple)


def strengths(strength: float | Sequence[float], count: int) -> list[float]:
    """One strength for each of `count` faces.

    Raises:
        ValueError: a number outside 0..2, or a list of another length.
    """
    values = list(strength) if isinstance(strength, list | tuple) else [strength] * count
    if len(values) != count:
        raise ValueError(f"strength: {len(values)} given for {count} faces; give one, or one for each")
    wrong = [value for value in values if not 0 <= value <= 2]
    if wrong:
        raise ValueError(f"strength {wrong[0]}: expected a number from 0 (as it is) over 1 (the look) to 2")
    return [float(value) for value in values]


def padded(rows: Sequence[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Tokens (1, T, D) of several looks as (n, longest T, D), and which are there (n, T) bool where lengths differ."""
    longest = max(row.shape[1] for row in rows)
    tokens = torch.cat([torch.nn.functional.pad(row, (0, 0, 0, longest - row.shape[1])) for row in rows])
    if all(row.shape[1] == longest for row in rows):
        return tokens, None
    lengths = torch.tensor([row.shape[1] for row in rows], device=tokens.device)
    return tokens, torch.arange(longest, device=tokens.device)[None] < lengths[:, None]


def as_list(makeup: Any, count: int) -> list[Any]:
    """One look for each of `count` faces.

    Raises:
        ValueError: a list of another length, or nothing.
    """
    if makeup is None:
        raise ValueError(
            "makeup: missing; give a picture, a MakeupLook, a code or a Blend (BARE takes makeup off)"
        )
    values = [makeup] * count if is_single(makeup) else list(makeup)
    if len(values) != count:
        raise ValueError(f"makeup: {len(values)} looks for {count} faces; give one, or one for each")
    return values


def parts(makeup: Any) -> tuple[Sequence[Any], Sequence[float]]:
    """The looks that a look consists of, and their shares."""
    return (makeup.looks, makeup.shares) if isinstance(makeup, Blend) else ((makeup,), (1.0,))
