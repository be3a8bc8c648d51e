"""The order of the data: a pure function of (seed, position), and the loader that starts anywhere in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, default_collate

from train.draws import DATA, ORDER, generator

if TYPE_CHECKING:
    from train.tasks import Task


class Order:
    """Position in the run's stream -> index in the dataset: another whole permutation each epoch."""

    def __init__(self, length: int, seed: int) -> None:
        if length < 1:
            raise ValueError("the dataset of the task is empty: it needs at least one sample")
        self.length = length
        self.seed = seed
        self._epochs: dict[int, np.ndarray] = {}

    def __getitem__(self, position: int) -> int:
        epoch, offset = divmod(position, self.length)
        if epoch not in self._epochs:
            self._epochs = {key: value for key, value in self._epochs.items() if key == epoch - 1}
            self._epochs[epoch] = generator(self.seed, epoch, ORDER).permutation(self.length)
        return int(self._epochs[epoch][offset])


@dataclass(frozen=True, kw_only=True)
class Share:
    """The positions that one process takes of every batch, split into equal parts.

    A batch at `start` covers start .. start + batch_size. Process `rank` of `processes` takes the rank-th run
    of them, so that neither the number of processes nor the accumulation changes which samples make a step.
    """

    batch_size: int
    rank: int = 0
    processes: int = 1
    accumulation: int = 1

    def __post_init__(self) -> None:
        """Refuse a batch that does not divide evenly: unequal parts would weigh samples unequally."""
        parts = self.processes * self.accumulation
        if self.batch_size % parts:
            raise ValueError(
                f"batch_size={self.batch_size}: must be a multiple of processes x accumulation = "
                f"{self.processes} x {self.accumulation} = {parts}"
            )

    @property
    def part(self) -> int:
        """Samples in one forward pass of one process."""
        return self.batch_size // (self.processes * self.accumulation)

    def parts(self, start: int) -> Iterator[list[int]]:
        """Yield the positions of every forward pass, without end."""
        while True:
            first = start + self.rank * self.batch_size // self.processes
            for index in range(self.accumulation):
                yield list(range(first + index * self.part, first + (index + 1) * self.part))
            start += self.batch_size


class _Stream(Dataset):
    """The dataset seen by position; adds the position to every sample."""

    def __init__(self, task: Task, dataset: Any, seed: int) -> None:
        self.task, self.dataset, self.seed = task, dataset, seed
        self.order = Order(len(dataset), seed)

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = generator(self.seed, position, DATA)
        sample = self.task.sample(self.dataset, self.order[position], rng)
        return {**sample, "position": position}


def loader(task: Task, dataset: Any, seed: int, share: Share, start: int, workers: int = 0) -> DataLoader:
    """Return an endless loader of this process's batches from position `start` on.

    It holds no state worth saving: the same `start` gives the same batches.
    """
    return DataLoader(
        _Stream(task, dataset, seed),
        batch_sampler=_Parts(share, start),  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=getattr(task, "collate", None) or default_collate,
        # A generator of its own: otherwise making the iterator would move torch's global generator.
        generator=torch.Generator().manual_seed(seed),
        persistent_workers=workers > 0,
        worker_init_fn=_outlive_signals,
        pin_memory=torch.accelerator.is_available(),
    )


def _outlive_signals(worker: int) -> None:
    """Leave stopping to the training process: schedulers signal the whole group, and it still wants its batch."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@dataclass(frozen=True)
class _Parts:
    share: Share
    start: int

    def __iter__(self) -> Iterator[list[int]]:
        return self.share.parts(self.start)
