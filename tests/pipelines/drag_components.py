"""A drag pipeline at toy size, of real classes, with weights drawn from a seed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DModel

from faces.analysis import NoFaceFound
from pipelines.drag.flow_generator import FlowGenerator
from pipelines.drag.pipeline import DragPipeline

SIZE = 32


class ToyAnalyzer:
    """Finds a face that fills the left square of a picture, and none in a black one."""

    def require_face(self, image: Any, name: str | None = None) -> SimpleNamespace:
        pixels = np.asarray(image)
        if not pixels.any():
            raise NoFaceFound(f"{name}: no face of at least 32 px")
        scale = SIZE / pixels.shape[0]
        return SimpleNamespace(matrix=np.array([[scale, 0.0, 0.0], [0.0, scale, 0.0]]))


def toy_drag_unet(sees_moved: bool = True) -> UNet2DModel:
    torch.manual_seed(5)
    return UNet2DModel(
        sample_size=SIZE // 2,
        in_channels=39 if sees_moved else 26,
        out_channels=12,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "UpBlock2D"),
        norm_num_groups=4,
        add_attention=False,
    ).eval()


def toy_drag_components(**changed: Any) -> dict[str, Any]:
    torch.manual_seed(7)
    generator = FlowGenerator(
        in_channels=6, block_out_channels=(8, 8, 8), norm_num_groups=4, sample_size=SIZE, output="linear"
    ).eval()
    return {
        "flow_generator": generator,
        "unet": toy_drag_unet(),
        "scheduler": DDIMScheduler(num_train_timesteps=1000, clip_sample=False, prediction_type="sample"),
    } | changed


def toy_drag_pipeline(**changed: Any) -> DragPipeline:
    pipe = DragPipeline(**toy_drag_components(**changed))
    pipe.analyzer = ToyAnalyzer()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def toy_photo(seed: int, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)
