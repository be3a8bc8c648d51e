"""What a call of the texture pipeline is given: photographs with the heads in them, or textures known in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from pipelines.texture.camera import as_array
from pipelines.texture.fitting import HeadFit
from pipelines.texture.layout import LayoutMismatch, UVLayout
from pipelines.texture.template import HeadTemplate
from pipelines.texture.unwrapping import PartialTexture


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FittedPhoto:
    """A photograph, and the head in it."""

    photo: np.ndarray
    """(h, w, 3) uint8."""
    parsing: np.ndarray
    """(h, w) uint8 ids of `vocabulary.PARSING`; background beyond the face's frame."""
    fit: HeadFit
    """In pixels of the photograph."""
    margin: float
    """Pixels by which the parsing may err."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadMesh:
    """The mesh that a texture belongs to."""

    vertices: np.ndarray
    """(V, 3) float32 dm in the order of the template."""
    triangles: np.ndarray
    """(F, 3) vertices, counter-clockwise from outside."""
    uv: np.ndarray
    """(V, 2) in 0..1, v down."""
    mesh_id: str
    """Names topology and texture coordinates."""
    fit: HeadFit | None
    """Shape and camera of the photograph; None for the mean head, where only a texture was given."""

    @classmethod
    def of(cls, template: HeadTemplate, fit: HeadFit | None = None) -> HeadMesh:
        """The head of a fit, or the template's mean."""
        vertices = as_array(template.mean) if fit is None else fit.vertices
        return cls(
            vertices=vertices.astype(np.float32),
            triangles=as_array(template.triangles),
            uv=as_array(template.uv),
            mesh_id=template.config.mesh_id,
            fit=fit,
        )


def as_list(value: Any) -> list[Any]:
    """One thing or a list or tuple of them, as a list."""
    return list(value) if isinstance(value, list | tuple) else [value]


def read_partials(
    texture: Any, visibility: Any, layout: UVLayout, given: UVLayout | None
) -> list[PartialTexture]:
    """Check textures that are known in part.

    Args:
        texture: one or a list: (s, s, 3) uint8 or floats in 0..1, a tensor (3, s, s) of such, or a PIL image.
        visibility: one or a list: (s, s) in 0..1 or bool, how well a texel is known.
        layout: the pipeline's.
        given: what layout the textures say they have; None where they do not.

    Raises:
        LayoutMismatch: another layout, or textures of another size.
        ValueError: no visibility, lists of other lengths, or values out of range or not finite.
    """
    if visibility is None:
        raise ValueError("visibility: missing; a texture needs to be told which of its texels are known")
    if given is not None:
        layout.require(given)
    textures, weights = as_list(texture), as_list(visibility)
    if not textures or len(textures) != len(weights):
        raise ValueError(
            f"visibility: {len(weights)} for {len(textures)} textures, expected one of each at least"
        )
    return [_read_partial(*pair, layout) for pair in zip(textures, weights, strict=True)]


def _read_partial(texture: Any, visibility: Any, layout: UVLayout) -> PartialTexture:
    side = (layout.size, layout.size)
    weight = as_array(visibility)
    if weight.shape != side:
        raise LayoutMismatch(f"visibility {weight.shape}: expected {side} for the layout {layout.mesh_id!r}")
    if not (np.isfinite(weight).all() and weight.min() >= 0 and weight.max() <= 1):
        raise ValueError("visibility: expected finite numbers in 0..1")
    weight = np.where(layout.valid, weight, 0).astype(np.float32)

    pixels = _pixels(texture)
    if pixels.shape != (*side, 3):
        raise LayoutMismatch(
            f"texture {pixels.shape}: expected {(*side, 3)} for the layout {layout.mesh_id!r}"
        )
    colours = pixels.astype(np.float32) / 255 if pixels.dtype == np.uint8 else pixels.astype(np.float32)
    known = colours[weight > 0]
    if known.size and not (np.isfinite(known).all() and known.min() >= 0 and known.max() <= 1):
        raise ValueError("texture: expected finite numbers in 0..1 wherever the visibility is above 0")
    return PartialTexture(texture=np.where(weight[..., None] > 0, colours, 0), weight=weight)


def _pixels(texture: Any) -> np.ndarray:
    if isinstance(texture, Image.Image):
        return np.asarray(texture.convert("RGB"))
    array = as_array(texture)
    if isinstance(texture, torch.Tensor) and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"texture of {array.dtype}: expected uint8, or floats in 0..1")
    return array


def stacked(partials: Sequence[PartialTexture]) -> tuple[torch.Tensor, torch.Tensor]:
    """Known texels (n, 3, s, s) in [-1, 1] and their weights (n, 1, s, s), for the denoiser."""
    colours = torch.from_numpy(np.stack([partial.texture for partial in partials])).movedim(-1, 1)
    weights = torch.from_numpy(np.stack([partial.weight for partial in partials]))
    return colours * 2 - 1, weights[:, None]
