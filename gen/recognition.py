"""Who a generated picture shows, as told by a network that the generator was never taught to please.

A generator that trained for the approval of its own image encoder gets it for faces that others tell apart: between
pictures that the encoder of `mini` finds equally like their reference, it cannot choose. A model folder may
therefore bring a second `FaceEncoder`, which compares and does nothing else. Models without one are compared by
their own encoder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gen import atomic
from pipelines.portrait.encoder import FaceEncoder
from pipelines.portrait.references import frame_pixels

FOLDER = "recognizer"


def load(model: Path) -> torch.nn.Module | None:
    """Load the recognizer of a model folder; None where it has none."""
    folder = model / FOLDER
    return FaceEncoder.from_pretrained(folder, torch_dtype=torch.float32).eval() if folder.is_dir() else None


def digest(model: Path) -> str:
    """SHA-256 of the recognizer's weights, "" where there is none."""
    files = sorted((model / FOLDER).glob("*.safetensors"))
    return atomic.sha256(files[0]) if files else ""


@torch.inference_mode()
def embed(encoder: torch.nn.Module, feature_extractor: Any, frames: np.ndarray) -> np.ndarray:
    """Embed aligned portraits (n, s, s, 3) uint8: (n, E) float32 of length 1.

    Args:
        encoder: a `FaceEncoder`.
        feature_extractor: the image processor of the pipeline, which knows the encoder's input.
        frames: canonical frames, as `faces.alignment` makes them.
    """
    first = next(encoder.parameters())
    pixels = frame_pixels(frames, feature_extractor).to(first.device, first.dtype)
    vectors = encoder(pixels).image_embeds.float().cpu().numpy()
    return _unit(vectors)


def compare(encoder: torch.nn.Module, feature_extractor: Any, frames: np.ndarray) -> np.ndarray:
    """Embed aligned portraits for comparison, as `embed` does: the mean of a portrait and its mirror image.

    What depends on the side of the light or of the pose cancels out (flip testing, as in Wang et al., "CosFace",
    CVPR 2018, section 4.1, which concatenates).
    """
    mirrored = np.ascontiguousarray(frames[:, :, ::-1])
    both = embed(encoder, feature_extractor, np.concatenate([frames, mirrored])).reshape(2, len(frames), -1)
    return _unit(both.sum(axis=0))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
