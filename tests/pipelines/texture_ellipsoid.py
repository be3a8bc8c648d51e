"""A head in small: an ellipsoid with a nose, with what texture modules ask of a template."""

from functools import lru_cache
from types import SimpleNamespace

import numpy as np

from pipelines.texture.camera import HeadCamera
from pipelines.texture.rasterizer import rasterize

RINGS, SEGMENTS = 48, 64
_AXES = np.array([0.75, 1.1, 0.9])


class EllipsoidTemplate:
    """The grid is closed at the back by a seam: the last column of vertices repeats the first one's places."""

    def __init__(self, shapes: int = 6, expressions: int = 2) -> None:
        down, across = np.meshgrid(
            np.linspace(0.02, 0.98, RINGS + 1), np.linspace(0, 1, SEGMENTS + 1), indexing="ij"
        )
        self.uv = np.stack([across.ravel(), down.ravel()], axis=1).astype(np.float32)
        sphere = self._sphere(self.uv)
        nose = (
            0.22
            * np.exp(-(sphere[:, 0] ** 2 / 0.02 + (sphere[:, 1] - 0.05) ** 2 / 0.05))
            * (sphere[:, 2] > 0)
        )
        self.mean = (sphere * _AXES + nose[:, None] * [0, 0, 1]).astype(np.float32)
        row, column = np.divmod(np.arange(RINGS * SEGMENTS), SEGMENTS)
        a = row * (SEGMENTS + 1) + column
        b, c, d = a + 1, a + SEGMENTS + 1, a + SEGMENTS + 2
        self.triangles = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
        self.shape_basis = self._waves(sphere, shapes, 0)
        self.expression_basis = self._waves(sphere, expressions, 7) * 0.5
        mirrored = self.uv * [-1, 1] + [1, 0]
        self.mirror_vertices = np.array([np.abs(self.uv - place).sum(1).argmin() for place in mirrored])
        self.landmark_vertices = np.repeat(self._landmarks(sphere)[:, None], 3, axis=1)
        self.landmark_weights = np.tile([1.0, 0.0, 0.0], (68, 1))

    def landmarks_of(self, vertices):
        return np.einsum("lk,nlkc->nlc", self.landmark_weights, vertices[:, self.landmark_vertices])

    @lru_cache(maxsize=4)  # noqa: B019 - templates of tests live as long as the tests
    def texel_triangles(self, size):
        flat = np.column_stack([self.uv * [1, -1], np.zeros(len(self.uv))])
        camera = HeadCamera(
            rotation=np.eye(3),
            translation=np.array([0, 0, -1.0]),
            focal=size,
            centre=(0, 0),
            size=(size, size),
        )
        raster = rasterize(flat, self.triangles, camera, cull=False)
        return raster.triangles.astype(np.int64), raster.weights

    def texel_points(self, vertices, size):
        ids, weights = self.texel_triangles(size)
        return np.einsum("yxk,nyxkc->nyxc", weights, vertices[:, self.triangles[ids]])

    def layout(self, size):
        ids, _ = self.texel_triangles(size)
        return SimpleNamespace(size=size, valid=ids >= 0, mirrored=lambda texture: texture[:, ::-1])

    @staticmethod
    def _sphere(uv):
        polar, turn = uv[:, 1] * np.pi, (uv[:, 0] - 0.5) * 2 * np.pi
        return np.stack([np.sin(polar) * np.sin(turn), np.cos(polar), np.sin(polar) * np.cos(turn)], axis=1)

    @staticmethod
    def _waves(sphere, count, seed):
        random = np.random.default_rng(seed)
        waves = [
            np.sin(sphere @ random.normal(0, 1.5, (3, 3)) + random.uniform(0, 6, 3)) for _ in range(count)
        ]
        return (0.05 * np.stack(waves)).astype(np.float32)

    @staticmethod
    def _landmarks(sphere):
        """Vertices about where the 68 are on a face; what matters is that they differ and are not flat."""
        turn = np.linspace(-1, 1, 17)
        jaw = np.stack([0.95 * turn, -0.75 + 0.7 * turn**2], axis=1)
        others = np.stack(np.meshgrid(np.linspace(-0.55, 0.55, 17), [0.45, 0.1, -0.45]), axis=-1).reshape(
            -1, 2
        )
        others[36 - 17], others[45 - 17] = (-0.5, 0.3), (0.5, 0.3)
        front = np.flatnonzero(sphere[:, 2] > 0)
        flat = sphere[front, :2]
        return front[[np.linalg.norm(flat - place, axis=1).argmin() for place in (*jaw, *others)]]


@lru_cache(maxsize=1)
def ellipsoid():
    return EllipsoidTemplate()


def smooth_texture(size, seed=0):
    """(size, size, 3) float32 of low waves, which an ellipsoid's seam does not cut."""
    random = np.random.default_rng(seed)
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 * np.pi
    terms = [(k, m) for k in (1, 2, 3) for m in (2, 4)]
    phases = random.uniform(0, 6, (3, len(terms), 2))
    waves = [
        sum(
            np.sin(k * x + p) * np.sin(m * y + q) / (k + m)
            for (k, m), (p, q) in zip(terms, phase, strict=True)
        )
        for phase in phases
    ]
    return (0.5 + 0.3 * np.stack(waves, axis=-1)).clip(0, 1).astype(np.float32)
