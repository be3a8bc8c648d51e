"""The label calibrator: an expression out of what the frozen denoiser shows of a finished picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import metrics
from pipelines.autoencoder import PatchAutoencoderKL
from pipelines.device import best_device
from pipelines.expression.calibrator import LabelCalibrator, look
from pipelines.portrait.pipeline import PortraitPipeline
from train.data.cache import ArrayCache, write_cache
from train.data.heads import CARD, IGNORED, HeadArrays, attribute_arrays
from train.data.portraits import latent_cache
from train.draws import Draws
from train.tasks import Task

_BATCH = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibratorConfig:
    """Data and loss of the calibrator."""

    kind: ClassVar[str] = "calibrator"
    shards: tuple[Path, ...] = (Path("data/expressions"),)
    heldout: Path = Path("data/dev-units")
    model: Path = Path("weights/mini")
    "The portrait model whose denoiser looks."
    timestep: int = 60
    width: int = 64
    smoothing: float = 0.02
    noise: float = 0.05
    "Deviation of what is added to a view, against learning single heads by heart."


class CalibratorTask(Task):
    """Trains a `LabelCalibrator` on cached views; heads with mixed expressions are left out."""

    Config = CalibratorConfig
    card = CARD

    def __init__(self, config: CalibratorConfig) -> None:
        super().__init__(config)
        self._pipe: PortraitPipeline | None = None

    def build(self) -> nn.Module:
        """Return the calibrator, as wide as the views are."""
        views = self.dataset().views.arrays
        return LabelCalibrator(
            feature_dim=views["features"].shape[-1],
            attention_dim=views["attention"].shape[-1],
            width=self.config.width,
            timestep=self.config.timestep,
        )

    def dataset(self) -> ViewData:
        """Return views and labels."""
        return self._data(self.config.shards)

    def _data(self, shards: Path | tuple[Path, ...]) -> ViewData:
        folders = [shards] if isinstance(shards, Path) else shards
        heads = HeadArrays(folders)
        labels = attribute_arrays(heads.labels)["expression"]
        return ViewData(self._views(heads, folders), labels)

    def _views(self, heads: HeadArrays, folders: Sequence[Path]) -> ArrayCache:
        if self._pipe is None:
            self._pipe = PortraitPipeline.from_pretrained(self.config.model).to(best_device())
        pipe = self._pipe
        folder, others = folders[0], "".join(f"-{one.name}" for one in folders[1:])
        assert isinstance(pipe.vae, PatchAutoencoderKL)  # the bundled model has one
        latents = latent_cache(heads, folder / f"latents{others}", pipe.vae).arrays["latents"]

        def make(indices: range) -> dict[str, np.ndarray]:
            clean = torch.from_numpy(np.array(latents[indices.start : indices.stop, 0])).float()
            view = look(pipe, clean.to(pipe.device), self.config.timestep)
            return {
                "features": view.features.half().cpu().numpy(),
                "attention": view.attention.half().cpu().numpy(),
            }

        source = {"weights": pipe.weights_sha256(), "timestep": self.config.timestep}
        return write_cache(folder / f"views{others}", source, len(heads), make, batch_size=_BATCH)

    def sample(self, dataset: ViewData, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One view with noise on it, and its expression."""
        row = dataset.basic[index]
        view = {
            name: np.array(dataset.views.arrays[name][row], np.float32) for name in ("features", "attention")
        }
        view["features"] += self.config.noise * rng.standard_normal(view["features"].shape, np.float32)
        return view | {"expression": dataset.expression[row]}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Cross-entropy."""
        logits = model(batch["features"], batch["attention"])
        loss = functional.cross_entropy(logits, batch["expression"], label_smoothing=self.config.smoothing)
        return loss, {"entropy": loss.detach()}

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Accuracy and calibration on people that training does not show."""
        data, device = self._data(self.config.heldout), next(model.parameters()).device
        features, attention = (
            torch.from_numpy(np.array(data.views.arrays[name][data.basic], np.float32)).to(device)
            for name in ("features", "attention")
        )
        found = model(features, attention).softmax(dim=1).float().cpu().numpy()
        wanted = data.expression[data.basic]
        return {
            "accuracy": float((found.argmax(axis=1) == wanted).mean()),
            "ece": metrics.calibration_error(found, wanted),
        }

    def export(self, model: Any, folder: Path) -> None:
        """Write the calibrator in fp16."""
        model.half().save_pretrained(folder)
        model.float()


class ViewData:
    """Views of the heads with a basic expression."""

    def __init__(self, views: ArrayCache, expression: np.ndarray) -> None:
        self.views, self.expression = views, expression
        self.basic = np.flatnonzero(expression != IGNORED)

    def __len__(self) -> int:
        return len(self.basic)
