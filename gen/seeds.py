"""Seeds of samples: a function of the dataset's seed and of names, never of an order, a batch or a worker."""

from __future__ import annotations

import hashlib

import numpy as np
import torch

SEED_BITS = 48
_BURN_BITS = SEED_BITS - 32


def sample_seed(dataset_seed: int, *names: str | int) -> int:
    """Derive the seed of one sample, an integer in [0, 2**48).

    Args:
        dataset_seed: the recipe's seed, >= 0.
        names: what identifies the sample, for instance its id, then an attempt.

    Returns:
        A hash of all of them (SHA-256 spread by numpy's SeedSequence): samples keep their seed when others
        are added or removed.
    """
    return int(_sequence(dataset_seed, names).generate_state(1, np.uint64)[0]) >> (64 - SEED_BITS)


def stream(dataset_seed: int, *names: str | int) -> np.random.Generator:
    """Open a numpy stream of its own for every tuple of names."""
    return np.random.Generator(np.random.Philox(_sequence(dataset_seed, names)))


def noise_generator(seed: int) -> torch.Generator:
    """Make the CPU generator that draws the initial noise of one sample.

    torch's CPU generator keeps only the low 32 bits of a seed, so that among 100,000 samples one pair would
    be expected to share its noise; the high 16 bits choose how many numbers are skipped.

    Raises:
        ValueError: the seed is outside [0, 2**48).
    """
    if not 0 <= seed < 1 << SEED_BITS:
        raise ValueError(f"noise seed is {seed}, permitted: 0 to 2**{SEED_BITS} - 1 (see sample_seed)")
    generator = torch.Generator("cpu").manual_seed(seed & 0xFFFFFFFF)
    skipped = seed >> 32
    assert skipped < 1 << _BURN_BITS
    if skipped:
        torch.rand(skipped, generator=generator)
    return generator


def _sequence(dataset_seed: int, names: tuple[str | int, ...]) -> np.random.SeedSequence:
    if dataset_seed < 0:
        raise ValueError(f"dataset seed is {dataset_seed}, permitted: 0 or more")
    text = "\x1f".join([str(dataset_seed), *map(str, names)])
    return np.random.SeedSequence(np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint32).tolist())
