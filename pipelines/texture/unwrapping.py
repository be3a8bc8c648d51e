"""From a picture to the part of a head's texture that it shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from faces import vocabulary
from pipelines.texture.camera import HeadCamera, as_array
from pipelines.texture.rasterizer import Raster, blend_corners, rasterize, sample_bilinear, vertex_normals

if TYPE_CHECKING:
    from pipelines.texture.layout import UVLayout
    from pipelines.texture.template import HeadTemplate

STEEPEST, FULLY_SEEN = math.cos(math.radians(75)), math.cos(math.radians(30))
"""Cosine of the angle between surface and view below which nothing is seen, and above which all of it is."""
_RASTER = 512
"""Longest side in pixels at which occlusion is tested, whatever the picture's."""
_GAP = 0.02
"""dm between surfaces that hide one another, beside what a slanted one spans within a pixel."""
_SKIN = ("skin", "l_brow", "r_brow", "l_ear", "r_ear", "nose", "u_lip", "l_lip", "neck")
_INSIDES = {"eyes": ("l_eye", "r_eye"), "mouth": ("mouth",)}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PartialTexture:
    """A texture of which only a part is known."""

    texture: np.ndarray
    """(s, s, 3) float32 in 0..1, 0 where the weight is 0."""
    weight: np.ndarray
    """(s, s) float32 in 0..1, 0 for what is hidden and 1 for what faces the camera."""


def unwrap(
    picture: np.ndarray,
    vertices: np.ndarray,
    template: HeadTemplate,
    camera: HeadCamera,
    layout: UVLayout,
    parsing: np.ndarray | None = None,
    *,
    insides: Sequence[str] = (),
    margin: float = 0.0,
) -> PartialTexture:
    """Read the texture of a head from a picture of it.

    Args:
        picture: (h, w, 3) uint8, or floats in 0..1.
        vertices: (V, 3) dm, such as `HeadFit.vertices`.
        template: the `HeadTemplate` whose triangles and texels these are.
        camera: in pixels of the picture.
        layout: a `UVLayout` of the template, of the texture's size.
        parsing: (h, w) ids of `vocabulary.PARSING`; what is no skin there, such as hair or glasses, is not read.
        insides: "eyes", "mouth": what is seen there is read too, where there is a parsing.
        margin: pixels from what is no skin within which nothing is read: as far as the parsing may err.

    Raises:
        ValueError: a picture or parsing of another size than the camera's.
    """
    colours = _colours(picture, camera)
    weight = visibility(vertices, template, camera, layout)
    seen = weight > 0
    pixels, _ = camera.project(_texel_points(vertices, template, layout.size)[seen])
    if parsing is not None:
        weight[seen] *= _permitted(parsing, pixels, camera, insides, margin)
    texture = np.zeros((layout.size, layout.size, 3), np.float32)
    texture[seen] = _sample(colours, pixels, seen)
    texture[weight == 0] = 0
    return PartialTexture(texture=texture, weight=weight)


def visibility(
    vertices: np.ndarray, template: HeadTemplate, camera: HeadCamera, layout: UVLayout
) -> np.ndarray:
    """How well a camera sees each texel of a head, apart from what is not part of the head.

    A texel counts when its place is inside the picture, slanted by less than 75 degrees, and nothing of the head lies
    before it or so near beside it that a pixel would mix both.

    Returns:
        (s, s) float32: 0 for hidden, rising smoothly with the cosine of the slant to 1.
    """
    size, triangles = layout.size, as_array(template.triangles)
    valid = as_array(layout.valid)
    ids, shares = template.texel_triangles(size)
    corners = triangles[as_array(ids)[valid]]
    shares = as_array(shares)[valid]
    points = blend_corners(vertices, corners, shares)
    normals = vertex_normals(vertices, triangles, split_from(as_array(template.mean)))
    facing = _cosines(blend_corners(normals, corners, shares), camera.view_directions(points))
    pixels, depth = camera.project(points)
    inside = ((pixels >= 0) & (pixels < camera.size)).all(1) & (depth > 0)
    candidate = inside & (facing > STEEPEST)
    weight = np.zeros(len(points), np.float32)
    weight[candidate] = _smoothstep(facing[candidate])
    weight[candidate] *= _unoccluded(
        rasterize(vertices, triangles, _coarser(camera)),
        camera,
        pixels[candidate],
        depth[candidate],
        facing[candidate],
    )
    out = np.zeros((size, size), np.float32)
    out[valid] = weight
    return out


def texel_normals(vertices: np.ndarray, template: HeadTemplate, size: int) -> np.ndarray:
    """Unit normals (size, size, 3) float32 at texels, in the axes of vertices (V, 3); 0 beyond the charts."""
    triangles = as_array(template.triangles)
    normals = vertex_normals(vertices, triangles, split_from(as_array(template.mean)))
    ids, shares = (as_array(values) for values in template.texel_triangles(size))
    blended = blend_corners(normals, triangles[ids], shares)
    length = np.linalg.norm(blended, axis=-1, keepdims=True)
    return np.where(ids[..., None] >= 0, blended / np.maximum(length, 1e-12), 0).astype(np.float32)


