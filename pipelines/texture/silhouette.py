"""Where a head, as a camera sees it, turns from what faces the camera to what does not."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from pipelines.texture.camera import HeadCamera
from pipelines.texture.rasterizer import vertex_normals

_REACH = 0.6
"""Of the distance of the outer corners of the eyes: how far from a landmark of the face an outline may be its own."""


class Silhouette:
    """Finds points of an outline on a mesh.

    Args:
        vertices: (V, 3) of the mean head.
        triangles: (F, 3).
        landmarks: (68, 3) of the mean head; only what is near to them is the outline of a face.
    """

    def __init__(self, vertices: np.ndarray, triangles: np.ndarray, landmarks: np.ndarray) -> None:
        self.triangles = triangles
        edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        keys, inverse = np.unique(
            edges[:, 0].astype(np.int64) * len(vertices) + edges[:, 1], return_inverse=True
        )
        unique = np.stack(np.divmod(keys, len(vertices)), axis=1)
        order = np.argsort(inverse, kind="stable")
        owners = order // 3  # triangle of each edge
        starts = np.searchsorted(inverse[order], np.arange(len(keys)))
        paired = np.bincount(inverse) == 2
        near, _ = cKDTree(landmarks).query(vertices)
        reach = _REACH * np.linalg.norm(landmarks[36] - landmarks[45])
        paired &= (near[unique] < reach).all(1)
        self.edges = unique[paired]
        self.sides = np.stack([owners[starts[paired]], owners[starts[paired] + 1]], axis=1)

    def vertices(self, vertices: np.ndarray, camera: HeadCamera) -> np.ndarray:
        """Indices of vertices (V, 3) on edges between a triangle that faces the camera and one that does not."""
        corners = vertices[self.triangles]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        faces_camera = (normals * (camera.position - corners[:, 0])).sum(1) > 0
        turning = faces_camera[self.sides[:, 0]] != faces_camera[self.sides[:, 1]]
        return np.unique(self.edges[turning])

    def match(
        self, vertices: np.ndarray, camera: HeadCamera, points: np.ndarray, limit: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Pair points of an outline with the nearest vertices of the silhouette.

        Args:
            vertices: (V, 3) dm.
            camera: in pixels of the points.
            points: (n, 2) px.
            limit: pixels; points with no silhouette as near as this are left out.

        Returns:
            For the m points that found one: vertices (m,), the points (m, 2) and unit normals (m, 2) of the outline on
            the picture. None when there is none.
        """
        candidates = self.vertices(vertices, camera)
        if not len(candidates):
            return None
        pixels, _ = camera.project(vertices[candidates])
        distance, nearest = cKDTree(pixels).query(points)
        found = distance < limit
        places = candidates[nearest[found]]
        flat = (vertex_normals(vertices, self.triangles)[places] @ camera.rotation.T)[:, :2] * [1, -1]
        length = np.linalg.norm(flat, axis=1, keepdims=True)
        return (places, points[found], flat / np.maximum(length, 1e-9)) if found.any() else None
