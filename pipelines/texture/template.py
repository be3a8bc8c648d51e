"""The head that textures lie on: a linear model of shape and expression over a grid of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from torch import nn

from faces.rasterizer import cover
from pipelines.texture.layout import UVLayout

if TYPE_CHECKING:
    from faces.head.template import HeadGrid

_LANDMARKS = 68
_MOST_VERTICES = 2**15 - 1
"""Vertex numbers are stored as int16: half the size of what the rest of a small template takes."""


class HeadTemplate(ModelMixin, ConfigMixin):
    """Heads as a mean plus shapes plus expressions; texture coordinates and the order of vertices never change.

    Decimetres in the frame of the head: x to the image's right when it faces the camera, y up, z to the camera, origin
    in the middle of the head. Computes in float32 whatever type it is stored in.

    Args:
        vertex_count: V.
        triangle_count: F.
        component_count: K shapes.
        expression_count: E expressions.
        mesh_id: names topology and texture coordinates.
        size: texels of a side of the layout that goes with the model's textures.

    Attributes:
        mean: (V, 3) dm.
        shape_basis: (K, V, 3) dm for one standard deviation of each coefficient.
        expression_basis: (E, V, 3) likewise, relative to rest.
        uv: (V, 2) in 0..1, v down.
        landmark_weights: (68, 3) shares of `landmark_vertices`; they may lie beyond 0..1, beside their triangle.

    Raises:
        ValueError: more vertices than an int16 counts.
    """

    @register_to_config
    def __init__(
        self,
        vertex_count: int,
        triangle_count: int,
        component_count: int = 24,
        expression_count: int = 10,
        mesh_id: str = "mien-head-1-64",
        size: int = 128,
    ) -> None:
        super().__init__()
        if vertex_count > _MOST_VERTICES:
            raise ValueError(f"vertex_count {vertex_count}: expected at most {_MOST_VERTICES}")

        def fixed(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape), requires_grad=False)

        self.mean = fixed(vertex_count, 3)
        self.shape_basis = fixed(component_count, vertex_count, 3)
        self.expression_basis = fixed(expression_count, vertex_count, 3)
        self.uv = fixed(vertex_count, 2)
        self.landmark_weights = fixed(_LANDMARKS, 3)
        for name, shape in (
            ("triangle_corners", (triangle_count, 3)),
            ("landmark_corners", (_LANDMARKS, 3)),
            ("mirror_corners", (vertex_count,)),
        ):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int16))
        self._texels: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @classmethod
    def from_grid(cls, grid: HeadGrid, size: int = 128) -> HeadTemplate:
        """Make a template of the arrays that `faces.head.template.build_grid` returns."""
        template = cls(
            vertex_count=len(grid.mean),
            triangle_count=len(grid.triangles),
            component_count=len(grid.shape_basis),
            expression_count=len(grid.expression_basis),
            mesh_id=grid.mesh_id,
            size=size,
        )
        content = {
            "mean": grid.mean,
            "shape_basis": grid.shape_basis,
            "expression_basis": grid.expression_basis,
            "uv": grid.uv,
            "landmark_weights": grid.landmark_weights,
            "triangle_corners": grid.triangles.astype(np.int16),
            "landmark_corners": grid.landmark_vertices.astype(np.int16),
            "mirror_corners": grid.mirror_vertices.astype(np.int16),
        }
        template.load_state_dict({name: torch.from_numpy(array) for name, array in content.items()})
        return template

    @property
    def triangles(self) -> torch.Tensor:
        """Vertices (F, 3) int64 of each triangle, counter-clockwise seen from outside."""
        return self.triangle_corners.long()

    @property
    def landmark_vertices(self) -> torch.Tensor:
        """Vertices (68, 3) int64 around each iBUG landmark."""
        return self.landmark_corners.long()

    @property
    def mirror_vertices(self) -> torch.Tensor:
        """Vertex (V,) int64 on the other side of the head."""
        return self.mirror_corners.long()

    def vertices(self, shape: torch.Tensor, expression: torch.Tensor) -> torch.Tensor:
        """Blend the bases.

        Args:
            shape: (n, K) coefficients, about N(0, 1).
            expression: (n, E) coefficients.

        Returns:
            (n, V, 3) float32 dm.

        Raises:
            ValueError: other counts of coefficients.
        """
        for name, given, basis in (
            ("shape", shape, self.shape_basis),
            ("expression", expression, self.expression_basis),
        ):
            if given.ndim != 2 or given.shape[1] != len(basis):
                raise ValueError(f"{name} {tuple(given.shape)}: expected (n, {len(basis)}) coefficients")
        moved = torch.einsum("nk,kvc->nvc", shape.float(), self.shape_basis.float())
        moved = moved + torch.einsum("nk,kvc->nvc", expression.float(), self.expression_basis.float())
        return self.mean.float() + moved

    def random_head(self, rng: np.random.Generator) -> np.ndarray:
        """Vertices (V, 3) float32 dm of a head of random shape and expression, N(0, 1) along each component."""
        shape, expression = (
            torch.from_numpy(rng.standard_normal((1, count), dtype=np.float32)).to(self.mean.device)
            for count in (self.config.component_count, self.config.expression_count)
        )
        return self.vertices(shape, expression)[0].detach().cpu().numpy()

    def landmarks_of(self, vertices: torch.Tensor) -> torch.Tensor:
        """Landmarks (n, 68, 3) of vertices (n, V, 3)."""
        weights = self.landmark_weights.to(vertices)
        return (vertices[:, self.landmark_vertices] * weights[..., None]).sum(dim=2)

    def texel_triangles(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Triangle of each texel, (s, s) int64, -1 outside, and its barycentric weights, (s, s, 3) float32."""
        if size not in self._texels:
            places = self.uv.detach().float().cpu().numpy() * size
            self._texels[size] = cover(places[self.triangles.cpu().numpy()], (size, size))
        return self._texels[size]

    def texel_points(self, vertices: torch.Tensor, size: int) -> torch.Tensor:
        """Points (n, s, s, 3) of texels on meshes (n, V, 3); zero outside."""
        ids, weights = (torch.from_numpy(array).to(vertices.device) for array in self.texel_triangles(size))
        corners = vertices[:, self.triangles[ids.clamp(min=0)]]
        return (corners * weights.to(vertices)[..., None]).sum(dim=-2)

    def layout(self, size: int | None = None) -> UVLayout:
        """The layout of textures of size x size texels, of the model's own size where none is given."""
        size = self.config.size if size is None else size
        ids, weights = self.texel_triangles(size)
        valid, triangles = ids >= 0, self.triangles.cpu().numpy()
        own = np.stack(np.meshgrid(np.arange(size) + 0.5, np.arange(size) + 0.5), axis=-1)
        twins = self.uv.detach().float().cpu().numpy()[self.mirror_vertices.cpu().numpy()] * size
        places = (twins[triangles[ids]] * weights[..., None]).sum(axis=2)
        mirror = np.where(valid[..., None], places, own).astype(np.float32)
        charts = np.where(valid, _charts(triangles, len(twins))[ids], 0).astype(np.uint8)
        return UVLayout(size=size, valid=valid, mirror=mirror, charts=charts, mesh_id=self.config.mesh_id)


def _charts(triangles: np.ndarray, count: int) -> np.ndarray:
    """Number (F,) from 1 of the connected part of a mesh that each triangle belongs to."""
    ends = np.roll(triangles, 1, axis=1)
    links = coo_matrix((np.ones(triangles.size), (triangles.ravel(), ends.ravel())), shape=(count, count))
    part = connected_components(links, directed=False)[1][triangles[:, 0]]
    return np.unique(part, return_inverse=True)[1] + 1
