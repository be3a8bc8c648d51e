"""Who a generated picture shows, as told by a network that the generator was never taught to please.

A generator that trained for the approval of its own image encoder gets it for faces that others tell apart: between
pictures that the encoder of `mini` finds equally like their reference, it cannot choose. A model folder may
therefore bring a second `FaceEncoder`, which compares and does nothing else. Models without one are compared by
their own encoder.

It may be packed, its weights in int8 (`weights.quantized`):

    python -m gen.recognition runs/recognizer/export weights/mini/recognizer
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save

from gen import atomic
from pipelines.portrait.encoder import FaceEncoder
from pipelines.portrait.references import frame_pixels
from weights import quantized

FOLDER = "recognizer"
_CONFIG, _WHOLE = "config.json", "diffusion_pytorch_model.safetensors"


def load(model: Path) -> torch.nn.Module | None:
    """Load the recognizer of a model folder, packed or as `FaceEncoder` saves it; None where it has none."""
    folder = model / FOLDER
    if not folder.is_dir():
        return None
    if not (folder / quantized.FILE).is_file():
        return FaceEncoder.from_pretrained(folder, torch_dtype=torch.float32).eval()
    config: Any = FaceEncoder.load_config(folder)
    encoder = FaceEncoder.from_config(config)
    encoder.load_state_dict(quantized.unpack(load_file(folder / quantized.FILE)))
    return encoder.eval()


def digest(model: Path) -> str:
    """SHA-256 of the recognizer's weights, of the file that `load` reads; "" where there is none."""
    files = [model / FOLDER / name for name in (quantized.FILE, _WHOLE)]
    return next((atomic.sha256(file) for file in files if file.is_file()), "")


def pack(source: Path, out: Path) -> None:
    """Write a saved `FaceEncoder` packed, in the place of the one in `out` if there is one.

    Raises:
        ValueError: `out` is `source`, whose exact weights would be lost.
    """
    if source.resolve() == out.resolve():
        raise ValueError(f"{out}: to be packed into another folder, int8 does not keep the exact weights")
    packed = quantized.pack(load_file(source / _WHOLE))
    atomic.write_bytes(out / quantized.FILE, save(packed, metadata={"format": "pt"}))
    atomic.write_bytes(out / _CONFIG, (source / _CONFIG).read_bytes())
    (out / _WHOLE).unlink(missing_ok=True)


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


def main() -> None:
    """Pack a trained recognizer into the folder of a model."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("source", type=Path, help="saved FaceEncoder, e.g. runs/recognizer/export")
    parser.add_argument("out", type=Path, help="folder to write, e.g. weights/mini/recognizer")
    arguments = parser.parse_args()
    pack(arguments.source, arguments.out)


if __name__ == "__main__":
    main()
