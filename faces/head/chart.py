"""A chart of the head: a texture place for every point of its outer surface, made for no mesh in particular.

Rays leave an axis in the head, up from the crown down to the neck; a point of the surface lies where its ray leaves
the head. Both coordinates of a ray are then stretched until the parts of a face have the room they deserve. Of the
assets only the mean head goes in, so that the chart of another person is the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import KDTree

from faces import rasterizer
from faces.head.assets import HeadAssets
from faces.head.geometry import Part
from faces.head.morph import MorphModel
from faces.head.regions import build_regions
from faces.head.spec import Identity

CHART_VERSION = 1
"""Part of the name of every mesh and layout on this chart; goes up when a texture place changes."""
_CROWN = np.array([7.2, 0.45])
"""Height and depth, in decimetres, where the axis of the rays starts."""
_NECK = np.array([6.27, 0.25])
_TURN = 0.62
"""Share of the way from crown to neck at which rays stop turning around the start of the axis and walk along it."""
_ELEVATIONS = np.radians([90.0, -5.0, -22.0])
"""Of the rays at the crown, at the turn and at the neck."""
_SHOULDERS = (5.95, 0.75)
"""Height below which, and distance from the axis beyond which, the surface is no head (dm)."""
_DENSE = 512
_BACK, _FEATURES, _EARS = 0.16, 2.4, 0.6
"""Room of the back of the head, of eyes, nose and mouth, and that is added at the ears, relative to a cheek."""
_LONGEST = 8.0
"""Steps along a ray's neighbours are cut at this multiple of their median: the surface jumps behind an ear."""


@dataclass(frozen=True, slots=True)
class Hits:
    """Points of the outer surface on a lattice over the chart.

    Attributes:
        triangle: (rows, columns) int64 triangle of `HeadChart.triangles`.
        weights: (rows, columns, 3) float32 barycentric weights in it.
    """

    triangle: np.ndarray
    weights: np.ndarray


