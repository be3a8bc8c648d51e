"""A tiny task for the tests of the loop; as a script it is `python -m train` with this task registered."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import save_model
from torch import nn

from train import recipes
from train.__main__ import main
from train.config import OptimizerConfig, TrainConfig
from train.tasks import Task, frozen, register


@dataclass(frozen=True, kw_only=True, slots=True)
class ToyConfig:
    """Denoise small vectors of a fixed random set."""

    kind: ClassVar[str] = "toy"
    count: int = 50
    width: int = 16
    dropout: float = 0.0
    adversarial: bool = False
    kill_at: int = 0
    "Step at which the process kills itself, as kill -9 would; 0 never."
    stop_at: int = 0
    "Step at which its whole process group is asked to stop, as a scheduler would; 0 never."


class Vectors:
    """The dataset: index -> {"x": (8,) float32}."""

    def __init__(self, count: int) -> None:
        self.values = np.random.default_rng(7).normal(size=(count, 8)).astype(np.float32)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {"x": self.values[index]}


class ToyTask(Task):
    """Learns to remove noise, with an adversary if asked."""

    Config = ToyConfig
    card: ClassVar = {"data": "Random vectors.", "data_licence": "CC0-1.0"}

    def build(self) -> nn.Module:
        width = self.config.width
        parts = {
            "net": nn.Sequential(
                nn.Linear(8, width), nn.GELU(), nn.Dropout(self.config.dropout), nn.Linear(width, 8)
            )
        }
        if self.config.adversarial:
            parts["critic"] = nn.Sequential(nn.Linear(8, width), nn.GELU(), nn.Linear(width, 1))
        return nn.ModuleDict(parts)

    def dataset(self) -> Vectors:
        return Vectors(self.config.count)

    def sample(self, dataset, index, rng):
        return {"x": dataset[index]["x"] * np.float32(rng.choice([-1.0, 1.0]))}

    def loss(self, model, batch, draws):
        if self.config.stop_at and draws.step == self.config.stop_at:
            os.killpg(os.getpgrp(), signal.SIGTERM)
        if self.config.kill_at and draws.step == self.config.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        clean = batch["x"]
        level = draws.uniform()[:, None]
        made = model["net"](clean + level * draws.normal(8))
        rebuild = (made - clean).square().mean()
        if not self.config.adversarial:
            return rebuild, {}
        with frozen(model["critic"]):
            fool = -model["critic"](made).mean()
        real, fake = model["critic"](torch.cat([clean, made.detach()])).chunk(2)
        critic = (1 - real).relu().mean() + (1 + fake).relu().mean()
        return rebuild + 0.1 * fool + critic, {"rebuild": rebuild, "critic": critic}

    def parameter_groups(self, model):
        groups = [{"params": model["net"].parameters(), "name": "net"}]
        if self.config.adversarial:
            groups.append(
                {"params": model["critic"].parameters(), "name": "critic", "lr": 3e-3, "betas": (0.5, 0.9)}
            )
        return groups

    def validate(self, model, step, folder):
        x = torch.from_numpy(self.dataset().values)
        (folder / f"step-{step:08d}.txt").write_text("a picture")
        return {"mse": (model["net"](x) - x).square().mean().item(), "torch_draw": torch.rand(()).item()}

    def export(self, model, folder: Path):
        save_model(model, str(folder / "model.safetensors"))


register("toy", f"{__name__}:ToyTask")


@recipes.recipe
def toy() -> TrainConfig:
    """Tiny denoiser."""
    return TrainConfig(
        name="toy",
        task=ToyConfig(),
        steps=20,
        batch_size=8,
        log_every=1,
        validate_every=7,
        checkpoint_steps=5,
        optimizer=OptimizerConfig(lr=1e-2, warmup=3),
        measure_peak=False,
    )


if __name__ == "__main__":
    raise SystemExit(main())
