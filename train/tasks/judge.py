"""The judge that evaluation uses: identity and attributes, trained apart from everything that generates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces.networks import JudgeNet, network_input
from train.augment import appearance, erase, jitter_matrix
from train.data.heads import CARD, HeadArrays, attribute_arrays
from train.data.traits import TraitKind, identity_traits
from train.draws import Draws
from train.margin import AngularMargin, contrastive, verification
from train.tasks import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeConfig:
    """Data and loss of the judge; its shards are of another seed and look than the generator's."""

    kind: ClassVar[str] = "judge"
    shards: Path = Path("data/judge")
    heldout: Path = Path("data/heldout")
    start: Path | None = None
    margin: float = 0.3
    strength: float = 0.5
    "Of the changes of light, colour, focus and noise; at 1 no expression was learnt in ten thousand pictures."
    margin_steps: int = 3000
    pair_weight: float = 0.5
    pair_steps: int = 1000
    "Steps over which pairs and ArcFace come in; attributes and traits are learnt before."
    traits: TraitKind = "shape"
    "What the embedding reads off pictures of a person: see `train.data.traits`."


class JudgeTask(Task):
    """Trains `JudgeNet`."""

    Config = JudgeConfig
    card = CARD | {
        "intended_use": "Scoring what Mien generates. It takes no part in making or choosing pictures."
    }

    def __init__(self, config: JudgeConfig) -> None:
        super().__init__(config)
        self._heads: HeadArrays | None = None
        self._attributes: dict[str, np.ndarray] = {}
        self._traits: np.ndarray | None = None

    def build(self) -> nn.Module:
        """Return the judge with its margin classifier."""
        judge = JudgeNet.load(self.config.start).train() if self.config.start else JudgeNet()
        count, width = int(self.dataset().identity.max()) + 1, judge.config["embedding"]
        traits = nn.Linear(width, self._traits.shape[1])
        return nn.ModuleDict({"judge": judge, "margin": AngularMargin(width, count), "traits": traits})

    def dataset(self) -> HeadArrays:
        """Return the heads with their attributes as arrays."""
        if self._heads is None:
            self._heads = HeadArrays(self.config.shards)
            self._attributes = attribute_arrays(self._heads.labels)
            self._traits = identity_traits(self._heads, self.config.traits)
        return self._heads

    def sample(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Two pictures of a person, augmented, each with its attributes."""
        pair = [self._view(dataset, one, rng) for one in (index, dataset.partner(index, rng))]
        views = {name: np.stack([view[name] for view in pair]) for name in pair[0]}
        identity = int(dataset.identity[index])
        return {**views, "identity": identity, "traits": self._traits[identity]}

    def _view(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        labels = {name: values[index] for name, values in self._attributes.items()}
        image, mirrored = self._picture(dataset.image[index], rng)
        if mirrored:
            labels["pose"] = labels["pose"] * np.array([-1, 1, -1], np.float32)
        return {"views": image, **labels}

    def _picture(self, image: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, bool]:
        size = image.shape[0]
        matrix = jitter_matrix(rng, size, 0.015, 0.03, 2.0)
        image = cv2.warpAffine(image, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
        mirrored = bool(rng.random() < 0.5)
        if mirrored:
            image = np.ascontiguousarray(image[:, ::-1])
        return erase(appearance(image, rng, self.config.strength), rng), mirrored

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Pairs, ArcFace and the attributes, each scaled to be about one at the start."""
        views = batch["views"].flatten(0, 1)
        out = model["judge"](network_input(views))
        out = {name: value.float() for name, value in out.items()}
        embedding = out["embedding"].unflatten(0, (-1, 2))
        identity = batch["identity"].repeat_interleave(2)
        wanted = {name: batch[name].flatten(0, 1) for name in self._attributes}
        margin = self.config.margin * min(1.0, draws.step / self.config.margin_steps)
        told_apart = self.config.pair_weight * min(1.0, (draws.step + 1) / (self.config.pair_steps + 1)) ** 2
        parts = {
            "pairs": contrastive(embedding[:, 0], embedding[:, 1]) * told_apart,
            "arcface": model["margin"](out["embedding"], identity, margin).mean() * 0.2 * told_apart,
            "expression": functional.cross_entropy(
                out["expression"], wanted["expression"], label_smoothing=0.05
            )
            * 2,
            "hair_colour": functional.cross_entropy(
                out["hair_colour"], wanted["hair_colour"], label_smoothing=0.05
            ),
            "hair_style": functional.cross_entropy(
                out["hair_style"], wanted["hair_style"], label_smoothing=0.05
            ),
            "pose": (out["pose"] - wanted["pose"]).abs().mean() / 8,
            "age": (out["age"] - wanted["age"]).abs().mean() / 6,
            "gender": functional.binary_cross_entropy_with_logits(out["gender"], wanted["gender"]),
            "skin_tone": (out["skin_tone"] - wanted["skin_tone"]).abs().mean() * 2,
            "au": (out["au"] - wanted["au"]).square().mean() * 8,
            "traits": self._trait_error(model, embedding, batch["traits"]),
        }
        return sum(parts.values()), {name: value.detach() for name, value in parts.items()}

    @staticmethod
    def _trait_error(model: Any, embedding: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        read = model["traits"](embedding * embedding.shape[-1] ** 0.5)  # entries of about one
        return (read - wanted[:, None]).square().mean() * 12

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Verification and attribute accuracy on held-out people under the other look."""
        heads = HeadArrays(self.config.heldout)
        out = look(model["judge"], heads.image)
        truth = {name: torch.from_numpy(values) for name, values in attribute_arrays(heads.labels).items()}
        numbers = verification(out["embedding"], torch.from_numpy(heads.identity))
        for name in ("expression", "hair_colour", "hair_style"):
            numbers[name] = float((out[name].argmax(dim=1) == truth[name]).float().mean())
        numbers["yaw_mae"] = float((out["pose"] - truth["pose"])[:, 0].abs().mean())
        numbers["age_mae"] = float((out["age"] - truth["age"]).abs().mean())
        return numbers

    def export(self, model: Any, folder: Path) -> None:
        """Write the judge in fp16."""
        model["judge"].save(folder)


@torch.no_grad()
def look(judge: JudgeNet, images: np.ndarray, batch: int = 64) -> dict[str, torch.Tensor]:
    """The judge's outputs on aligned portraits (n, s, s, 3) uint8."""
    device = next(judge.parameters()).device
    parts = []
    for start in range(0, len(images), batch):
        chunk = torch.from_numpy(np.ascontiguousarray(images[start : start + batch])).to(device)
        parts.append(judge(network_input(chunk)))
    return {name: torch.cat([part[name].float().cpu() for part in parts]) for name in parts[0]}
