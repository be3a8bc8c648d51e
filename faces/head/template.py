"""A compact linear model of heads on a grid of its own, made from the assets but holding no vertex of them.

The corners of a lattice over the chart of the head are followed through many sampled heads; principal components of
where they lie are the shape basis, and of how action units move them the expression basis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

from faces import vocabulary
from faces.head.assets import HeadAssets
from faces.head.chart import CHART_VERSION, HeadChart, Hits
from faces.head.landmarks import landmark_vertices
from faces.head.morph import MorphModel
from faces.head.sampler import HeadSampler, mark_vertices
from faces.head.spec import State
from faces.head.study import study_state

_NEAR_LANDMARK = 0.12
"""Decimetres from a landmark within which the triangle that follows it best is looked for."""
_CROWN_RING = 0.6
"""The first row of corners is a ring this much as wide as the second: no triangle is without an area."""
_BEHIND = 0.35
"""How much a distance on ears, neck and back counts in the components, relative to one on the face."""
_REACH = 2.0
"""Sides of a triangle that a landmark may lie away from its first corner."""
_FOLLOWED = 150
"""Heads over which triangles are compared by how well they follow a landmark."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadGrid:
    """Arrays of a linear head model; V vertices, F triangles, K shapes, E expressions.

    Attributes:
        mesh_id: names the topology and its texture places.
        mean: (V, 3) float32 decimetres: x to the right of the picture, y up, z to the camera, origin in the head.
        shape_basis: (K, V, 3) float32 of one standard deviation each.
        expression_basis: (E, V, 3) float32 likewise, relative to rest.
        triangles: (F, 3) int64, counter-clockwise seen from outside.
        uv: (V, 2) float32 texture places, v down.
        landmark_vertices: (68, 3) int64 vertices around each landmark.
        landmark_weights: (68, 3) float32 their shares.
        mirror_vertices: (V,) int64 vertex on the other side of the face.
        shape_share: of the variance of sampled heads that the shape basis explains.
        expression_share: the same of expressions.
    """

    mesh_id: str
    mean: np.ndarray
    shape_basis: np.ndarray
    expression_basis: np.ndarray
    triangles: np.ndarray
    uv: np.ndarray
    landmark_vertices: np.ndarray
    landmark_weights: np.ndarray
    mirror_vertices: np.ndarray
    shape_share: float
    expression_share: float


