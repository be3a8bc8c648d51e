"""Pictures of how a texture was completed: what the photograph shows, where each texel comes from, and the head.

A sheet has a row a photograph: photo, what it shows of the texture, the completed one, provenance, and the head turned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from faces import alignment
from mien.tiles import tiled, write
from pipelines.texture.camera import as_array
from pipelines.texture.provenance import ORIGIN_COLOURS, TexelOrigin, draw_origins
from pipelines.texture.turntable import turntable

if TYPE_CHECKING:
    from pipelines.texture.pipeline import TextureOutput
    from pipelines.texture.template import HeadTemplate

YAWS = (-45.0, 0.0, 45.0)
"""Degrees by which the head of a row is turned."""
_WORDS = {
    TexelOrigin.SEEN: "seen in the photograph",
    TexelOrigin.MIRRORED: "generated after its mirror image",
    TexelOrigin.GENERATED: "generated",
}
_OUTSIDE = (255, 255, 255)
_HIDDEN = (204, 204, 204)
"""Where a photograph shows nothing of a texture."""
_SIDE = 224
"""Pixels of a tile."""
_MAP = 448
"""Least side of a map of provenance, in pixels."""
_MARGIN = 0.08
"""Around the head in the photograph, as a share of its height or width."""
_LINE, _SWATCH = 20, 12


def texel_shares(origins: np.ndarray, valid: np.ndarray | None = None) -> dict[str, float]:
    """Tell which shares of the texels are "seen", "mirrored" and "generated"; they add up to 1.

    Args:
        origins: (s, s) values of `TexelOrigin`.
        valid: (s, s) bool, the texels that the layout has; all of them unless given.
    """
    counted = origins if valid is None else origins[valid]
    return {origin.name.lower(): float((counted == origin).mean()) for origin in ORIGIN_COLOURS}


def provenance_picture(origins: np.ndarray, valid: np.ndarray | None = None) -> np.ndarray:
    """Draw where each texel comes from, with a legend that tells the shares.

    Args:
        origins: (s, s) values of `TexelOrigin`.
        valid: (s, s) bool, the texels that the layout has; others stay white.

    Returns:
        (h, w, 3) uint8, w a multiple of s of 448 pixels at least.
    """
    drawn = draw_origins(origins, valid)
    side = len(origins) * -(-_MAP // len(origins))
    large = cv2.resize(drawn, (side, side), interpolation=cv2.INTER_NEAREST)
    return np.vstack([large, legend(side, texel_shares(origins, valid))])


def legend(width: int, shares: dict[str, float] | None = None) -> np.ndarray:
    """Say what the colours of provenance mean, (h, width, 3) uint8, in one line where it is wide enough.

    Args:
        width: pixels.
        shares: of `texel_shares`, written behind each name where given.
    """
    texts = [
        word if shares is None else f"{word} {shares[origin.name.lower()]:.0%}"
        for origin, word in _WORDS.items()
    ]
    spans = [cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.42, 1)[0][0] + 3 * _SWATCH for text in texts]
    beside = sum(spans) + 4 <= width
    drawn = np.full((_LINE * (1 if beside else len(texts)) + 4, width, 3), 255, np.uint8)
    for number, (origin, text) in enumerate(zip(_WORDS, texts, strict=True)):
        x, y = (4 + sum(spans[:number]), 4) if beside else (4, 4 + _LINE * number)
        drawn[y : y + _SWATCH, x : x + _SWATCH] = ORIGIN_COLOURS[origin]
        write(drawn, text, x + _SWATCH + 6, y + _SWATCH - 2)
    return drawn


def partial_picture(made: TextureOutput, index: int = 0) -> np.ndarray:
    """What a photograph shows of a texture, (s, s, 4) uint8: the more transparent, the less well."""
    colours = np.concatenate([made.partial[index], made.visibility[index][..., None]], axis=-1)
    return np.rint(colours.clip(0, 1) * 255).astype(np.uint8)


def tiles(photo: np.ndarray, made: TextureOutput, index: int, template: HeadTemplate) -> list[np.ndarray]:
    """Draw the tiles of a row, (224, 224, 3) uint8 each; arguments as of `row`."""
    texture, mesh = completed(made, index), made.mesh[index]
    if mesh.fit is None:
        raise ValueError("a row shows the photograph of a head; this texture was completed without one")
    valid = template.layout(len(texture)).valid
    partial = partial_picture(made, index).astype(np.float32)
    opacity = partial[..., 3:] / 255
    ground = np.where(valid[..., None], _HIDDEN, _OUTSIDE)
    shown = np.rint(opacity * partial[..., :3] + (1 - opacity) * ground).astype(np.uint8)
    places, _ = mesh.fit.camera.project(mesh.vertices)
    return [
        alignment.warp(photo, _around(places), (_SIDE, _SIDE), outside=255.0),
        _sized(shown),
        _sized(texture),
        _sized(draw_origins(made.provenance[index], valid)),
        *turntable(mesh.vertices, template, texture, yaws=YAWS, size=_SIDE),
    ]


def sheet(rows: Sequence[list[np.ndarray]], down: list[str] | None = None) -> np.ndarray:
    """Lay out rows of `tiles` under their headings, with a legend below; `down` names the rows."""
    turned = [f"turned {yaw:+g}" if yaw else "from the front" for yaw in YAWS]
    above = tiled(list(rows), ["photo", "partial", "completed", "provenance", *turned], down)
    return np.vstack([above, np.full((4, above.shape[1], 3), 255, np.uint8), legend(above.shape[1])])


def row(photo: np.ndarray, made: TextureOutput, index: int, template: HeadTemplate) -> np.ndarray:
    """Draw how one texture was completed: photo, partial, completed, provenance and the head turned.

    Args:
        photo: (h, w, 3) uint8, that of the texture.
        made: what a call of the pipeline returned.
        index: which of its textures.
        template: of the pipeline.

    Returns:
        (h, w, 3) uint8.

    Raises:
        ValueError: a texture that was completed without a photograph.
    """
    return sheet([tiles(photo, made, index, template)])


def completed(made: TextureOutput, index: int = 0) -> np.ndarray:
    """A completed texture of any output type, (s, s, 3) uint8."""
    texture: Any = made.texture[index]
    array = as_array(texture)
    if array.shape[-1] != 3:  # a tensor, channels first
        array = np.moveaxis(array, 0, -1)
    return array if array.dtype == np.uint8 else np.rint(array.clip(0, 1) * 255).astype(np.uint8)


def _around(places: np.ndarray) -> np.ndarray:
    """From pixels of a photograph to those of a tile around points (n, 2) of the head in it, (2, 3)."""
    low, high = places.min(axis=0), places.max(axis=0)
    scale = _SIDE / ((1 + 2 * _MARGIN) * float((high - low).max()))
    shift = _SIDE / 2 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)


def _sized(picture: np.ndarray) -> np.ndarray:
    method = cv2.INTER_AREA if len(picture) > _SIDE else cv2.INTER_LINEAR
    return cv2.resize(picture, (_SIDE, _SIDE), interpolation=method)
