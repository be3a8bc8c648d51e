"""A texture pipeline at toy size, of real classes, with weights drawn from a seed, and photographs of its toy head."""

from __future__ import annotations

from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, UNet2DModel

from faces import vocabulary
from faces.analysis import NoFaceFound
from faces.head.template import HeadGrid
from pipelines.texture.camera import HeadCamera
from pipelines.texture.conditioning import CONDITION_CHANNELS, FOLD, TEXTURE_CHANNELS
from pipelines.texture.manifold import TextureManifold
from pipelines.texture.pipeline import TexturePipeline
from pipelines.texture.rasterizer import render
from pipelines.texture.template import HeadTemplate
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture

SIZE = 32
PHOTO = 96
_EYE = (slice(40, 48), slice(52, 62))
"""Pixels that parse as an eye."""


class ToyAnalyzer:
    """Knows the landmarks of the photographs that `toy_photo` made, and finds no face in others."""

    def require_face(self, image: Any, name: str | None = None) -> SimpleNamespace:
        known = {toy_photo(yaw).tobytes(): yaw for yaw in (0, 40)}
        if (yaw := known.get(np.asarray(image).tobytes())) is None:
            raise NoFaceFound(f"{name}: no face of at least 32 px")
        landmarks, _ = toy_camera(yaw).project(ellipsoid().landmarks_of(ellipsoid().mean[None])[0])
        parsing = np.where(_drawn(yaw).mask > 0.5, vocabulary.PARSING.index("skin"), 0).astype(np.uint8)
        parsing[_EYE] = vocabulary.PARSING.index("l_eye")
        return SimpleNamespace(landmarks=landmarks, parsing=parsing, matrix=np.eye(2, 3))


def toy_camera(yaw: float) -> HeadCamera:
    return HeadCamera.portrait(ellipsoid().mean, PHOTO, yaw=yaw)


@lru_cache(maxsize=4)
def _drawn(yaw: float) -> Any:
    head = ellipsoid()
    return render(head.mean, head.triangles, head.uv, smooth_texture(SIZE), toy_camera(yaw))


def toy_photo(yaw: float = 0) -> np.ndarray:
    """(PHOTO, PHOTO, 3) uint8 of the toy head with `smooth_texture` on it; 0 and 40 degrees are known."""
    return np.rint(_drawn(yaw).picture.clip(0, 1) * 255).astype(np.uint8)


def toy_template() -> HeadTemplate:
    head = ellipsoid()
    grid = HeadGrid(
        mesh_id="toy-ellipsoid",
        mean=head.mean,
        shape_basis=head.shape_basis,
        expression_basis=head.expression_basis,
        triangles=head.triangles,
        uv=head.uv,
        landmark_vertices=head.landmark_vertices,
        landmark_weights=head.landmark_weights.astype(np.float32),
        mirror_vertices=head.mirror_vertices,
        shape_share=1.0,
        expression_share=1.0,
    )
    return HeadTemplate.from_grid(grid, size=SIZE)


def toy_textures(count: int, size: int = SIZE) -> np.ndarray:
    """(count, 3, size, size) float32 in [-1, 1]."""
    return np.stack([smooth_texture(size, seed) for seed in range(count)]).transpose(0, 3, 1, 2) * 2 - 1


def toy_texture_unet(in_channels: int = TEXTURE_CHANNELS + CONDITION_CHANNELS) -> UNet2DModel:
    torch.manual_seed(5)
    return UNet2DModel(
        sample_size=SIZE // FOLD,
        in_channels=in_channels,
        out_channels=TEXTURE_CHANNELS,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        add_attention=False,
    ).eval()


def toy_texture_components(**changed: Any) -> dict[str, Any]:
    return {
        "unet": toy_texture_unet(),
        "scheduler": DPMSolverMultistepScheduler(
            beta_schedule="squaredcos_cap_v2", prediction_type="sample", timestep_spacing="trailing"
        ),
        "template": toy_template(),
        "manifold": TextureManifold.from_textures(toy_textures(12), 6, size=SIZE // 2),
    } | changed


def toy_texture_pipeline(**changed: Any) -> TexturePipeline:
    pipe = TexturePipeline(**toy_texture_components(**changed))
    pipe.analyzer = ToyAnalyzer()
    pipe.set_progress_bar_config(disable=True)
    return pipe
