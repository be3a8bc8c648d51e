"""What portrait training reads: latents, identity features and part masks of every head, computed once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from faces import vocabulary
from train.data.cache import ArrayCache, write_cache
from train.data.heads import HeadArrays

_GRID = 16


def portrait_cache(
    heads: HeadArrays, folder: Path, vae, image_encoder, encode_parts, mirror: bool = True, batch: int = 32
) -> ArrayCache:
    """Latents and features of all heads, as they are and, if asked, mirrored (axis 1: 0 as is, 1 mirrored).

    Args:
        heads: the renders.
        folder: where the cache lies.
        vae: frozen autoencoder whose config holds latents_mean and latents_std.
        image_encoder: frozen vision tower.
        encode_parts: (images (n, s, s, 3) uint8, parsing (n, s, s)) -> object with id_embeds (n, e), clip_states
            (n, t, c), part_states (n, 5, t, c), part_valid (n, 5): `PortraitPipeline`'s own.
        mirror: whether mirrored heads are wanted; they double time and size.
        batch: heads at a time.

    Returns:
        For k sides, arrays latents (k, c, 16, 16) f16, id_embeds (k, e) f16, clip_states (k, t, c) f16, part_states
        (k, 5, t, c) f16, part_valid (k, 5) bool, part_masks (k, 5, 16, 16) u8 of 0..255.
    """
    source = {
        "heads": [tar.name for tar in heads.shards.shards],
        "count": len(heads),
        "mirror": mirror,
        "vae": _digest(vae.encoder),
        "encoder": _digest(image_encoder),
    }
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1)

    def make(indices: range) -> dict[str, np.ndarray]:
        sides = [_side(heads, indices, mirrored) for mirrored in ((False, True) if mirror else (False,))]
        columns: dict[str, list[np.ndarray]] = {}
        for image, parsing in sides:
            pixels = torch.from_numpy(image).permute(0, 3, 1, 2).float() / 127.5 - 1
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                latents = vae.encode(pixels).latent_dist.mean.float()
                features = encode_parts(image, parsing)
            row = {
                "latents": ((latents - mean) / std).half(),
                "id_embeds": features.id_embeds.float().half(),
                "clip_states": features.clip_states.float().half(),
                "part_states": features.part_states.float().half(),
                "part_valid": features.part_valid,
                "part_masks": torch.from_numpy(part_masks(parsing)),
            }
            for name, value in row.items():
                columns.setdefault(name, []).append(value.numpy())
        return {name: np.stack(values, axis=1) for name, values in columns.items()}

    return write_cache(folder, source, len(heads), make, batch_size=batch)


def part_masks(parsing: np.ndarray) -> np.ndarray:
    """Share of each latent cell that a facial part covers, (n, s, s) -> (n, 5, 16, 16) uint8 0..255."""
    stack = np.stack([np.isin(parsing, ids) for ids in vocabulary.PARTS.values()], axis=1)
    cells = functional.adaptive_avg_pool2d(torch.from_numpy(stack).float(), _GRID)
    return (cells * 255).round().byte().numpy()


def _side(heads: HeadArrays, indices: range, mirrored: bool) -> tuple[np.ndarray, np.ndarray]:
    image, parsing = heads.image[indices.start : indices.stop], heads.parsing[indices.start : indices.stop]
    if mirrored:
        return np.ascontiguousarray(image[:, :, ::-1]), vocabulary.flip_parsing(parsing)
    return np.ascontiguousarray(image), np.ascontiguousarray(parsing)


def _digest(module: torch.nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode() + value.detach().float().numpy().tobytes())
    return digest.hexdigest()


_MIRRORED_POSE = {"left": "right", "slightly left": "slightly right", "frontal": "frontal",
                  "slightly right": "slightly left", "right": "left"}  # fmt: skip


def mirrored_labels(labels: dict) -> dict:
    """Labels of the mirrored picture: pose, angles and sided action units change sides."""
    units = {}
    for name, value in labels["au"].items():
        swap = {"L": "R", "R": "L"}.get(name[-1])
        units[name[:-1] + swap if swap else name] = value
    return labels | {
        "au": units,
        "yaw": -labels["yaw"],
        "roll": -labels["roll"],
        "pose": _MIRRORED_POSE[labels["pose"]],
    }
