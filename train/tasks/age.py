"""The age critic of portrait training, on cached latents: it stays in `train/`, no pipeline has it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from pipelines.autoencoder import PatchAutoencoderKL
from train.data.heads import CARD, HeadArrays, attribute_arrays
from train.data.portraits import latent_cache
from train.draws import Draws
from train.latent_age import LatentAge
from train.tasks import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class AgeConfig:
    """Data of the age critic."""

    kind: ClassVar[str] = "age"
    shards: Path = Path("data/heads")
    heldout: Path = Path("data/heldout")
    vae: Path = Path("runs/vae/export")
    width: int = 48
    noise: float = 0.5
    "Largest standard deviation of what is added to latents, which have about one: estimates are not clean."


@dataclass(frozen=True, slots=True)
class AgedLatents:
    """Latents (n, 2, c, 16, 16) of heads as they are and mirrored, and years (n,)."""

    latents: np.ndarray
    age: np.ndarray

    def __len__(self) -> int:
        return len(self.age)


class AgeTask(Task):
    """Trains `LatentAge`."""

    Config = AgeConfig
    card = CARD | {"intended_use": "A loss in the training of `mini`; nobody's age is estimated with it."}

    def __init__(self, config: AgeConfig) -> None:
        super().__init__(config)
        self.vae = PatchAutoencoderKL.from_pretrained(config.vae).float().eval()

    def build(self) -> nn.Module:
        """Return the critic."""
        return LatentAge(self.vae.config.latent_channels, self.config.width)

    def dataset(self) -> AgedLatents:
        """Return the latents of all heads with the ages they were rendered at."""
        return self._data(self.config.shards)

    def _data(self, shards: Path) -> AgedLatents:
        heads = HeadArrays(shards)
        cache = latent_cache(heads, Path(shards) / "latents", self.vae)
        return AgedLatents(cache.arrays["latents"], attribute_arrays(heads.labels)["age"])

    def sample(self, dataset: AgedLatents, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One head on a random side."""
        return {"latents": np.array(dataset.latents[index, rng.integers(2)]), "age": dataset.age[index]}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Distance in years."""
        clean = batch["latents"].float()
        level = draws.uniform(high=self.config.noise).view(-1, 1, 1, 1)
        noisy = clean + level * draws.normal(*clean.shape[1:])
        years = (model(noisy).float() - batch["age"]).abs().mean()
        return years / 10, {"years": years.detach()}

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Mean distance in years on held-out heads."""
        data = self._data(self.config.heldout)
        device = next(model.parameters()).device
        seen = model(torch.from_numpy(np.array(data.latents[:, 0])).float().to(device))
        return {"years": float(np.abs(seen.float().cpu().numpy() - data.age).mean())}

    def export(self, model: Any, folder: Path) -> None:
        """Write the critic in fp16."""
        model.save(folder)
