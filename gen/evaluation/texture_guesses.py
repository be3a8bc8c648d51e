"""What a hidden texel is guessed to be without a trained denoiser: the baselines of the texture task."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from scipy import ndimage

from pipelines.texture.guesses import SEEN, fitted_mean, mirrored

if TYPE_CHECKING:
    from pipelines.texture.layout import UVLayout
    from pipelines.texture.manifold import TextureManifold

GUESSES = {
    "mean": "the mean texture",
    "fitted": "the colour-fitted mean",
    "mirror": "the mirror image, else the colour-fitted mean",
    "harmonised": "the mirror image harmonised with its surroundings, else the colour-fitted mean",
    "telea": "inpainting (Telea 2004)",
    "pca": "the PCA fit",
}
"""Name -> what it is."""
_TELEA_REACH = 4
_HARMONY = 6.0
"""Texels within which colours of the seen side go over into the mirrored one."""


def guesses(
    known: torch.Tensor, weight: torch.Tensor, manifold: TextureManifold, layout: UVLayout
) -> dict[str, torch.Tensor]:
    """Guess whole textures by every baseline.

    Args:
        known: (n, 3, s, s) in [-1, 1], 0 where nothing is known.
        weight: (n, 1, s, s) in 0..1.
        manifold: of the pipeline, made of its training set.
        layout: of s texels.

    Returns:
        (n, 3, s, s) each, by the names of `GUESSES`.
    """
    size = layout.size
    mean = manifold.mean_texture(size)
    fitted = fitted_mean(mean, known, weight)
    return {
        "mean": mean.expand_as(known),
        "fitted": fitted,
        "mirror": mirrored(known, weight, fitted, layout),
        "harmonised": _harmonised(known, weight, fitted, layout),
        "telea": _telea(known, weight, layout),
        "pca": manifold.decode(manifold.fit(known, weight), size),
    }


def _harmonised(
    known: torch.Tensor, weight: torch.Tensor, fitted: torch.Tensor, layout: UVLayout
) -> torch.Tensor:
    """The mirror image, shifted by how the seen sides differ from it where they meet and falling off from there."""
    guess = mirrored(known, weight, fitted, layout)
    seen = (weight >= SEEN)[:, 0].numpy()
    difference = (known - guess).numpy()
    out = guess.clone()
    for number, own in enumerate(seen):
        if not own.any():
            continue
        near = ndimage.distance_transform_edt(~own, return_indices=True)
        assert isinstance(near, tuple)
        away, place = near
        smooth = cv2.GaussianBlur(difference[number].transpose(1, 2, 0) * own[..., None], (0, 0), _HARMONY)
        share = cv2.GaussianBlur(own.astype(np.float32), (0, 0), _HARMONY)[..., None]
        shift = (smooth / np.maximum(share, 1e-6))[place[0], place[1]]
        falling = np.exp(-away / _HARMONY)[..., None]
        out[number] += torch.from_numpy((shift * falling).transpose(2, 0, 1).astype(np.float32))
    return out


def _telea(known: torch.Tensor, weight: torch.Tensor, layout: UVLayout) -> torch.Tensor:
    pictures = ((known / 2 + 0.5).clamp(0, 1).movedim(1, -1).numpy() * 255).round().astype(np.uint8)
    holes = ((weight[:, 0].numpy() < SEEN) & layout.valid).astype(np.uint8)
    filled = [
        cv2.inpaint(np.ascontiguousarray(picture), hole, _TELEA_REACH, cv2.INPAINT_TELEA)
        for picture, hole in zip(pictures, holes, strict=True)
    ]
    return torch.from_numpy(np.stack(filled)).movedim(-1, 1).float() / 127.5 - 1
