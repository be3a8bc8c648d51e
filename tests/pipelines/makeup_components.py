"""A makeup pipeline at toy size, of real classes, and what stands in for face analysis."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import ControlNetModel, DDIMScheduler

from faces.analysis import NoFaceFound
from pipelines.makeup.modules import MakeupAdapter, MakeupEncoder
from pipelines.makeup.pipeline import MakeupPipeline
from tests.pipelines.components import STATE_WIDTH, toy_image_encoder, toy_processor, toy_unet

SIZE = 32
CENTRE = SIZE / 2


def toy_landmarks() -> np.ndarray:
    """68 points of a plain face in the middle of a frame."""
    points = np.full((68, 2), CENTRE)
    angle = np.linspace(np.pi, 0, 17)
    points[:17] = np.stack([CENTRE + 10 * np.cos(angle), CENTRE + 10 * np.sin(angle)], axis=1)
    turn = np.linspace(0, 2 * np.pi, 6, endpoint=False)
    for start, x in ((36, 12.0), (42, 20.0)):
        points[start : start + 6] = np.stack([x - 2 * np.cos(turn), 14 - np.sin(turn)], axis=1)
    points[17:22] = np.stack([np.linspace(9, 15, 5), np.full(5, 10.0)], axis=1)
    points[22:27] = np.stack([np.linspace(17, 23, 5), np.full(5, 10.0)], axis=1)
    points[27:36, 1] = np.linspace(14, 19, 9)
    turn = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    points[48:60] = np.stack([CENTRE - 4 * np.cos(turn), 22 - 1.5 * np.sin(turn)], axis=1)
    points[60:68] = np.stack([np.linspace(13, 19, 8), np.full(8, 22.0)], axis=1)
    return points


def toy_parsing() -> np.ndarray:
    parsing = np.zeros((SIZE, SIZE), np.uint8)
    parsing[6:27, 7:25] = 1
    parsing[21:23, 13:19] = 12
    return parsing


class ToyAnalyzer:
    """Finds the same face in every picture but a black one, for which there is none."""

    def require_face(self, image: Any, name: str | None = None) -> SimpleNamespace:
        pixels = np.asarray(image)
        if not pixels.any():
            raise NoFaceFound(f"{name}: no face of at least 32 px")
        side = min(pixels.shape[:2])
        matrix = np.array([[SIZE / side, 0, 0], [0, SIZE / side, 0]])
        rows = np.arange(SIZE) * side // SIZE
        return SimpleNamespace(
            aligned=pixels[rows][:, rows],
            parsing=toy_parsing(),
            landmarks=toy_landmarks() * side / SIZE,
            matrix=matrix,
        )

    def analyze_aligned(self, frames: np.ndarray) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(aligned=frame, parsing=toy_parsing(), landmarks=toy_landmarks())
            for frame in frames
        ]


def toy_makeup_components(**changed: Any) -> dict[str, Any]:
    unet = toy_unet(in_channels=12, out_channels=12, sample_size=SIZE // 2)
    torch.manual_seed(3)
    controlnets = [
        ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(4, 8)).eval() for _ in range(2)
    ]
    for controlnet in controlnets:  # as trained: they start silent
        for parameter in controlnet.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
    encoder = toy_image_encoder()
    adapter = MakeupAdapter.for_unet(unet, token_dim=STATE_WIDTH, heads=2, head_dim=12, framing="face").eval()
    for parameter in adapter.attention.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return {
        "vae": None,
        "unet": unet,
        "scheduler": DDIMScheduler(num_train_timesteps=1000, clip_sample=False, prediction_type="sample"),
        "content_controlnet": controlnets[0],
        "structure_controlnet": controlnets[1],
        "image_encoder": encoder,
        "adapter": adapter,
        "feature_extractor": toy_processor(),
        "makeup_encoder": MakeupEncoder(
            STATE_WIDTH, STATE_WIDTH, code_dim=8, lengths=(4, 8), num_tokens=2, hidden=16, heads=2
        ).eval(),
    } | changed


def toy_makeup_pipeline(**changed: Any) -> MakeupPipeline:
    pipe = MakeupPipeline(**toy_makeup_components(**changed))
    pipe.analyzer = ToyAnalyzer()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def toy_photo(seed: int, height: int = SIZE, width: int = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)
