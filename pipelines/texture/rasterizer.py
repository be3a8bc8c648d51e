"""A z-buffer for the mesh of a head, without a graphics library; `faces.rasterizer` finds the triangles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from faces.rasterizer import cover
from pipelines.texture.camera import HeadCamera, as_size

_NEAR = 1e-3
"""dm; triangles that reach nearer to the camera are left out."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Raster:
    """What each pixel of a picture sees of a mesh."""

    triangles: np.ndarray
    """(h, w) int32, the nearest triangle, -1 for none."""
    weights: np.ndarray
    """(h, w, 3) float32, how much of each corner of the triangle, in space and not on the picture; 0 for none."""
    depth: np.ndarray
    """(h, w) float32 dm along the camera's axis, inf for none."""

    @property
    def mask(self) -> np.ndarray:
        """(h, w) bool, where a triangle is seen."""
        return self.triangles >= 0

    def interpolate(self, values: np.ndarray, triangles: np.ndarray) -> np.ndarray:
        """Bring values of vertices (V, c) of triangles (F, 3) to the pixels that see them, (seen, c) in row order."""
        return blend_corners(values, triangles[self.triangles[self.mask]], self.weights[self.mask])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rendering:
    """A picture of a textured mesh."""

    picture: np.ndarray
    """(h, w, 3) float32 in 0..1."""
    mask: np.ndarray
    """(h, w) float32 in 0..1, how much of a pixel the mesh covers."""


def rasterize(
    vertices: np.ndarray,
    triangles: np.ndarray,
    camera: HeadCamera,
    size: int | Sequence[int] | None = None,
    *,
    cull: bool = True,
) -> Raster:
    """Find the nearest triangle of each pixel's centre.

    Args:
        vertices: (V, 3) dm.
        triangles: (F, 3) indices, counter-clockwise from outside.
        camera: where from.
        size: side, or width and height; the camera's own unless given.
        cull: leave out triangles that turn away from the camera.
    """
    camera = camera if size is None else camera.scaled(size)
    width, height = camera.size
    pixels, depth = camera.project(np.asarray(vertices, np.float64))
    corners, inverse = pixels[triangles], 1 / np.maximum(depth, _NEAR)[triangles]  # (F, 3, 2), (F, 3)
    turned = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    kept = (depth[triangles] > _NEAR).all(1)
    if cull:  # with y downwards a triangle that faces the camera runs clockwise in numbers
        kept &= turned < 0
    faces = np.flatnonzero(kept)
    # 1 / depth is linear on the picture.
    found, weights = cover(corners[faces], (height, width), inverse[faces])
    seen = found >= 0
    scaled = np.zeros((height, width, 3))
    scaled[seen] = weights[seen] * inverse[faces[found[seen]]]
    closeness = scaled.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(seen[..., None], scaled / closeness[..., None], 0).astype(np.float32)
        distance = np.where(seen, 1 / closeness, np.inf).astype(np.float32)
    hit = np.full((height, width), -1, np.int32)
    hit[seen] = faces[found[seen]]
    return Raster(triangles=hit, weights=weights, depth=distance)


def render(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uv: np.ndarray,
    texture: np.ndarray,
    camera: HeadCamera,
    size: int | Sequence[int] | None = None,
    *,
    light: Sequence[float] | None = None,
    background: Sequence[float] = (0.0, 0.0, 0.0),
    samples: int = 2,
) -> Rendering:
    """Draw a textured mesh.

    Args:
        vertices: (V, 3) dm.
        triangles: (F, 3) indices, counter-clockwise from outside.
        uv: (V, 2) in 0..1, (0, 0) the top-left corner of the texture.
        texture: (s, s, 3) float in 0..1.
        camera: where from.
        size: side, or width and height; the camera's own unless given.
        light: direction (3,) towards a far light in the axes of the camera; None draws the texture unlit.
        background: colour (3,) in 0..1 of what the mesh does not cover.
        samples: a pixel's colour is the mean of `samples` x `samples` places in it.
    """
    width, height = as_size(camera.size if size is None else size)
    fine = (width * samples, height * samples)
    raster = rasterize(vertices, triangles, camera, fine)
    mask = raster.mask
    colours = sample_bilinear(texture, raster.interpolate(uv, triangles) * texture.shape[1::-1])
    if light is not None:
        normals = raster.interpolate(vertex_normals(vertices, triangles), triangles)
        colours = colours * _lambert(normals @ camera.rotation.T, light)[:, None]
    picture = np.empty((*mask.shape, 3), np.float32)
    picture[:] = background
    picture[mask] = colours
    return Rendering(
        picture=_averaged(picture, samples),
        mask=_averaged(mask[..., None].astype(np.float32), samples)[..., 0],
    )


def blend_corners(values: np.ndarray, corners: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted sum of values of vertices (V, c) over corners (..., 3) with weights (..., 3): (..., c)."""
    return np.einsum("...k,...kc->...c", weights, values[corners])


def sample_bilinear(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Read an image (h, w, c) at points (n, 2) px, the centre of the first pixel at 0.5; edges are repeated."""
    height, width = image.shape[:2]
    x = np.clip(points[:, 0] - 0.5, 0, width - 1)
    y = np.clip(points[:, 1] - 0.5, 0, height - 1)
    left, top = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = (x - left)[:, None], (y - top)[:, None]
    upper = image[top, left] * (1 - across) + image[top, right] * across
    lower = image[bottom, left] * (1 - across) + image[bottom, right] * across
    return (upper * (1 - down) + lower * down).astype(np.float32)


def vertex_normals(
    vertices: np.ndarray, triangles: np.ndarray, originals: np.ndarray | None = None
) -> np.ndarray:
    """Unit normals (V, 3) of vertices (V, 3), the mean of the triangles around, weighed by area; outwards.

    Args:
        vertices: (V, 3).
        triangles: (F, 3), counter-clockwise from outside.
        originals: (V,) for vertices that a seam split, the index of the one they were: they get one normal.
    """
    corners = vertices[triangles]
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owner = triangles if originals is None else originals[triangles]
    summed = np.stack(
        [np.bincount(owner.ravel(), np.repeat(flat[:, axis], 3), len(vertices)) for axis in range(3)], axis=1
    )
    summed = summed if originals is None else summed[originals]
    length = np.linalg.norm(summed, axis=1, keepdims=True)
    return summed / np.maximum(length, 1e-12)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _lambert(normals: np.ndarray, light: Sequence[float], ambient: float = 0.45) -> np.ndarray:
    direction = np.asarray(light, np.float64) / np.linalg.norm(light)
    unit = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return ambient + (1 - ambient) * np.clip(unit @ direction, 0, 1)


def _averaged(image: np.ndarray, samples: int) -> np.ndarray:
    height, width, channels = image.shape
    blocks = image.reshape(height // samples, samples, width // samples, samples, channels)
    return np.ascontiguousarray(blocks.mean((1, 3)))
