"""The configuration of a run: frozen dataclasses, checked when made, saved with everything they make."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from train import overrides
from train.overrides import ConfigError
from train.schedule import Schedule


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


Kind = Literal["adamw", "muon"]


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """The optimizer and its learning-rate schedule."""

    kind: Kind = "adamw"
    "muon makes the steps of matrices and kernels orthogonal (train.muon); not for sharded parameters."
    lr: float = 1e-4
    "Base learning rate; a parameter group of the task may name its own."
    betas: tuple[float, float] = (0.9, 0.99)
    eps: float = 1e-8
    weight_decay: float = 0.01
    "Applied to matrices and kernels only, never to biases, norms or embeddings of one dimension."
    warmup: int = 500
    "Steps of linear warm-up."
    schedule: Schedule = "cosine"
    "constant (with an optional cooldown), cosine or linear: see train.schedule."
    cooldown: int = 0
    'Steps of linear decay at the end of a "constant" schedule.'
    final: float = 0.0
    "Share of the base learning rate that is left at the last step."

    def __post_init__(self) -> None:
        """Check the ranges."""
        _require(self.lr > 0, f"optimizer.lr={self.lr}: must be above 0")
        _require(
            all(0 <= beta < 1 for beta in self.betas), f"optimizer.betas={self.betas}: each in 0 <= beta < 1"
        )
        _require(self.weight_decay >= 0, f"optimizer.weight_decay={self.weight_decay}: must be 0 or more")
        _require(
            min(self.warmup, self.cooldown) >= 0, "optimizer.warmup and optimizer.cooldown: must be 0 or more"
        )
        _require(0 <= self.final <= 1, f"optimizer.final={self.final}: must lie in 0..1")


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainConfig:
    """Everything a run depends on. The number of processes is no part: it changes nothing."""

    name: str
    "Name of the run: the folder under runs/."
    task: Any
    "The config dataclass of a task; its class attribute `kind` names the task in train.tasks.REGISTRY."
    optimizer: OptimizerConfig = OptimizerConfig()
    steps: int = 10_000
    "Optimizer steps in all; resume with a larger number to extend a run."
    batch_size: int = 64
    "Samples an optimizer step, over all processes and accumulation steps together."
    accumulation: int = 1
    "Parts into which each process splits its share of the batch; saves memory, changes nothing else."
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    ema_decay: float = 0.999
    "Decay of the averaged weights that are validated and exported; 0 turns the average off."
    grad_clip: float = 1.0
    "Largest gradient norm of a parameter group; 0 turns clipping off."
    seed: int = 0
    workers: int = 0
    "Processes that load data, for each training process; 0 loads in the training process."
    log_every: int = 50
    validate_every: int = 1000
    "Steps between validations (there is always one at the end); 0 validates at the end only."
    checkpoint_seconds: float = 600.0
    "Seconds between checkpoints; 0 turns the clock off."
    checkpoint_steps: int = 0
    "Steps between checkpoints; 0 leaves it to the clock."
    keep: int = 2
    "Checkpoints that are kept."
    max_minutes: float = 0.0
    "Stop with a checkpoint after so many minutes of this start; 0 means no limit. Continue with --resume."
    trackers: tuple[str, ...] = ()
    "Trackers of accelerate, such as tensorboard, wandb, trackio; metrics.jsonl is written in any case."
    gradient_checkpointing: bool = False
    channels_last: bool = False
    "Memory format of convolution weights; usually faster on CPU and on tensor cores."
    unused_parameters: bool = False
    "Set when the loss does not reach every parameter in every step and several processes train."
    measure_peak: bool = True
    "Measure the matmul peak of the machine at the start and print throughput as a share of it."

    def __post_init__(self) -> None:
        """Check the ranges and how the fields go together."""
        _require(
            bool(self.name) and Path(self.name).name == self.name,
            f"name={self.name!r}: must be one folder name",
        )
        for field in ("steps", "batch_size", "accumulation", "log_every", "keep"):
            _require(getattr(self, field) >= 1, f"{field}={getattr(self, field)}: must be 1 or more")
        for field in (
            "workers",
            "validate_every",
            "checkpoint_seconds",
            "checkpoint_steps",
            "max_minutes",
            "grad_clip",
            "seed",
        ):
            _require(getattr(self, field) >= 0, f"{field}={getattr(self, field)}: must be 0 or more")
        _require(0 <= self.ema_decay < 1, f"ema_decay={self.ema_decay}: must lie in 0 <= decay < 1")
        _require(
            self.batch_size % self.accumulation == 0,
            f"batch_size={self.batch_size}: must be a multiple of accumulation={self.accumulation}",
        )
        _require(
            hasattr(self.task, "kind"),
            f"task={self.task!r}: must be the config dataclass of a task, with a `kind`",
        )

    def with_overrides(self, assignments: Iterable[str]) -> TrainConfig:
        """Return this config with `key.sub=value` texts applied; ConfigError on a bad key or value."""
        return overrides.apply(self, assignments)

    def to_dict(self) -> dict[str, Any]:
        """Return nested dicts of JSON types; the task's part also holds its kind."""
        return overrides.plain(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TrainConfig:
        """Build a config from what `to_dict` gave; ConfigError on anything unknown."""
        from train.tasks import task_class

        task = data.get("task")
        if not isinstance(task, Mapping) or "kind" not in task:
            raise ConfigError(f"task={task!r}: must be a mapping that holds the kind of the task")
        parsed = overrides.parse(task_class(task["kind"]).Config, task, "task.")
        return overrides.parse(cls, {**data, "task": parsed})

    def save(self, path: Path) -> None:
        """Write the config as JSON."""
        path.write_text(json.dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> TrainConfig:
        """Read a config that `save` wrote."""
        return cls.from_dict(json.loads(path.read_text()))