class GridSampler:
    """Follows the corners of a lattice over the chart through sampled heads.

    Args:
        assets: of the head.
        model: of the same assets.
        chart: of the same assets.
        cells: of the lattice along a side.
        seed: of the people.
    """

    def __init__(
        self, assets: HeadAssets, model: MorphModel, chart: HeadChart, cells: int, seed: int
    ) -> None:
        vertices = mark_vertices(assets.base, assets.kept, assets.body.faces)
        self.people = HeadSampler(seed, list(model.sliders), vertices)
        self.seed, self._model, self._chart = seed, model, chart
        self._corners = grid_corners(chart, cells)
        self._landmarks = landmark_vertices(assets)
        self.mean = self._corners @ chart.mean
        self._areas = _vertex_areas(self.mean, grid_triangles(cells))

    def rest(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) and landmarks (68, 3) of a person at rest, in the frame of the template."""
        identity = self.people.identity(number)
        age_years = self.people.look(identity, number, 0).age_years
        return self._centred(self._model.neutral(identity, age_years))[:2]

    def moved(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """What an expression adds to vertices (V, 3) and landmarks (68, 3) of a person."""
        spec = self.people.spec(number)
        rng = np.random.default_rng([self.seed, 10, number, 0])
        units = study_state(spec.state, "units", rng).action_units
        spec = spec.model_copy(update={"state": State(action_units=units)})
        base = self._model.shape(spec, spec.identity.brow_style, None).base
        vertices, landmarks, origin = self._centred(self._model.neutral(spec.identity, spec.look.age_years))
        moved = self._corners @ self._chart.vertices(base) - origin
        return moved - vertices, base[self._landmarks] - origin - landmarks

    def _centred(self, base: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        vertices = self._corners @ self._chart.vertices(base)
        origin = self._areas @ vertices
        return vertices - origin, base[self._landmarks] - origin, origin


def build_grid(
    assets: HeadAssets,
    *,
    cells: int = 64,
    shapes: int = 24,
    expressions: int = 10,
    people: int = 1500,
    seed: int = 0,
) -> HeadGrid:
    """Build the linear model; a function of the assets and these numbers.

    Args:
        assets: of the head.
        cells: of the lattice along a side; (cells + 1) ** 2 vertices.
        shapes: components of the shape basis.
        expressions: components of the expression basis.
        people: sampled; each is also seen in the mirror.
        seed: of the people.

    Raises:
        ValueError: fewer people than components.
    """
    if people <= max(shapes, expressions):
        raise ValueError(f"people {people}: expected more than {max(shapes, expressions)} components")
    model = MorphModel(assets)
    sampler = GridSampler(assets, model, head_chart(assets, model), cells, seed)
    mirror = grid_mirror(cells)
    rest = [sampler.rest(number) for number in range(people)]
    moved = [sampler.moved(number) for number in range(people)]
    front = np.clip((sampler.mean[:, 2] - 0.4) / 0.7, 0, 1)
    weights = _BEHIND + (1 - _BEHIND) * (front + front[mirror]) / 2
    mean, shape_basis, shape_share = _components(
        np.stack([vertices for vertices, _ in rest]), mirror, weights, shapes, centred=True
    )
    _, expression_basis, expression_share = _components(
        np.stack([vertices for vertices, _ in moved]), mirror, weights, expressions, centred=False
    )
    triangles, uv = grid_triangles(cells), grid_uv(cells)
    some = range(min(people, _FOLLOWED))
    heads = [rest[n][0] + share * moved[n][0] for n in some for share in (0, 1)]
    landmarks = [rest[n][1] + share * moved[n][1] for n in some for share in (0, 1)]
    vertices, weights = _follow(np.stack(heads), np.stack(landmarks), triangles, mirror)
    return HeadGrid(
        mesh_id=f"mien-head-{CHART_VERSION}-{cells}",
        mean=mean,
        shape_basis=shape_basis,
        expression_basis=expression_basis,
        triangles=triangles,
        uv=uv,
        landmark_vertices=vertices,
        landmark_weights=weights,
        mirror_vertices=mirror,
        shape_share=shape_share,
        expression_share=expression_share,
    )


def head_chart(assets: HeadAssets, model: MorphModel) -> HeadChart:
    """The chart that templates and their textures share."""
    from faces.head.geometry import build_parts

    return HeadChart(model, build_parts(assets))


def corner_matrix(chart: HeadChart, hits: Hits) -> sparse.csr_matrix:
    """Matrix from the vertices of a chart's surface (n, 3) to the points of a lattice, rows first."""
    columns = chart.triangles[hits.triangle].reshape(-1)
    rows = np.repeat(np.arange(hits.triangle.size), 3)
    shape = (hits.triangle.size, len(chart.mean))
    return sparse.csr_matrix((hits.weights.reshape(-1), (rows, columns)), shape=shape, dtype=np.float32)


def grid_corners(chart: HeadChart, cells: int) -> sparse.csr_matrix:
    """Matrix from the vertices of a chart's surface (n, 3) to the corners of a lattice of cells, row by row.

    Exactly symmetric: where two surfaces meet, both sides of the face take the same one.
    """
    corners = corner_matrix(chart, chart.lattice(cells))
    across = np.tile(np.arange(cells + 1), cells + 1) / cells
    own = sparse.diags_array(np.clip((0.5 - across) * cells + 0.5, 0, 1))  # half of the middle column
    mirrored = corners[grid_mirror(cells)][:, chart.mirror]
    other = sparse.diags_array(np.clip((across - 0.5) * cells + 0.5, 0, 1))
    corners = (own @ corners + other @ mirrored).tolil()
    first, last = slice(0, None, cells + 1), slice(cells, None, cells + 1)
    corners[first] = corners[last] = (corners[first] + corners[last]) / 2  # the seam at the back
    first_rows = corners[: 2 * (cells + 1)].toarray().reshape(2, cells + 1, -1)
    crown, ring = first_rows[0].mean(axis=0), first_rows[1]
    corners[: cells + 1] = (1 - _CROWN_RING) * crown + _CROWN_RING * ring
    return sparse.csr_matrix(corners, dtype=np.float32)


