"""The branch of face analysis for action units: small movements at known places of the canonical frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from torch import nn

from faces import metrics, vocabulary
from faces.networks import network_input
from faces.openset import basic_distance
from faces.perception import PerceptionNet
from train.data.heads import HeadArrays
from train.draws import Draws
from train.tasks.perception import IGNORED, PerceptionConfig, PerceptionTask, look, study_labels

TASK = "action_units"


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptionReaderConfig(PerceptionConfig):
    """Data and shape of the branch."""

    kind: ClassVar[str] = "perception_reader"
    start: Path | None = Path("weights/perception")
    "The network that gets, or has, the branch."
    loose_share: float = 0.0
    texture_share: float = 0.0
    reader: tuple[int, ...] = (48, 96, 128, 128)


class PerceptionReaderTask(PerceptionTask):
    """Trains the reader of action units on the frozen first levels of a `PerceptionNet`."""

    Config = PerceptionReaderConfig

    def build(self) -> nn.Module:
        """Return the network with everything but the reader frozen; queries of action units go."""
        assert self.config.start is not None  # it has a default
        net = with_reader(PerceptionNet.load(self.config.start), self.config.reader)
        net.requires_grad_(False)
        net.readers.requires_grad_(True)
        return net

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Squared error of the units, rare ones as heavy as frequent ones."""
        model.encoder[:2].eval()  # their running statistics must not move either
        read = model(network_input(batch["image"]), (TASK,))[TASK].float()
        error = ((read - batch["units"]).square() * self._unit_weights.to(read.device)).mean()
        return 10 * error, {"units": error.detach()}

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Correlations on people that training does not show, and what tells compounds from expressions."""
        heads = HeadArrays(self.config.heldout)
        wanted = study_labels(heads.labels)
        read = look(model, heads.image, tasks=(TASK,))[TASK]
        each = metrics.correlations(read, wanted["units"])
        return {
            "unit_r": float(np.nanmean(each)),
            "unit_r_least": float(np.nanmin(each)),
            "open_set": metrics.auroc(basic_distance(read), wanted["expression"] == IGNORED),
        }

    def export(self, model: Any, folder: Path) -> None:
        """Write the whole network in fp16."""
        model.save(folder)


def with_reader(net: PerceptionNet, widths: tuple[int, ...]) -> PerceptionNet:
    """Return a network with everything that `net` knows, where a reader answers action units."""
    tasks = net.tasks | {TASK: (len(vocabulary.UNIT_COLUMNS), "reader")}
    changed = PerceptionNet(**net.config | {"tasks": tasks, "reader": list(widths)})
    known = net.state_dict()
    for name in (f"queries.{TASK}", f"bias.{TASK}"):
        known.pop(name, None)
    missing = changed.load_state_dict(known, strict=False).missing_keys
    foreign = [name for name in missing if not name.startswith("readers.")]
    assert not foreign, foreign  # one of them would be untrained
    return changed
