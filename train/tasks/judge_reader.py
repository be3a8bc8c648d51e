"""The judge's branch for sided action units and expressions in any pose; all else of the judge stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import metrics, vocabulary
from faces.networks import JudgeNet, network_input
from train.augment import appearance, erase, jitter_matrix
from train.data.heads import IGNORED, HeadArrays, attribute_arrays, unit_table, unit_weights
from train.draws import Draws
from train.tasks import Task
from train.tasks.judge import JudgeTask, look

_MIXED = len(vocabulary.EXPRESSIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeReaderConfig:
    """Data and loss of the branch; its shards are of another seed and look than what the guide learns from."""

    kind: ClassVar[str] = "judge_reader"
    shards: tuple[Path, ...] = (
        Path("data/judge-units"), Path("data/judge-subtle"), Path("data/judge-more"),
    )  # fmt: skip
    heldout: Path = Path("data/judge-dev")
    start: Path = Path("tests/data/judge")
    "The judge that gets, or has, the branch."
    reader: tuple[int, ...] = (56, 96, 96, 128)
    strength: float = 0.6
    "Of the changes of light, colour, focus and noise."
    unit_weight: float = 15.0


class JudgeReaderTask(Task):
    """Trains the reader of a `JudgeNet` on its frozen trunk."""

    Config = JudgeReaderConfig
    card = JudgeTask.card

    def __init__(self, config: JudgeReaderConfig) -> None:
        super().__init__(config)
        self._units: np.ndarray = np.zeros((0, 0))
        self._classes: np.ndarray = np.zeros(0)
        self._unit_weights = torch.ones(len(vocabulary.UNIT_COLUMNS))

    def build(self) -> nn.Module:
        """Return the judge with everything but the reader frozen."""
        known = JudgeNet.load(self.config.start)
        judge = JudgeNet(**known.config | {"reader": list(self.config.reader)})
        trunk = {name: value for name, value in known.state_dict().items() if not name.startswith("reader.")}
        judge.load_state_dict(known.state_dict() if judge.config == known.config else trunk, strict=False)
        judge.requires_grad_(False)
        assert judge.reader is not None  # the config names one
        judge.reader.requires_grad_(True)
        return judge

    def dataset(self) -> HeadArrays:
        """Return the heads with what the branch reads."""
        heads = HeadArrays(self.config.shards)
        self._units, self._classes = unit_table(heads.labels), shown_classes(heads.labels)
        self._unit_weights = torch.from_numpy(unit_weights(self._units))
        return heads

    def sample(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One augmented portrait with its units and the class that it shows."""
        image, units = dataset.image[index], self._units[index]
        size = image.shape[0]
        matrix = jitter_matrix(rng, size, 0.015, 0.03, 3.0)
        image = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
        if rng.random() < 0.5:
            image, units = np.ascontiguousarray(image[:, ::-1]), vocabulary.flip_units(units)
        image = erase(appearance(image, rng, self.config.strength), rng)
        return {"image": image, "units": units, "shown": self._classes[index]}

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Squared error of the units and cross-entropy of what is shown."""
        out = self._read(model, network_input(batch["image"]))
        weights = self._unit_weights.to(out["units"].device)
        units = ((out["units"].float() - batch["units"]).square() * weights).mean()
        shown = functional.cross_entropy(out["shown"].float(), batch["shown"])
        return self.config.unit_weight * units + shown, {"units": units.detach(), "shown": shown.detach()}

    @staticmethod
    def _read(judge: JudgeNet, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """The reader alone on the frozen first levels, whose running statistics must not move either."""
        judge.trunk[:2].eval()
        return judge.read(x)

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Correlation of the units and accuracy on people that training does not show."""
        heads = HeadArrays(self.config.heldout)
        out = look(model, heads.image)
        each = metrics.correlations(out["units"].numpy(), unit_table(heads.labels))
        wanted = attribute_arrays(heads.labels)["expression"]
        basic = wanted != IGNORED
        found = out["shown"][:, :_MIXED].argmax(dim=1).numpy()
        return {
            "unit_r": float(np.nanmean(each)),
            "unit_r_least": float(np.nanmin(each)),
            "expression": float((found == wanted)[basic].mean()),
        }

    def export(self, model: Any, folder: Path) -> None:
        """Write the whole judge in fp16."""
        model.save(folder)


def shown_classes(labels: list[dict[str, Any]]) -> np.ndarray:
    """Number of the expression of each head, the one after the last for none of them, (n,) int64."""
    wanted = attribute_arrays(labels)["expression"]
    return np.where(wanted == IGNORED, _MIXED, wanted)
