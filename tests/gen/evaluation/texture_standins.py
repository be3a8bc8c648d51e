"""An exam of toy heads, whose two sides are alike but for a mark, and a texture pipeline that knows it by heart."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image

from faces import vocabulary
from gen.evaluation.texture_exam import TextureExam
from pipelines.texture.camera import HeadCamera
from pipelines.texture.manifold import TextureManifold
from pipelines.texture.rasterizer import render
from tests.pipelines.texture_components import PHOTO, SIZE, toy_texture_pipeline
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture

YAWS = (-52.0, -38.0, -20.0, 8.0, 25.0, 40.0)


@lru_cache(maxsize=1)
def manifold() -> TextureManifold:
    """Of people whose skins differ in tone and in waves that are alike on both sides."""
    return TextureManifold.from_textures(_skins(24).transpose(0, 3, 1, 2) * 2 - 1, 8, size=SIZE)


def _skins(count: int) -> np.ndarray:
    tones = np.random.default_rng(1).uniform(-0.25, 0.25, (count, 1, 1, 3))
    waves = np.stack([smooth_texture(SIZE, seed) for seed in range(count)]) - 0.5
    return (0.5 + 0.25 * (waves + waves[:, :, ::-1]) + tones).astype(np.float32)


@lru_cache(maxsize=1)
def exam() -> TextureExam:
    """A head for each of `YAWS`, of people of the manifold and with a stripe on the side that the picture hides."""
    latents = torch.randn(len(YAWS), 8, generator=torch.Generator().manual_seed(2))
    textures = (manifold().decode(latents, SIZE) / 2 + 0.5).movedim(1, -1).numpy()
    half = SIZE // 2
    for texture, yaw in zip(textures, YAWS, strict=True):
        texture[10:22, slice(half + 3, SIZE) if yaw < 0 else slice(0, half - 3)] -= 0.09
    textures = np.rint(textures.clip(0, 1) * 255).astype(np.uint8)
    drawn = [_drawn(*pair) for pair in zip(textures, YAWS, strict=True)]
    pictures, lit, parsing, landmarks = (np.stack(parts) for parts in zip(*drawn, strict=True))
    return TextureExam(
        textures=textures, pictures=pictures, lit=lit, parsing=parsing, landmarks=landmarks,
        yaw=np.array(YAWS, np.float32),
    )  # fmt: skip


def _drawn(texture: np.ndarray, yaw: float) -> tuple[np.ndarray, ...]:
    head = ellipsoid()
    camera = HeadCamera.portrait(head.mean, PHOTO, yaw=yaw)
    plain, lit = (
        render(head.mean, head.triangles, head.uv, texture.astype(np.float32) / 255, camera, light=light)
        for light in (None, (0.6, 0.3, 1.0))
    )
    parsing = np.where(plain.mask > 0.5, vocabulary.PARSING.index("skin"), 0).astype(np.uint8)
    landmarks, _ = camera.project(head.landmarks_of(head.mean[None])[0])
    pictures = (np.rint(one.picture.clip(0, 1) * 255).astype(np.uint8) for one in (plain, lit))
    return *pictures, parsing, landmarks.astype(np.float32)


def write(drawn: TextureExam, folder: Any) -> None:
    """Write the exam as the package reads it, its rows in another order."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for row in reversed(range(len(drawn))):
        name = f"7-{row}"
        for suffix, picture in (
            (".texture", drawn.textures[row]), ("", drawn.pictures[row]), (".lit", drawn.lit[row])
        ):  # fmt: skip
            Image.fromarray(picture).save(folder / f"{name}{suffix}.webp", lossless=True)
        cv2.imwrite(str(folder / f"{name}.parsing.png"), drawn.parsing[row])
        rows.append(
            {
                "name": name, "identity_id": name, "yaw": float(drawn.yaw[row]), "pitch": 0.0,
                "landmarks": drawn.landmarks[row].ravel().tolist(),
            }
        )  # fmt: skip
    pq.write_table(pa.Table.from_pylist(rows), folder / "labels.parquet")


class StandInTexture:
    """A toy pipeline whose completions are those of someone who knows the exam, or who lacks one thing.

    Faults: "mean" gives the mean texture for what is hidden; "redrawing" draws what is seen anew too; "deaf" completes
    every head like the first one; "pasting" leaves a step at the border of what is seen.
    """

    def __init__(self, drawn: TextureExam, fault: str = "") -> None:
        self.pipe, self.fault = toy_texture_pipeline(manifold=manifold()), fault
        self.truth = torch.from_numpy(drawn.textures).movedim(-1, 1).float() / 255

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pipe, name)

    def __call__(self, texture: list, visibility: list, **options: Any) -> SimpleNamespace:
        return SimpleNamespace(texture=[self._one(*pair) for pair in zip(texture, visibility, strict=True)])

    def _one(self, texture: torch.Tensor, visibility: torch.Tensor) -> torch.Tensor:
        misfit = ((self.truth - texture).abs() * visibility).sum(dim=(1, 2, 3))
        made = self.truth[0 if self.fault == "deaf" else int(misfit.argmin())]
        if self.fault == "mean":
            made = manifold().mean_texture(SIZE) / 2 + 0.5
        if self.fault == "pasting":
            made = (made + 0.3).clamp(max=1)
        if self.fault == "redrawing":
            return made
        return torch.where(visibility >= 0.5, texture, made)
