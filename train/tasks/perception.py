"""Landmarks and parsing on rendered heads: the network behind face analysis."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import vocabulary
from faces.networks import PerceptionNet, network_input
from train.augment import appearance, erase, jitter_matrix
from train.data.heads import CARD, HeadArrays
from train.draws import Draws
from train.tasks import Task


@dataclass(frozen=True, kw_only=True, slots=True)
class PerceptionConfig:
    """Data and loss of the perception network."""

    kind: ClassVar[str] = "perception"
    shards: Path = Path("data/heads")
    heldout: Path = Path("data/heldout")
    start: Path | None = None
    loose_share: float = 0.6
    "Share of samples framed loosely, as a detector's box would be; the others are nearly canonical."


class PerceptionTask(Task):
    """Trains `PerceptionNet`."""

    Config = PerceptionConfig
    card = CARD

    def build(self) -> nn.Module:
        """Return the network."""
        return PerceptionNet.load(self.config.start).train() if self.config.start else PerceptionNet()

    def dataset(self) -> HeadArrays:
        """Return the heads."""
        return HeadArrays(self.config.shards)

    def sample(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """One augmented portrait with landmarks as shares of the frame and parsing at half size."""
        image, parsing, landmarks = dataset.image[index], dataset.parsing[index], dataset.landmarks[index]
        size = image.shape[0]
        if rng.random() < 0.5:
            image, parsing = image[:, ::-1], vocabulary.flip_parsing(parsing)
            landmarks = vocabulary.flip_landmarks(landmarks, size)
        wide = rng.random() < self.config.loose_share
        matrix = jitter_matrix(
            rng, size, 0.06 if wide else 0.015, 0.2 if wide else 0.04, 12.0 if wide else 3.0
        )
        border = cv2.BORDER_REPLICATE if rng.random() < 0.5 else cv2.BORDER_REFLECT_101
        image = cv2.warpAffine(np.ascontiguousarray(image), matrix, (size, size), borderMode=border)
        parsing = cv2.warpAffine(
            np.ascontiguousarray(parsing), matrix, (size, size), flags=cv2.INTER_NEAREST, borderMode=border
        )
        # cv2 counts from the centre of the first pixel, landmarks from its corner.
        landmarks = (landmarks - 0.5) @ matrix[:, :2].T + matrix[:, 2] + 0.5
        image = erase(appearance(image, rng), rng)
        return {
            "image": image,
            "parsing": parsing[::2, ::2].astype(np.int64),
            "landmarks": (landmarks / size).astype(np.float32),
        }

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Mean point distance in shares of the frame, and cross-entropy."""
        out = model(network_input(batch["image"]))
        wanted = batch["landmarks"]
        inside = ((wanted > 0) & (wanted < 1)).all(dim=-1)
        distance = (out["landmarks"].float() - wanted).square().sum(dim=-1).add(1e-8).sqrt()
        points = (distance * inside).sum() / inside.sum().clamp(min=1)
        classes = functional.cross_entropy(out["parsing"].float(), batch["parsing"])
        return 20 * points + classes, {"points": points.detach(), "parsing": classes.detach()}

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """NME by inter-ocular distance and mean IoU on held-out portraits."""
        heads = HeadArrays(self.config.heldout)
        size = heads.image.shape[1]
        device = next(model.parameters()).device
        points, classes = [], []
        for start in range(0, len(heads), 64):
            chunk = torch.from_numpy(heads.image[start : start + 64]).to(device)
            out = model(network_input(chunk))
            points.append(out["landmarks"].cpu().numpy() * size)
            classes.append(out["parsing"].argmax(dim=1).cpu().numpy())
        points, classes = np.concatenate(points), np.concatenate(classes)
        eyes = np.linalg.norm(heads.landmarks[:, 36] - heads.landmarks[:, 45], axis=1)
        error = np.linalg.norm(points - heads.landmarks, axis=2).mean(axis=1) / eyes
        return {"nme": float(error.mean()), "miou": _mean_iou(classes, heads.parsing[:, ::2, ::2])}

    def export(self, model: Any, folder: Path) -> None:
        """Write the network in fp16."""
        model.save(folder)


def _mean_iou(found: np.ndarray, wanted: np.ndarray) -> float:
    """Intersection over union, averaged over the classes that occur in the truth."""
    scores = []
    for label in np.unique(wanted):
        both, either = (
            ((found == label) & (wanted == label)).sum(),
            ((found == label) | (wanted == label)).sum(),
        )
        scores.append(both / either)
    return float(np.mean(scores))
