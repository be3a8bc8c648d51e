"""What portrait training reads: latents, identity features and part masks of every head, computed once.

Every head is drawn as it is and mirrored, but serves as a reference on one side only (`reference_side`): features of
a reference cost six passes of the image encoder, latents one of the autoencoder.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from faces import vocabulary
from faces.networks import network_input
from train.data.cache import ArrayCache, write_cache
from train.data.heads import HeadArrays

_GRID = 16


@dataclass(frozen=True, slots=True)
class PortraitData:
    """Heads with what is cached of them."""

    heads: HeadArrays
    latents: ArrayCache
    references: ArrayCache

    def __len__(self) -> int:
        return len(self.heads)


def latent_cache(heads: HeadArrays, folder: Path, vae, mirror: bool = True, batch: int = 32) -> ArrayCache:
    """What is drawn: latents and part masks of all heads, as they are and, if asked, mirrored (axis 1).

    Args:
        heads: the renders.
        folder: where the cache lies.
        vae: frozen autoencoder whose config holds latents_mean and latents_std.
        mirror: whether mirrored heads are wanted.
        batch: heads at a time.

    Returns:
        For k sides, arrays latents (k, c, 16, 16) f16 and part_masks (k, 5, 16, 16) u8 of 0..255.
    """
    device = next(vae.parameters()).device
    mean = torch.tensor(vae.config.latents_mean).view(1, -1, 1, 1)
    std = torch.tensor(vae.config.latents_std).view(1, -1, 1, 1)

    def make(indices: range) -> dict[str, np.ndarray]:
        sides = [_side(heads, indices, mirrored) for mirrored in ((False, True) if mirror else (False,))]
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            latents = [
                vae.encode(network_input(torch.from_numpy(image).to(device))).latent_dist.mean.float().cpu()
                for image, _ in sides
            ]
        return {
            "latents": torch.stack([(x - mean) / std for x in latents], dim=1).half().numpy(),
            "part_masks": np.stack([part_masks(parsing) for _, parsing in sides], axis=1),
        }

    return write_cache(folder, _source(heads, mirror, vae.encoder), len(heads), make, batch_size=batch)


def reference_cache(
    heads: HeadArrays, folder: Path, image_encoder, encode_parts, mirror: bool = True, batch: int = 32
) -> ArrayCache:
    """Who is drawn: features of all heads as references, each on its own side (`reference_side`).

    Args:
        heads: the renders.
        folder: where the cache lies.
        image_encoder: frozen vision tower.
        encode_parts: (images (n, s, s, 3) uint8, parsing (n, s, s)) -> object with id_embeds (n, e), clip_states
            (n, t, c), part_states (n, 5, t, c), part_valid (n, 5): `PortraitPipeline`'s own.
        mirror: whether every other reference is mirrored.
        batch: heads at a time.

    Returns:
        Arrays id_embeds (e,) f16, clip_states (t, c) f16, part_states (5, t, c) f16 and part_valid (5,) bool.
    """

    def make(indices: range) -> dict[str, np.ndarray]:
        sides = [_side(heads, indices, mirrored) for mirrored in ((False, True) if mirror else (False,))]
        chosen = [reference_side(index, mirror) for index in indices]
        image, parsing = (
            np.stack([sides[side][kind][row] for row, side in enumerate(chosen)]) for kind in (0, 1)
        )
        device = next(image_encoder.parameters()).device
        with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
            features = encode_parts(image, parsing)
        return {
            "id_embeds": features.id_embeds.float().half().cpu().numpy(),
            "clip_states": features.clip_states.float().half().cpu().numpy(),
            "part_states": features.part_states.float().half().cpu().numpy(),
            "part_valid": features.part_valid.cpu().numpy(),
        }

    return write_cache(folder, _source(heads, mirror, image_encoder), len(heads), make, batch_size=batch)


def _source(heads: HeadArrays, mirror: bool, network: torch.nn.Module) -> dict[str, Any]:
    shards = [tar.name for tar in heads.shards.shards]
    return {"heads": shards, "count": len(heads), "mirror": mirror, "network": _digest(network)}


def reference_side(index: int, mirror: bool = True) -> int:
    """Side on which a head serves as a reference: 0 as it is, 1 mirrored; every other head is mirrored."""
    return index % 2 if mirror else 0


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
        digest.update(name.encode() + value.detach().float().cpu().numpy().tobytes())
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
