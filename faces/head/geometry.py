"""From a posed head to vertex buffers: texture seams split, smooth normals, one draw call a material."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from faces.head.assets import HeadAssets
from faces.head.obj import Mesh

MATERIALS = {"body": 0, "eyes": 1, "teeth": 2, "tongue": 3, "brow": 4, "lashes": 5, "hair": 6, "glasses": 7}


@dataclass(frozen=True, slots=True)
class Part:
    """A mesh with its texture seams split: `vertex` tells which mesh vertex each corner comes from."""

    vertex: np.ndarray  # (n,) mesh vertex of each split vertex
    uv: np.ndarray  # (n, 2)
    triangles: np.ndarray  # (t, 3) split vertices
    normal_matrix: sparse.csr_matrix  # (mesh vertices, t) sums triangle normals around a vertex
    corners: np.ndarray  # (t, 3) mesh vertices

    def normals(self, vertices: np.ndarray) -> np.ndarray:
        """Area-weighted unit normals of the split vertices, (n, 3)."""
        a, b, c = (vertices[self.corners[:, corner]] for corner in range(3))
        summed = self.normal_matrix @ np.cross(b - a, c - a)
        length = np.linalg.norm(summed, axis=1, keepdims=True)
        return (summed / np.maximum(length, 1e-12))[self.vertex].astype(np.float32)


def split_part(mesh: Mesh, vertex_count: int) -> Part:
    """Split a mesh at its texture seams so that every vertex has one texture coordinate."""
    corners, texture = mesh.triangles()
    pairs, inverse = np.unique(np.stack([corners.ravel(), texture.ravel()]), axis=1, return_inverse=True)
    count = len(corners)
    cells = (corners.ravel(), np.repeat(np.arange(count), 3))
    matrix = sparse.csr_matrix((np.ones(count * 3, np.float32), cells), shape=(vertex_count, count))
    return Part(
        vertex=pairs[0],
        uv=mesh.uv[pairs[1]].astype(np.float32),
        triangles=inverse.reshape(-1, 3).astype(np.int32),
        normal_matrix=matrix,
        corners=corners,
    )


def build_parts(assets: HeadAssets) -> dict[str, Part]:
    """All parts of the assets by name: "body" and each proxy."""
    parts = {"body": split_part(assets.body, len(assets.base))}
    for name, proxy in assets.proxies.items():
        parts[name] = split_part(proxy.mesh, len(proxy.mesh.vertices))
    return parts


def glasses_mesh(
    left_eye: np.ndarray, right_eye: np.ndarray, rotation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A plain round frame in front of the eyes: ((v, 3) vertices in dm, (t, 3) triangles).

    Args:
        left_eye: centre of the subject's left eyeball, posed.
        right_eye: centre of the right one.
        rotation: (3, 3) of the head.
    """
    turn = np.linspace(0, 2 * np.pi, 25)[:-1]
    tube = np.linspace(0, 2 * np.pi, 7)[:-1]
    vertices, triangles = [], []

    def add_tube(path: np.ndarray, thickness: float, closed: bool) -> None:
        start = sum(len(item) for item in vertices)
        count = len(path)
        ahead = np.roll(path, -1, axis=0) - np.roll(path, 1, axis=0)
        if not closed:
            ahead[0], ahead[-1] = path[1] - path[0], path[-1] - path[-2]
        ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
        side = np.cross(ahead, [0.13, 0.21, 0.97])
        side /= np.linalg.norm(side, axis=1, keepdims=True)
        up = np.cross(side, ahead)
        ring = path[:, None] + thickness * (
            np.cos(tube)[None, :, None] * side[:, None] + np.sin(tube)[None, :, None] * up[:, None]
        )
        vertices.append(ring.reshape(-1, 3))
        for step in range(count if closed else count - 1):
            a, b = step * len(tube), (step + 1) % count * len(tube)
            for k in range(len(tube)):
                n = (k + 1) % len(tube)
                triangles.append(
                    [
                        [start + a + k, start + b + k, start + b + n],
                        [start + a + k, start + b + n, start + a + n],
                    ]
                )

    middle = (left_eye + right_eye) / 2
    local_left, local_right = ((eye - middle) @ rotation for eye in (left_eye, right_eye))
    reach = 0.34
    for eye in (local_left, local_right):
        circle = np.column_stack(
            [0.215 * np.cos(turn), 0.175 * np.sin(turn) - 0.02, np.full(len(turn), reach)]
        )
        circle[:, 2] -= 0.12 * ((circle[:, 0] + eye[0]) / 0.5) ** 2
        add_tube(circle + [eye[0], 0, 0], 0.014, closed=True)
    bridge = np.linspace(local_right[0] + 0.2, local_left[0] - 0.2, 7)
    arch = 0.05 * np.cos(np.linspace(-np.pi / 2, np.pi / 2, 7))
    add_tube(np.column_stack([bridge, arch, np.full(7, reach)]), 0.013, closed=False)
    for sign, eye in ((1, local_left), (-1, local_right)):
        outer = eye[0] + sign * 0.215
        ends = np.array(
            [
                [outer, 0.03, reach - 0.13],
                [outer + sign * 0.09, 0.05, reach - 0.35],
                [sign * 0.66, 0.05, -1.0],
            ]
        )
        add_tube(ends, 0.012, closed=False)
    points = np.concatenate(vertices) @ rotation.T + middle
    return points.astype(np.float32), np.array(triangles).reshape(-1, 3).astype(np.int32)
