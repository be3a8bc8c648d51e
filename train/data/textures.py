"""Exact textures to learn from, and masks of what pictures show of them, as `faces.head.texture_set` and views give."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch

from faces.head.texture_set import IMAGES, LABELS, SETTINGS
from pipelines.texture.camera import HeadCamera
from pipelines.texture.template import HeadTemplate
from pipelines.texture.unwrapping import visibility
from train.data.cache import write_cache

YAW, PITCH = 60.0, 25.0
"""Degrees to each side that heads of the masks are turned by."""
_PICTURE = 256
"""Pixels of a side of the pictures that masks are of."""
_OCCLUDED = 0.2
"""Share of the samples of which something lies before the head."""
_CLOSED = 0.5
"""Share of the samples without the insides of eyes and mouth, which a texture is not read from unless asked."""
_INSIDES = (range(36, 42), range(42, 48), range(60, 68))
"""Landmarks around the eyes and the mouth's opening."""


class Textures:
    """A folder of textures of `faces.head.texture_set`.

    Attributes:
        image: (n, s, s, 3) uint8 sRGB, mapped.
        labels: one dict a texture, with "marks", "makeup" and "complexion" as lists.
        settings: what the set was made with.

    Args:
        folder: of the set.

    Raises:
        FileNotFoundError: no set there.
    """

    def __init__(self, folder: Path | str) -> None:
        folder = Path(folder)
        if not (folder / SETTINGS).is_file():
            raise FileNotFoundError(
                f"{folder}: no textures here ({SETTINGS} is missing); write them with faces.head.texture_set"
            )
        self.folder = folder
        self.image = np.load(folder / IMAGES, mmap_mode="r")
        self.settings: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        self.labels = pq.read_table(folder / LABELS).to_pylist()
        for row in self.labels:
            row |= {name: json.loads(row[name]) for name in ("marks", "makeup", "complexion")}

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> int:
        """Texels of a side."""
        return self.image.shape[1]

    def mean(self) -> torch.Tensor:
        """The mean texture, (3, s, s) float32 in [-1, 1]."""
        total = np.zeros(self.image.shape[1:])
        for start in range(0, len(self), 256):
            total += self.image[start : start + 256].sum(axis=0, dtype=np.int64)
        return (
            torch.from_numpy((total / len(self) / 127.5 - 1).astype(np.float32)).movedim(-1, 0).contiguous()
        )


class Views:
    """What pictures show of the textures of a template: real masks of random heads, and things before them.

    The masks are computed once beside the textures and mapped afterwards.

    Attributes:
        masks: (count, s, s) uint8, weights of `visibility` times 255.

    Args:
        folder: where the masks lie, in a folder of their own.
        template: of the heads.
        size: texels of a side.
        count: masks.
        seed: of shapes, expressions and poses.
    """

    def __init__(
        self, folder: Path | str, template: HeadTemplate, size: int, *, count: int = 512, seed: int = 0
    ) -> None:
        self._inside = insides(template, size)
        source = {
            "template": _digest(template), "size": size, "seed": seed, "yaw": YAW, "pitch": PITCH,
            "picture": _PICTURE,
        }  # fmt: skip

        def make(indices: range) -> dict[str, np.ndarray]:
            return {"mask": np.stack([_random_mask(template, size, seed, index) for index in indices])}

        cache = write_cache(Path(folder) / f"visibility-{seed}", source, count, make)
        self.masks = cache.arrays["mask"]

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw how well a texture is known, (s, s) float32 in 0..1."""
        weight = self.masks[int(rng.integers(len(self.masks)))].astype(np.float32) / 255
        if rng.random() < _CLOSED:
            weight[self._inside] = 0
        if rng.random() < _OCCLUDED:
            weight[_occluder(weight.shape[0], rng)] = 0
        return weight


def insides(template: HeadTemplate, size: int) -> np.ndarray:
    """Texels within the landmarks of eyes and mouth, (size, size) bool."""
    uv = template.uv.detach().float()
    flat = torch.cat([uv, torch.zeros_like(uv[:, :1])], dim=1)  # landmarks of the layout itself, unrolled
    places = template.landmarks_of(flat[None])[0, :, :2].cpu().numpy() * size
    mask = np.zeros((size, size), np.uint8)
    for around in _INSIDES:
        cv2.fillPoly(mask, [np.floor(places[list(around)]).astype(np.int32)], 1)
    return mask > 0


def _random_mask(template: HeadTemplate, size: int, seed: int, index: int) -> np.ndarray:
    rng = np.random.default_rng([seed, index])
    shape, expression = (
        torch.from_numpy(rng.standard_normal((1, count), dtype=np.float32))
        for count in (template.config.component_count, template.config.expression_count)
    )
    vertices = template.vertices(shape, expression)[0].detach().numpy()
    camera = HeadCamera.portrait(
        vertices, _PICTURE, yaw=rng.uniform(-YAW, YAW), pitch=rng.uniform(-PITCH, PITCH)
    )
    weight = visibility(vertices, template, camera, template.layout(size))
    return (weight * 255).round().astype(np.uint8)


def _occluder(size: int, rng: np.random.Generator) -> np.ndarray:
    """Strokes such as hair and fingers, or boxes, (size, size) bool."""
    mask = np.zeros((size, size), np.uint8)
    if rng.random() < 0.5:
        for _ in range(int(rng.integers(1, 5))):
            points = rng.uniform(0, size, (int(rng.integers(2, 6)), 1, 2)).astype(np.int32)
            cv2.polylines(mask, [points], False, 1, max(1, round(size * rng.uniform(0.03, 0.12))))
    else:
        for _ in range(int(rng.integers(1, 4))):
            corner, sides = rng.uniform(0, size, 2), rng.uniform(0.1, 0.4, 2) * size
            (x, y), (right, bottom) = corner.astype(int), (corner + sides).astype(int) + 1
            mask[y:bottom, x:right] = 1
    return mask > 0


def _digest(template: HeadTemplate) -> str:
    digest = hashlib.sha256()
    for _, values in sorted(template.state_dict().items()):
        digest.update(values.cpu().numpy().tobytes())
    return digest.hexdigest()[:16]
