"""A head from all sides, drawn without a graphics library: what a page shows where a viewer cannot."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from faces.provenance import Provenance, save_image
from faces.provenance import save_animation as save_frames
from pipelines.texture.camera import HeadCamera, as_array
from pipelines.texture.rasterizer import render

if TYPE_CHECKING:
    from pipelines.texture.template import HeadTemplate

YAWS = (-60.0, -30.0, 0.0, 30.0, 60.0)
"""Degrees of a strip; positive turns the face to the right of the image."""


def turntable(
    vertices: np.ndarray,
    template: HeadTemplate,
    texture: np.ndarray,
    *,
    yaws: Sequence[float] = YAWS,
    pitch: float = 0.0,
    size: int = 256,
    light: Sequence[float] | None = None,
    background: Sequence[float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """Draw a head at several angles, all at one scale.

    Args:
        vertices: (V, 3) dm.
        template: the `HeadTemplate` whose triangles and texture coordinates these are.
        texture: (s, s, 3) uint8, or floats in 0..1.
        yaws: degrees, positive turns the face to the right of the image.
        pitch: degrees, positive turns it upwards.
        size: side of each picture in pixels.
        light: direction (3,) towards a far light in the axes of the camera; None draws the texture unlit.
        background: colour (3,) in 0..1.

    Returns:
        (n, size, size, 3) uint8.

    Raises:
        ValueError: no yaws.
    """
    if not len(yaws):
        raise ValueError("yaws: none given; give at least one angle in degrees")
    colours = texture.astype(np.float32) / 255 if texture.dtype == np.uint8 else texture
    triangles, uv = as_array(template.triangles), as_array(template.uv)
    pictures = []
    for yaw in yaws:
        camera = HeadCamera.portrait(vertices, size, yaw=yaw, pitch=pitch)
        drawn = render(vertices, triangles, uv, colours, camera, light=light, background=background)
        pictures.append(np.rint(drawn.picture.clip(0, 1) * 255).astype(np.uint8))
    return np.stack(pictures)


def save_strip(pictures: np.ndarray, path: str | os.PathLike[str], provenance: Provenance) -> Path:
    """Write pictures (n, h, w, 3) uint8 side by side as one, with the record of how they were made."""
    return save_image(np.concatenate(list(pictures), axis=1), path, provenance)


def save_animation(
    pictures: np.ndarray, path: str | os.PathLike[str], provenance: Provenance, *, seconds: float = 0.1
) -> Path:
    """Write pictures (n, h, w, 3) uint8 as an animation that turns forth and back, with their record.

    Args:
        pictures: in the order in which the head turns.
        path: .webp or .gif; the folder exists.
        provenance: how they were made.
        seconds: how long each is shown.

    Raises:
        ValueError: another suffix.
    """
    return save_frames([*pictures, *pictures[-2:0:-1]], path, provenance, seconds=seconds)