def split_from(vertices: np.ndarray) -> np.ndarray:
    """First vertex at the same place, for each of (V, 3): what a vertex was before a texture seam split it, (V,)."""
    _, first, inverse = np.unique(
        np.round(vertices.astype(np.float64), 6), axis=0, return_index=True, return_inverse=True
    )
    return first[inverse.ravel()]


def _texel_points(vertices: np.ndarray, template: HeadTemplate, size: int) -> np.ndarray:
    """(s, s, 3) dm; beyond the charts they mean nothing."""
    ids, shares = (as_array(values) for values in template.texel_triangles(size))
    return blend_corners(vertices, as_array(template.triangles)[ids], shares)


def _unoccluded(
    raster: Raster, camera: HeadCamera, pixels: np.ndarray, depth: np.ndarray, facing: np.ndarray
) -> np.ndarray:
    """Whether the surface at points (n, 2) px is the nearest in all four pixels around them, (n,) bool."""
    height, width = raster.depth.shape
    factor = width / camera.size[0]
    footprint = depth / (camera.focal * factor)  # dm a pixel
    tolerance = _GAP + 1.5 * footprint * np.sqrt(1 - facing**2) / facing
    column, row = np.floor(pixels * factor - 0.5).astype(np.int64).T
    clear = np.ones(len(pixels), bool)
    for across, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        found = raster.depth[(row + down).clip(0, height - 1), (column + across).clip(0, width - 1)]
        clear &= np.abs(found - depth) <= tolerance
    return clear


def _permitted(
    parsing: np.ndarray, pixels: np.ndarray, camera: HeadCamera, insides: Sequence[str], margin: float
) -> np.ndarray:
    """Whether all four pixels around points (n, 2) px parse as skin and are far enough from other things, (n,) bool."""
    unknown = sorted(set(insides) - set(_INSIDES))
    if unknown:
        raise ValueError(f"insides {unknown}: permitted are {sorted(_INSIDES)}")
    width, height = camera.size
    if parsing.shape != (height, width):
        raise ValueError(f"parsing {parsing.shape}: expected that of the camera's picture, {(height, width)}")
    names = (*_SKIN, *(name for inside in insides for name in _INSIDES[inside]))
    skin = np.isin(parsing, [vocabulary.PARSING.index(name) for name in names])
    if margin > 0:
        skin = cv2.distanceTransform(skin.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > margin
    column, row = np.floor(pixels - 0.5).astype(np.int64).T
    permitted = np.ones(len(pixels), bool)
    for across, down in ((0, 0), (1, 0), (0, 1), (1, 1)):
        permitted &= skin[(row + down).clip(0, height - 1), (column + across).clip(0, width - 1)]
    return permitted


def _sample(colours: np.ndarray, pixels: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Read a picture where the texels (s, s) that are seen lie in it, averaged when it is finer than they are."""
    reach = _texel_reach(pixels, seen)
    if reach >= 2:
        height, width = (max(1, round(side / reach)) for side in colours.shape[:2])
        factor = np.array([width / colours.shape[1], height / colours.shape[0]])
        colours = cv2.resize(colours, (width, height), interpolation=cv2.INTER_AREA)
        pixels = pixels * factor
    return sample_bilinear(colours, pixels)


def _texel_reach(pixels: np.ndarray, seen: np.ndarray) -> float:
    """Pixels between neighbouring texels in the middle of all pairs, 1 where there are none."""
    both = seen[:, 1:] & seen[:, :-1]
    if not both.any():
        return 1.0
    places = np.zeros((*seen.shape, 2))
    places[seen] = pixels
    steps = np.linalg.norm(places[:, 1:] - places[:, :-1], axis=2)
    return float(np.median(steps[both]))


def _colours(picture: np.ndarray, camera: HeadCamera) -> np.ndarray:
    width, height = camera.size
    if picture.shape != (height, width, 3):
        raise ValueError(f"picture {picture.shape}: expected that of the camera, {(height, width, 3)}")
    return picture.astype(np.float32) / 255 if picture.dtype == np.uint8 else picture.astype(np.float32)


def _coarser(camera: HeadCamera) -> HeadCamera:
    width, height = camera.size
    factor = min(1.0, _RASTER / max(width, height))
    return camera.scaled((max(1, round(width * factor)), max(1, round(height * factor))))


def _smoothstep(cosine: np.ndarray) -> np.ndarray:
    share = np.clip((cosine - STEEPEST) / (FULLY_SEEN - STEEPEST), 0, 1)
    return share**2 * (3 - 2 * share)


def _cosines(normals: np.ndarray, directions: np.ndarray) -> np.ndarray:
    length = np.maximum(np.linalg.norm(normals, axis=-1), 1e-12)
    return (normals * directions).sum(-1) / length
