"""Random numbers that belong to a sample, not to a process: any number of processes draws the same.

Every sample a run consumes has a position 0, 1, 2, ... in one global stream. Its random numbers come from the
counter-based generator Philox (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3") with the
key (seed, position), so they depend on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

LOSS, DATA, ORDER, VALIDATION = range(4)


def generator(seed: int, position: int, stream: int) -> np.random.Generator:
    """Return the generator of one sample: `stream` separates the uses (LOSS, DATA, ORDER, VALIDATION)."""
    key = np.array([seed, position], dtype=np.uint64)
    counter = np.array([0, 0, stream, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Draws:
    """The random numbers of one batch, a row a sample. Every call moves every sample's generator on alike.

    Attributes: `step` (optimizer step, 0-based), `positions` (of the samples in the stream), `device`.
    """

    def __init__(
        self,
        seed: int,
        positions: Sequence[int],
        step: int,
        device: torch.device | str = "cpu",
        stream: int = LOSS,
    ) -> None:
        self.step = step
        self.positions = [int(position) for position in positions]
        self.device = torch.device(device)
        self._generators = [generator(seed, position, stream) for position in self.positions]

    @classmethod
    def fixed(cls, seed: int, count: int, device: torch.device | str = "cpu") -> Draws:
        """Return draws for `count` samples that no step changes: for validation and sample grids."""
        return cls(seed, range(count), 0, device, VALIDATION)

    def __len__(self) -> int:
        return len(self.positions)

    def normal(self, *shape: int) -> torch.Tensor:
        """Return standard normal numbers, (n, *shape) float32."""
        return self._fill(shape, np.float32, lambda rng, row: rng.standard_normal(dtype=np.float32, out=row))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
        """Return uniform numbers in [low, high), (n, *shape) float32."""
        return (
            self._fill(shape, np.float32, lambda rng, row: rng.random(dtype=np.float32, out=row))
            * (high - low)
            + low
        )

    def integers(self, low: int, high: int, *shape: int) -> torch.Tensor:
        """Return whole numbers in [low, high), (n, *shape) int64."""

        def fill(rng: np.random.Generator, row: np.ndarray) -> None:
            row[...] = rng.integers(low, high, size=row.shape)

        return self._fill(shape, np.int64, fill)

    def bernoulli(self, probability: float, *shape: int) -> torch.Tensor:
        """Return True with the given probability, (n, *shape) bool."""
        return self.uniform(*shape) < probability

    def _fill(
        self, shape: tuple[int, ...], dtype: type, fill: Callable[[np.random.Generator, np.ndarray], object]
    ) -> torch.Tensor:
        values = np.empty(
            (len(self._generators), *shape) if shape else (len(self._generators), 1), dtype=dtype
        )
        for rng, row in zip(self._generators, values, strict=True):
            fill(rng, row)
        return torch.from_numpy(values if shape else values[:, 0]).to(self.device, non_blocking=True)
