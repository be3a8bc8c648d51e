"""From a rendered picture back to texture space."""

from __future__ import annotations

import numpy as np

from faces.head.renderer import HeadImage


def unwrap(image: HeadImage, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Scatter the pixels of a rendered body into its skin layout.

    Args:
        image: a rendered head.
        size: of the square texture in texels.

    Returns:
        (size, size, 3) float32 texture 0..255, rows from the top, and (size, size) float32 weights; a texel of
        weight 0 was not seen.
    """
    inside = image.body & _facing(image)
    places = image.uv[inside] * size - 0.5
    colours = image.rgb[inside].astype(np.float32)
    low = np.floor(places).astype(int)
    share = places - low
    texture, weights = np.zeros((size * size, 3), np.float32), np.zeros(size * size, np.float32)
    for dx in (0, 1):
        for dy in (0, 1):
            column, row = low[:, 0] + dx, low[:, 1] + dy
            weight = np.abs(1 - dx - share[:, 0]) * np.abs(1 - dy - share[:, 1])
            kept = (column >= 0) & (column < size) & (row >= 0) & (row < size)
            index = row[kept] * size + column[kept]
            np.add.at(texture, index, colours[kept] * weight[kept, None])
            np.add.at(weights, index, weight[kept])
    seen = weights > 1e-3
    texture[seen] /= weights[seen, None]
    texture[~seen] = 0
    return texture.reshape(size, size, 3), np.where(seen, weights, 0).reshape(size, size)


def _facing(image: HeadImage, least: float = 0.35) -> np.ndarray:
    """Surfaces seen at a usable angle; grazing ones smear many texels into one pixel."""
    return image.normals[..., 2] > least
