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

from faces.head.complexion import smooth_noise, vary
from faces.head.texture_set import IMAGES, LABELS, SETTINGS, SKIN
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


_MISFIT, _MISFIT_CELLS = 1.2, 6
"""Largest deviation in texels of what a fitted head displaces, and how many times it changes along a side."""
_SOFTEST = 0.8
"""Largest deviation in texels of the blur of a picture's pixels."""

_GAMMA = 2.2


class Textures:
    """A folder of textures of `faces.head.texture_set`.

    Skins of a set without complexions get them when they are drawn, new ones each time: none is learnt by heart.

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
        self._skin = None if self.settings["complexion"] else np.load(folder / SKIN)
        self.labels = pq.read_table(folder / LABELS).to_pylist()
        for row in self.labels:
            row |= {name: json.loads(row[name]) for name in ("marks", "makeup", "complexion")}

    def __len__(self) -> int:
        return len(self.image)

    @property
    def size(self) -> int:
        """Texels of a side."""
        return self.image.shape[1]

    def draw(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A texture (s, s, 3) uint8; `rng` chooses the complexion that the set lets open."""
        texture = np.array(self.image[index])
        return texture if self._skin is None else vary(texture, self._skin, rng)[0]


def misread(texture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A texture (s, s, 3) uint8 as it is read from a picture: a fitted head errs smoothly, and pixels blur."""
    size = len(texture)
    away = smooth_noise(size, _MISFIT_CELLS, 2, rng) * rng.uniform(0, _MISFIT)
    x, y = np.meshgrid(np.arange(size, dtype=np.float32), np.arange(size, dtype=np.float32))
    read = cv2.remap(
        texture, x + away[..., 0], y + away[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
    )
    return cv2.GaussianBlur(read, (0, 0), max(rng.uniform(0, _SOFTEST), 1e-3))


def lit(texture: np.ndarray, normals: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A texture (s, s, 3) uint8 in random light: from everywhere, from one or two sides, with gloss and shadows.

    Args:
        texture: sRGB.
        normals: (s, s, 3) unit, x to the left of the person, z forwards.
        rng: source of every choice.
    """
    light = rng.uniform(0.25, 0.8) * _tint(rng) + np.zeros_like(normals)
    gloss = np.zeros(normals.shape[:2], np.float32)
    for _ in range(int(rng.integers(1, 3))):
        towards = np.array([rng.normal(0, 0.9), rng.normal(0.35, 0.5), rng.uniform(0.1, 1.2)])
        towards /= np.linalg.norm(towards)
        wrap = rng.uniform(0, 0.4)
        shade = 1 - rng.uniform(0, 0.5) * (smooth_noise(len(texture), 6, 1, rng) > 0.8)
        shade = cv2.GaussianBlur(shade.astype(np.float32), (0, 0), rng.uniform(1, 4))[..., None]
        facing = np.clip((normals @ towards + wrap) / (1 + wrap), 0, 1)[..., None]
        light = light + rng.uniform(0.2, 1.2) * _tint(rng) * facing * shade
        half = towards + np.array([rng.normal(0, 0.5), 0, 1])
        gloss += rng.uniform(0, 0.15) * np.clip(normals @ half / np.linalg.norm(half), 0, 1) ** rng.uniform(
            8, 40
        )
    exposure = rng.uniform(0.8, 1.15) / light[normals[..., 2] > 0.3].mean()
    linear = (texture / 255) ** _GAMMA * light * exposure + gloss[..., None]
    return np.rint(linear.clip(0, 1) ** (1 / _GAMMA) * 255).astype(np.uint8)


def _tint(rng: np.random.Generator) -> np.ndarray:
    """Colour (3,) of a light, from bluish to yellowish."""
    warm = rng.normal(0, 0.06)
    return np.array([1 + warm, 1, 1 - warm])


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
    vertices = template.random_head(rng)
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
