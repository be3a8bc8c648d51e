"""What a run needs of the machine: the Accelerator, the clock with its limits and signals, saving memory."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs, ProjectConfiguration
from torch import nn

from train.checkpoint import is_sharded
from train.config import TrainConfig


def make_accelerator(config: TrainConfig, folder: Path, cpu: bool = False) -> Accelerator:
    """Return the Accelerator of a run; how many processes there are is up to the launcher."""
    return Accelerator(
        cpu=cpu,
        mixed_precision=config.mixed_precision,
        gradient_accumulation_steps=config.accumulation,
        log_with=list(config.trackers) or None,
        project_config=ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder / "trackers")),
        kwargs_handlers=[
            DistributedDataParallelKwargs(
                find_unused_parameters=config.unused_parameters, gradient_as_bucket_view=True
            ),
            # The others wait for the main process while it validates, which may take long.
            InitProcessGroupKwargs(timeout=timedelta(hours=2)),
        ],
    )


def require_whole_matrices(config: TrainConfig, accelerator: Accelerator) -> None:
    """Refuse Muon where a process holds parts of a matrix only: its steps need the whole; raises ValueError."""
    if config.optimizer.kind == "muon" and is_sharded(accelerator):
        raise ValueError(
            "optimizer.kind=muon: a sharded run (FSDP2, DeepSpeed) holds no whole matrices; set "
            "optimizer.kind=adamw with its own optimizer.lr, or launch with train/configs/multi_gpu.yaml"
        )


def enable_gradient_checkpointing(model: nn.Module) -> None:
    """Turn activation checkpointing on in every diffusers or transformers network inside `model`."""
    found = False
    for module in model.modules():
        switch = getattr(module, "enable_gradient_checkpointing", None) or getattr(
            module, "gradient_checkpointing_enable", None
        )
        if switch and getattr(module, "_supports_gradient_checkpointing", True):
            switch()
            found = True
    if not found:
        raise ValueError("gradient_checkpointing=true: no network of this task supports it; set it to false")


class Clock:
    """When to save, when to stop, how fast the run is. As a context it turns SIGTERM and SIGINT into a stop.

    Several processes agree at log steps only, so that no step waits for another process because of the clock.
    """

    def __init__(self, config: TrainConfig, accelerator: Accelerator) -> None:
        self.config, self.accelerator = config, accelerator
        self.stop = False
        self._signalled = False
        self._handlers: dict[int, Any] = {}
        self.start(0)

    def start(self, position: int) -> None:
        """Start counting at a position of the run."""
        self._started = self._saved_at = self._read_at = time.perf_counter()
        self._position, self._paused = position, 0.0

    def saved(self) -> None:
        """Note that a checkpoint was written."""
        self._saved_at = time.perf_counter()

    def poll(self, is_log_step: bool) -> bool:
        """Update `stop` and return whether the time for a checkpoint has come, alike in every process."""
        config, now = self.config, time.perf_counter()
        is_due = bool(config.checkpoint_seconds) and now - self._saved_at >= config.checkpoint_seconds
        is_over = bool(config.max_minutes) and now - self._started >= 60 * config.max_minutes
        flags = [is_due, is_over or self._signalled]
        if self.accelerator.num_processes > 1:
            flags = self._agree(flags) if is_log_step else [False, False]
        self.stop = flags[1]
        return flags[0]

    def rate(self, position: int) -> float:
        """Return samples/s since the last call, without the pauses."""
        now = time.perf_counter()
        seconds = max(1e-9, now - self._read_at - self._paused)
        samples = position - self._position
        self._read_at, self._position, self._paused = now, position, 0.0
        return samples / seconds

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave the time of a `with` block out of the rate."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self._paused += time.perf_counter() - before

    def __enter__(self) -> Clock:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {
                number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)
            }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signalled = True
        self._restore()  # a second signal ends the process at once

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _agree(self, flags: list[bool]) -> list[bool]:
        votes = torch.tensor(flags, dtype=torch.float32, device=self.accelerator.device)
        return [vote > 0 for vote in self.accelerator.reduce(votes, reduction="sum").tolist()]
