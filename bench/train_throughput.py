"""How much of a step is the loop: Trainer.step beside the bare forward, backward and optimizer step.

`python bench/train_throughput.py [--width 64] [--batch-size 16] [--steps 30]` prints a table of this machine.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import UNet2DModel
from torch import nn

from train.config import TrainConfig
from train.losses import weighted_mse
from train.tasks import Task, register
from train.trainer import Trainer


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchConfig:
    """A denoiser of 12 x 16 x 16 latents."""

    kind: ClassVar[str] = "bench"
    width: int = 64


class Latents:
    """The dataset: 1024 fixed random latents, (12, 16, 16) float32."""

    def __init__(self) -> None:
        self.values = np.random.default_rng(0).standard_normal((1024, 12, 16, 16), dtype=np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {"latents": self.values[index]}


class BenchTask(Task):
    """Predict the noise that was added to a latent."""

    Config = BenchConfig

    def build(self) -> nn.Module:
        """Return a small UNet of the stock kind."""
        width = self.config.width
        return UNet2DModel(
            sample_size=16,
            in_channels=12,
            out_channels=12,
            block_out_channels=(width, 2 * width),
            down_block_types=("DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            norm_num_groups=16,
        )

    def dataset(self) -> Latents:
        """Return the latents."""
        return Latents()

    def loss(
        self, model: nn.Module, batch: dict[str, Any], draws: Any
    ) -> tuple[torch.Tensor, dict[str, Any]]:
        """Return the plain denoising loss at a random level of noise."""
        latents, noise = batch["latents"], draws.normal(12, 16, 16)
        time_step = draws.integers(0, 1000)
        level = (time_step / 1000)[:, None, None, None]
        predicted = model((1 - level) * latents + level * noise, time_step).sample
        return weighted_mse(predicted, noise, torch.ones(len(latents), device=latents.device)), {}

    def validate(self, model: nn.Module, step: int, folder: Path) -> dict[str, float]:
        """Measure nothing: the benchmark never gets here."""
        return {}

    def export(self, model: nn.Module, folder: Path) -> None:
        """Save the UNet."""
        model.save_pretrained(folder)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    options = parser.parse_args()
    register("bench", f"{__name__}:BenchTask")
    config = BenchConfig(width=options.width)
    with tempfile.TemporaryDirectory() as runs:
        train_config = TrainConfig(name="bench", task=config, batch_size=options.batch_size)
        trainer = Trainer(train_config, BenchTask(config), runs=runs)
        rows = _measure(trainer, options.steps)
    _print(trainer, rows)


def _measure(trainer: Trainer, steps: int) -> dict[str, list[float]]:
    """Return seconds a step of each variant; they take turns, so that a busy machine slows all alike."""
    trainer.speed = trainer.measure_speed()
    stream = iter(trainer.loader(0))
    batch, draws = trainer.place(next(iter(trainer.loader(0))))
    optimizer, model = trainer.optimizer, trainer.model
    noise, levels = draws.normal(12, 16, 16), draws.integers(0, 1000)

    def bare() -> None:
        predicted = model(batch["latents"], levels).sample
        (predicted - noise).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()

    variants: dict[str, Callable[[], None]] = {
        "bare step": bare,
        "Trainer.step": lambda: trainer.step(stream),
    }
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(steps + 3):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            if trainer.accelerator.device.type != "cpu":
                torch.accelerator.synchronize()
            if turn >= 3:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def _print(trainer: Trainer, seconds: dict[str, list[float]]) -> None:
    count = trainer.config.batch_size
    device = trainer.accelerator.device
    machine = f"{platform.machine()}, {device}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    lines = [
        f"{machine}; {trainer.speed}",
        f"{'variant':14} {'ms/step':>9} {'samples/s':>10} {'of peak':>8} {'ratio':>6}",
    ]
    reference = statistics.median(seconds["bare step"])
    for name, values in seconds.items():
        median = statistics.median(values)
        share = trainer.speed.share(count / median)
        lines.append(
            f"{name:14} {1000 * median:9.1f} {count / median:10.1f} {share:8.1%} {median / reference:6.2f}"
        )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