class HeadChart:
    """Texture places of the outer surface: skin and eyeballs, without hair, teeth and the cavity of the mouth.

    Args:
        model: of the assets.
        parts: their meshes.

    Attributes:
        mean: (n, 3) vertices of the mean head in dm: those of the assets' base, then those of the eyes.
        triangles: (t, 3) vertices of each triangle of the surface.
        is_eye: (t,) whether it belongs to an eyeball.
        part_triangle: (t,) its number among the triangles of the part "body", or "eyes".
        places: (n, 2) texture place (u, v) of each vertex, v down, 0..1 within the chart.
        radius: (n,) distance from the axis along the ray.
        mirror: (n,) vertex of the surface on the other side of the head.
    """

    def __init__(self, model: MorphModel, parts: dict[str, Part]) -> None:
        assets = model.assets
        self._eyes = assets.proxies["eyes"]
        self.mean = self.vertices(model.neutral(_average(), 30.0))
        self.triangles, self.is_eye, self.part_triangle = _surface(assets, parts, self.mean)
        self.mirror = _twins(self.vertices(assets.base), self.triangles)
        azimuth, share, self.radius = _ray(self.mean)
        self._across, self._along = self._stretch(azimuth, share)
        self.places = self._place(azimuth, share)

    def vertices(self, base: np.ndarray) -> np.ndarray:
        """Vertices (n, 3) of surface and eyes for the base vertices (k, 3) of a head."""
        return np.concatenate([base, self._eyes.fit(base)]).astype(np.float32)

    def place(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Texture places (m, 2) and radii (m,) of points (m, 3) near the surface of the mean head, in dm."""
        azimuth, share, radius = _ray(points)
        return self._place(azimuth, share), radius

    def lattice(self, cells: int) -> Hits:
        """Surface points at the (cells + 1, cells + 1) corners of a lattice of cells that spans the chart."""
        hits = self._hits(self.places * cells + 0.5, cells + 1, cells)
        triangle, weights = hits.triangle, hits.weights
        # All of the first row is the crown, and the chart comes round at the back of the head.
        triangle[0], weights[0] = np.argmin(self.places[self.triangles].mean(axis=1)[:, 1]), 1 / 3
        triangle[:, -1], weights[:, -1] = triangle[:, 0], weights[:, 0]
        return hits

    def texels(self, size: int) -> Hits:
        """Surface points at the centres of (size, size) texels."""
        return self._hits(self.places * size, size, size)

    def _hits(self, places: np.ndarray, size: int, period: float) -> Hits:
        return Hits(*_filled(*cover(places, self.triangles, self.radius, size, period)))

    def _stretch(self, azimuth: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How far along each row of rays, and then along each column, a place lies: two (dense, dense + 1) tables."""
        flat = np.column_stack([azimuth / (2 * np.pi) + 0.5, share]) * _DENSE
        surface = self._dense(flat)
        across = _running(surface, axis=1)
        across = (across + 1 - across[:, ::-1]) / 2  # the mean head is symmetric, its triangles are not quite
        stretched = np.column_stack([_lookup(across, azimuth / (2 * np.pi) + 0.5, share), share]) * _DENSE
        along = _running(self._dense(stretched), axis=0)
        return across, (along + along[:, ::-1]) / 2

    def _dense(self, places: np.ndarray) -> np.ndarray:
        triangle, weights = _filled(*cover(places, self.triangles, self.radius, _DENSE, _DENSE))
        return (self.mean[self.triangles[triangle]] * weights[..., None]).sum(axis=2)

    def _place(self, azimuth: np.ndarray, share: np.ndarray) -> np.ndarray:
        u = _lookup(self._across, azimuth / (2 * np.pi) + 0.5, share)
        beyond = np.maximum(share - 1, 0)  # below the chart: keep triangles on its edge whole
        v = _lookup(self._along.T, share, u) + beyond
        return np.column_stack([u, v])


def cover(
    places: np.ndarray, triangles: np.ndarray, depth: np.ndarray, size: int, period: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rasterise triangles whose first coordinate comes round after `period` samples.

    Args:
        places: (n, 2) vertices in samples.
        triangles: (t, 3).
        depth: (n,) of the vertices; the greatest is seen.
        size: rows and columns.
        period: of the first coordinate, in samples.

    Returns:
        (size, size) triangle or -1, and (size, size, 3) weights.
    """
    corners = places[triangles]
    wide = corners[..., 0] < corners[..., 0].max(axis=1, keepdims=True) - period / 2
    corners[..., 0] += wide * period
    again = corners - [period, 0.0]
    triangle, weights = rasterizer.cover(
        np.concatenate([corners, again]), (size, size), np.tile(depth[triangles], (2, 1))
    )
    return np.where(triangle >= 0, triangle % len(triangles), -1), weights


def _average() -> Identity:
    return Identity(
        id="average", races=(1 / 3, 1 / 3, 1 / 3), gender=0.5, weight=0.5, details={}, skin_tone=0.3, skin_variant=0,
        skin_tint=(1, 1, 1), eye_colour="brown", iris_shade=1, brow_style="eyebrow001", brow_shade=0.5,
        hair_colour="brown",
    )  # fmt: skip


def _surface(
    assets: HeadAssets, parts: dict[str, Part], mean: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    body, eyes = parts["body"], parts["eyes"]
    cavity = build_regions(assets).skin[..., 2]
    inside = _sample(cavity, body.uv[body.triangles].mean(axis=1)) > 127
    centre = mean[body.corners].mean(axis=1)
    height, reach = _SHOULDERS
    shoulder = (centre[:, 1] < height) & (np.hypot(centre[:, 0], centre[:, 2] - _NECK[1]) > reach)
    skin = np.flatnonzero(~inside & ~shoulder)
    # The cornea is clear: what is seen lies behind it.
    clear = assets.texture("eyes", "materials", "brown_eye.png")[..., 3]
    balls = np.flatnonzero(_sample(clear, eyes.uv[eyes.triangles].mean(axis=1)) > 127)
    triangles = np.concatenate([body.corners[skin], eyes.corners[balls] + len(assets.base)])
    return triangles, np.arange(len(triangles)) >= len(skin), np.concatenate([skin, balls])


def _twins(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    surface, twins = np.unique(triangles), np.arange(len(vertices))
    _, nearest = KDTree(vertices[surface]).query(vertices[surface] * [-1, 1, 1])
    twins[surface] = surface[nearest]
    return twins


def _sample(picture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = picture.shape
    column = np.clip(uv[:, 0] * width, 0, width - 1).astype(int)
    row = np.clip((1 - uv[:, 1]) * height, 0, height - 1).astype(int)
    return picture[row, column]


def _axis(share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Height, depth and elevation of the rays at a share of the way from crown to neck."""
    walked = np.clip((share - _TURN) / (1 - _TURN), 0, None)
    origin = _CROWN + walked[:, None] * (_NECK - _CROWN)
    return origin[:, 0], origin[:, 1], np.interp(share, [0, _TURN, 1], _ELEVATIONS)


def _ray(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Azimuth (radians), share of the way from crown to neck (beyond 1 below it) and distance of points (n, 3)."""
    x, y, z = points.astype(np.float64).T
    low, high = np.zeros(len(points)), np.full(len(points), 1.5)
    for _ in range(40):  # the cones of rays are nested, so a point lies above all that follow its own
        middle = (low + high) / 2
        height, depth, elevation = _axis(middle)
        above = (y - height) * np.cos(elevation) > np.hypot(x, z - depth) * np.sin(elevation)
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    height, depth, _ = _axis(low)
    out = np.hypot(x, z - depth)
    return np.arctan2(x, z - depth), low, np.hypot(out, y - height)


def _filled(triangle: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give samples without a surface, at the crown and the edge of the neck, that of the nearest one."""
    nearest = np.zeros((2, *triangle.shape), np.int32)
    ndimage.distance_transform_edt(triangle < 0, return_distances=False, return_indices=True, indices=nearest)
    return triangle[*nearest], weights[*nearest]


def _running(surface: np.ndarray, axis: int) -> np.ndarray:
    """Weighted length from the first sample on, as a share of the whole, at the corners of the samples' cells."""
    smooth = ndimage.gaussian_filter(surface, (3, 3, 0), mode="nearest")
    steps = np.linalg.norm(np.gradient(smooth, axis=axis), axis=2)
    steps = np.minimum(steps, _LONGEST * np.median(steps))
    room = steps * _room(surface) + 1e-5
    # Neighbouring rows agree, or the chart would shear.
    room = ndimage.gaussian_filter(room, (12, 4) if axis == 1 else (4, 12), mode="nearest")
    total = room.sum(axis=axis, keepdims=True)
    running = np.cumsum(room / total, axis=axis)
    return np.concatenate([np.zeros_like(total), running], axis=axis)


def _room(surface: np.ndarray) -> np.ndarray:
    x, y, z = np.moveaxis(surface, -1, 0)
    front = np.clip((z - 0.3) / 0.8, 0, 1)
    features = (
        np.exp(-((x / 0.45) ** 4)) * np.exp(-(((y - 6.95) / 0.65) ** 4)) * np.clip((z - 0.8) / 0.3, 0, 1)
    )
    ears = np.exp(-(((y - 7.05) / 0.45) ** 4) - ((z - 0.3) / 0.45) ** 4) * np.clip(
        (np.abs(x) - 0.62) / 0.1, 0, 1
    )
    room = _BACK + (1 - _BACK) * front * front * (3 - 2 * front)
    return room + (_FEATURES - 1) * features + _EARS * ears


def _lookup(table: np.ndarray, along: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Read a (dense, dense + 1) table at a coordinate that its columns run along and one that its rows follow."""
    rows, columns = np.clip(other, 0, 1) * _DENSE - 0.5, np.clip(along, 0, 1) * _DENSE
    return ndimage.map_coordinates(table, [rows, columns], order=1, mode="nearest")
