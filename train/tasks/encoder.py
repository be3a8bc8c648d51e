"""The image encoder of `mini`: it recognises people and their facial parts.

It is trained to find the other pictures of a person, by ArcFace, and by reading the parameters of the head off
pictures, whole or with all but one part blacked out, because ConsistentID shows it such pictures of single parts.
"""

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
from faces.alignment import FACE_BOX, FACE_SIZE
from faces.networks import network_input
from pipelines.portrait.encoder import FaceEncoder
from train.augment import appearance, erase, jitter_matrix
from train.data.heads import CARD, HeadArrays
from train.data.traits import TraitKind, identity_traits
from train.draws import Draws
from train.margin import AngularMargin, contrastive, verification
from train.tasks import Task

_PARTS = list(vocabulary.PARTS.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """Data, shape and loss of the image encoder."""

    kind: ClassVar[str] = "encoder"
    shards: tuple[Path, ...] = (Path("data/heads"),)
    heldout: Path = Path("data/heldout")
    start: Path | None = None
    "Folder of an encoder to continue from."
    width: int = 192
    layers: int = 3
    heads: int = 3
    stem: tuple[int, ...] = (32, 64, 128)
    embedding: int = 256
    margin: float = 0.35
    margin_steps: int = 3000
    "Steps over which the margin grows to its value."
    strength: float = 0.4
    "Of the changes of light, colour, focus and noise; weaker ones are learnt from sooner."
    margin_weight: float = 0.2
    pair_weight: float = 0.3
    pair_steps: int = 1200
    "Steps over which pairs and ArcFace come in; the traits of the head are learnt before."
    trait_weight: float = 1.0
    part_share: float = 0.25
    "Share of a batch from which a single part is looked at as well."
    traits: TraitKind = "shape"
    "What it reads off pictures of a person: see `train.data.traits`."


class EncoderTask(Task):
    """Trains a `FaceEncoder` whose unit-length `image_embeds` tell people apart."""

    Config = EncoderConfig
    card = CARD

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__(config)
        self._heads: HeadArrays | None = None
        self._traits: np.ndarray | None = None

    def build(self) -> nn.Module:
        """Return the tower with its margin classifier and trait head."""
        config = self.config
        if config.start:
            tower = FaceEncoder.from_pretrained(config.start, torch_dtype=torch.float32)
        else:
            tower = FaceEncoder(
                image_size=FACE_SIZE,
                hidden_size=config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                projection_dim=config.embedding,
                stem_widths=config.stem,
            )
        self.dataset()
        count, traits = int(self._heads.identity.max()) + 1, self._traits.shape[1]
        return nn.ModuleDict(
            {
                "tower": tower,
                "margin": AngularMargin(config.embedding, count),
                "traits": nn.Linear(config.width * 2, traits),
                "own_traits": nn.Linear(config.embedding, traits),
            }
        )

    def dataset(self) -> HeadArrays:
        """Return the heads; the traits of their people are read from the specs once."""
        if self._heads is None:
            self._heads = HeadArrays(self.config.shards)
            self._traits = identity_traits(self._heads, self.config.traits)
        return self._heads

    def sample(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Two pictures of a person, differently augmented, and one facial part alone on black."""
        pictures = [self._whole(dataset, one, rng) for one in (index, dataset.partner(index, rng))]
        identity = int(dataset.identity[index])
        views = np.stack([*pictures, self._part(dataset, index, rng)])
        return {"views": views, "identity": identity, "traits": self._traits[identity]}

    def _whole(self, dataset: HeadArrays, index: int, rng: np.random.Generator) -> np.ndarray:
        image = dataset.image[index]
        crop = face_crop(image, jitter_matrix(rng, image.shape[0], 0.015, 0.04, 3.0))
        if rng.random() < 0.5:
            crop = np.ascontiguousarray(crop[:, ::-1])
        return appearance(erase(crop, rng), rng, self.config.strength)

    @staticmethod
    def _part(dataset: HeadArrays, index: int, rng: np.random.Generator) -> np.ndarray:
        part = _PARTS[int(rng.integers(len(_PARTS)))]
        image = dataset.image[index] * part_mask(dataset.parsing[index], part)[..., None]
        crop = face_crop(image, jitter_matrix(rng, image.shape[0], 0.01, 0.02, 2.0))
        return appearance(crop, rng, 0.5) * (crop.max(axis=2, keepdims=True) > 0)

    def loss(self, model: Any, batch: dict[str, Any], draws: Draws):
        """Find the same person's other picture; ArcFace; and the head's traits from every view."""
        views, wanted = batch["views"], batch["traits"]
        # Parts are simpler than faces: a share of the batch teaches them.
        alone = views[: max(1, round(len(views) * self.config.part_share)), 2]
        pixels = torch.cat([views[:, :2].flatten(0, 1), alone])
        out = model["tower"](network_input(pixels), output_hidden_states=True)
        whole = out.image_embeds.float()[: 2 * len(views)]
        embedding = functional.normalize(whole, dim=-1).unflatten(0, (-1, 2))
        pairs = contrastive(embedding[:, 0], embedding[:, 1])
        margin = self.config.margin * min(1.0, draws.step / self.config.margin_steps)
        identity = batch["identity"].repeat_interleave(2)
        centres = model["margin"](embedding.flatten(0, 1), identity, margin).mean()
        # The tokens that adapters read are trained too: their mean and the class token of the last but one layer.
        states = out.hidden_states[-2].float()
        pooled = torch.cat([states[:, 0], states[:, 1:].mean(dim=1)], dim=-1)
        twice = wanted.repeat_interleave(2, dim=0)
        traits = (model["traits"](pooled) - torch.cat([twice, wanted[: len(alone)]])).square().mean()
        # The embedding reads them too, off whole faces: exact labels teach it long before pairs do.
        own = (model["own_traits"](whole) - twice).square().mean()
        # Before anything is read off the pictures, pairs and centres give gradients that are large and noise.
        told_apart = pairs + self.config.margin_weight * centres
        ramp = min(1.0, (draws.step + 1) / (self.config.pair_steps + 1))
        total = self.config.trait_weight * (traits + own) + self.config.pair_weight * ramp**2 * told_apart
        parts = {"pairs": pairs, "arcface": centres, "traits": traits, "own_traits": own}
        return total, {name: value.detach() for name, value in parts.items()}

    def validate(self, model: Any, step: int, folder: Path) -> dict[str, float]:
        """Verification over held-out people."""
        heads = HeadArrays(self.config.heldout)
        embedding = embed(model["tower"], heads.image)
        return verification(embedding, torch.from_numpy(heads.identity))

    def export(self, model: Any, folder: Path) -> None:
        """Write the tower in fp16."""
        model["tower"].half().save_pretrained(folder)
        model["tower"].float()


def part_mask(parsing: np.ndarray, ids: tuple[int, ...]) -> np.ndarray:
    """Filled mask of a part, (h, w) uint8 0 or 1: holes inside its outline belong to it."""
    mask = np.isin(parsing, ids).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(mask, contours, -1, 1, cv2.FILLED)


def face_crop(image: np.ndarray, jitter: np.ndarray | None = None) -> np.ndarray:
    """The encoder's crop of an aligned portrait, (s, s, 3) -> (112, 112, 3), after an optional jitter."""
    size = image.shape[0]
    left, top, right, _ = (value * size for value in FACE_BOX)
    scale = FACE_SIZE / (right - left)
    matrix = np.array([[scale, 0, -left * scale], [0, scale, -top * scale]])
    matrix[:, 2] += 0.5 * scale - 0.5  # centres of pixels, not corners
    if jitter is not None:
        matrix = matrix @ np.vstack([jitter, [0, 0, 1]])
    return cv2.warpAffine(
        image, matrix, (FACE_SIZE, FACE_SIZE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


@torch.no_grad()
def embed(tower: FaceEncoder, images: np.ndarray, batch: int = 64) -> torch.Tensor:
    """Unit-length identity embeddings of aligned portraits (n, s, s, 3) uint8."""
    device = next(tower.parameters()).device
    parts = []
    for start in range(0, len(images), batch):
        crops = np.stack([face_crop(image) for image in images[start : start + batch]])
        parts.append(tower(network_input(torch.from_numpy(crops).to(device))).image_embeds.float().cpu())
    return functional.normalize(torch.cat(parts), dim=-1)