def grid_uv(cells: int) -> np.ndarray:
    """Texture places (V, 2) of the corners of a lattice, row by row from the top."""
    line = np.arange(cells + 1, dtype=np.float32) / cells
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def grid_triangles(cells: int) -> np.ndarray:
    """Triangles (F, 3) of a lattice, counter-clockwise from outside, the right half the mirror image of the left."""
    row, column = np.divmod(np.arange(cells * cells), cells)
    a = row * (cells + 1) + column
    b, c, d = a + 1, a + cells + 1, a + cells + 2
    left = (column < cells / 2)[:, None]
    first = np.where(left, np.column_stack([a, c, d]), np.column_stack([b, c, d]))
    second = np.where(left, np.column_stack([a, d, b]), np.column_stack([a, c, b]))
    return np.concatenate([first, second]).astype(np.int64)


def grid_mirror(cells: int) -> np.ndarray:
    """Vertex (V,) on the other side of the middle line."""
    return np.arange((cells + 1) ** 2).reshape(cells + 1, -1)[:, ::-1].reshape(-1)


def _vertex_areas(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    a, b, c = np.moveaxis(vertices[triangles], 1, 0)
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    summed = np.bincount(triangles.reshape(-1), np.repeat(area, 3), minlength=len(vertices))
    return (summed / summed.sum()).astype(np.float32)


def _components(
    samples: np.ndarray, mirror: np.ndarray, weights: np.ndarray, count: int, *, centred: bool
) -> tuple[np.ndarray, np.ndarray, float]:
    """Mean (V, 3), components (count, V, 3) of one standard deviation, and the share of weighted variance in them."""
    mirrored = samples[:, mirror] * np.array([-1, 1, 1], np.float32)
    rows = np.concatenate([samples, mirrored]).reshape(2 * len(samples), -1)
    mean = samples.mean(axis=0) if centred else np.zeros_like(samples[0])
    mean = ((mean + mean[mirror] * [-1, 1, 1]) / 2).astype(np.float32).reshape(-1)
    rows = rows - mean
    weighted, last = rows * np.repeat(weights, 3), len(rows) - 1
    values, vectors = eigh(weighted @ weighted.T / len(rows), subset_by_index=[last - count + 1, last])
    order = np.argsort(values)[::-1]
    # A row of coefficients of variance 1 each, so that rows = coefficients.T @ basis in the least squares sense.
    coefficients = vectors[:, order].T * np.sqrt(len(rows))
    basis = coefficients @ rows / len(rows)
    share = float(values.sum() / (weighted**2).sum() * len(rows))
    shape = (count, -1, 3)
    return mean.reshape(-1, 3).astype(np.float32), basis.reshape(shape).astype(np.float32), share


def _follow(
    heads: np.ndarray, landmarks: np.ndarray, triangles: np.ndarray, mirror: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (68, 3) and weights (68, 3) that follow each landmark best through heads (n, V, 3)."""
    mean, places = heads.mean(axis=0), landmarks.mean(axis=0)
    centre = mean[triangles].mean(axis=1)
    twin = vocabulary.flip_landmarks(np.column_stack([np.zeros(68), np.arange(68)]), 0)[:, 1].astype(int)
    vertices, weights = np.zeros((68, 3), np.int64), np.zeros((68, 3), np.float32)
    for landmark in range(68):
        if twin[landmark] < landmark:  # both sides of the face alike
            vertices[landmark] = mirror[vertices[twin[landmark]]]
            weights[landmark] = weights[twin[landmark]]
            continue
        away = np.linalg.norm(centre - places[landmark], axis=1)
        near = triangles[away < max(_NEAR_LANDMARK, away.min() + 1e-6)]
        shares = np.stack([_shares(heads[:, corners], landmarks[:, landmark]) for corners in near])
        points = np.einsum("fk,nfkc->nfc", shares, heads[:, near])
        error = ((points - landmarks[:, None, landmark]) ** 2).sum(axis=2).mean(axis=0)
        vertices[landmark], weights[landmark] = near[error.argmin()], shares[error.argmin()]
    return vertices, weights


def _shares(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Barycentric weights (3,) for a triangle, seen in n heads (n, 3, 3), that come nearest to points (n, 3).

    A point may lie beside its triangle: the rim of a lip rolls inwards, where the chart does not follow it.
    """
    sides = (corners[:, 1:] - corners[:, :1]).transpose(0, 2, 1).reshape(-1, 2)
    second, third = np.linalg.lstsq(sides, (points - corners[:, 0]).reshape(-1), rcond=None)[0]
    size = max(abs(second), abs(third), abs(second + third), _REACH) / _REACH
    second, third = second / size, third / size
    return np.array([1 - second - third, second, third], np.float32)
