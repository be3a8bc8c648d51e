"""The head, pose and camera that explain the landmarks of a picture.

Damped least squares over a linear basis with a Gaussian prior, as in Blanz and Vetter 1999 ("A Morphable Model for the
Synthesis of 3D Faces") reduced to points. Where landmarks lie on the visible outline of a face, the point of the head
that they belong to moves as it turns: Zhu et al. 2015, "High-Fidelity Pose and Expression Normalization", section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from faces.head.landmarks import JAW, snap_to_outline
from faces.metrics import landmark_error
from pipelines.texture.camera import HeadCamera, as_array, as_size
from pipelines.texture.silhouette import Silhouette

if TYPE_CHECKING:
    from pipelines.texture.template import HeadTemplate

_CLOSENESS, _CLOSENESS_SPREAD = 1 / 15.0, 1 / 60.0
"""1 / dm, one over the distance from the camera to the face: what portraits have, and by how much they differ."""
_CLOSENESS_LIMITS = (1 / 60.0, 1 / 6.0)
_ROBUST = 3.0
"""Residuals beyond so many standard deviations count less, in proportion."""
_OUTLINE_SPREAD = 2.0
"""Standard deviation of a point of an outline across it, relative to a landmark's: which point of the head it is of is
itself uncertain."""
_SLIDING_SPREAD = 12.0
"""The same of a jaw's landmark as the point of the head it is named after, when it lies on the outline instead."""
_ROUNDS, _STEPS = 3, 6
_POSE = 7
"""Parameters before those of the basis: three of rotation, two of place, scale, closeness."""
_BEYOND_OUTLINE = (0, 14, 15, 16)
"""Background, neck and clothes: what an outline of the face itself lies against. Hair and ears cover it."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadFit:
    """What a picture's landmarks say about the head in it."""

    shape: np.ndarray
    """(K,) coefficients of the template's shapes, ~N(0, 1) over people."""
    expression: np.ndarray
    """(E,) coefficients of its expressions."""
    camera: HeadCamera
    """In pixels of the picture."""
    vertices: np.ndarray
    """(V, 3) float32 dm in the template's axes, not turned."""
    landmarks: np.ndarray
    """(68, 2) float32 pixels, where the head's landmarks come to lie."""
    residual: float
    """Mean distance of these from the given ones, as a share of the distance of the outer corners of the eyes."""


@dataclass(slots=True, eq=False)
class _State:
    """Parameters of a head before a camera, in units in which steps are of like size."""

    rotation: np.ndarray  # (3, 3)
    place: np.ndarray  # (2,) dm, of the face's middle
    scale: float  # pixels a dm at the face's middle
    closeness: float  # 1 / dm
    coefficients: np.ndarray  # (K + E,)

    def moved(self, step: np.ndarray) -> _State:
        return _State(
            rotation=Rotation.from_rotvec(step[:3]).as_matrix() @ self.rotation,
            place=self.place + step[3:5],
            scale=self.scale * float(np.exp(step[5])),
            closeness=float(np.clip(self.closeness + step[6], *_CLOSENESS_LIMITS)),
            coefficients=self.coefficients + step[_POSE:],
        )


def fit(
    template: HeadTemplate,
    landmarks: np.ndarray,
    size: int | Sequence[int],
    parsing: np.ndarray | None = None,
    *,
    outline: bool = False,
    noise: float = 0.02,
) -> HeadFit:
    """Fit the template's head to 68 landmarks.

    The camera looks at the middle of the landmarks. Its pose is thus relative to the ray to the face: a head that is
    beside the axis of the real camera appears turned by as much.

    Args:
        template: a `HeadTemplate`.
        landmarks: (68, 2) pixels of the picture.
        size: side, or width and height, of the picture in pixels.
        parsing: (h, w) ids of `vocabulary.PARSING` of the whole picture; the outline of the face in it counts too.
        outline: the jaw's landmarks lie on the visible outline, as people annotate, such as
            `FaceAnalysis.outline_landmarks`; otherwise they are points of the head, as `FaceAnalysis.landmarks`.
        noise: standard deviation of a landmark, as a share of the distance of the outer corners of the eyes. More of
            it keeps the head nearer to the mean.

    Raises:
        ValueError: landmarks that are no 68 different points, a parsing of another size, or no noise.
    """
    width, height = as_size(size)
    wanted = _checked(landmarks)
    if parsing is not None and parsing.shape != (height, width):
        raise ValueError(f"parsing {parsing.shape}: expected that of the picture, {(height, width)}")
    if not noise > 0:
        raise ValueError(f"noise {noise}: expected a share of the eyes' distance above 0, such as 0.02")
    problem = _Problem(template, wanted, noise)
    edges = _outline_points(wanted, parsing, outline)
    if outline:
        problem.spread[JAW] = _SLIDING_SPREAD
    state = problem.solve(problem.start())
    if len(edges):
        silhouette = Silhouette(problem.mean, problem.triangles, problem.mean_landmarks)
        for _ in range(_ROUNDS):
            problem.slide(silhouette, state, edges)
            state = problem.solve(state)
    return problem.result(state, (width, height))


class _Problem:
    """Residuals of points of a head, their derivatives, and the steps that lessen them."""

    def __init__(self, template: HeadTemplate, wanted: np.ndarray, noise: float) -> None:
        self.mean = as_array(template.mean).astype(np.float64)
        self.triangles = as_array(template.triangles)
        bases = (as_array(template.shape_basis), as_array(template.expression_basis))
        self.counts = (len(bases[0]), len(bases[1]))
        self.basis = np.concatenate(bases).astype(np.float32)
        places, shares = as_array(template.landmark_vertices), as_array(template.landmark_weights)
        self.mean_landmarks = np.einsum("lk,lkc->lc", shares, self.mean[places])
        self.landmark_basis = np.einsum("lk,nlkc->nlc", shares, self.basis[:, places]).astype(np.float64)
        self.middle = self.mean_landmarks.mean(0)
        self.wanted = wanted
        self.centre = wanted.mean(0)
        self.eyes = float(np.linalg.norm(wanted[36] - wanted[45]))
        # A face from the side shows its eyes close together: its height says how large it is.
        self.sigma = noise * max(self.eyes, 0.55 * float(np.ptp(wanted[:, 1])))
        self.spread = np.ones(68)
        self.sliding: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def start(self) -> _State:
        """Pose of the mean head under weak perspective: a linear fit, brought to the nearest rotation."""
        points = self.mean_landmarks - self.middle
        flat = (self.wanted - self.centre) * [1, -1]
        linear = np.linalg.lstsq(np.column_stack([points, np.ones(68)]), flat, rcond=None)[0]
        u, singular, vt = np.linalg.svd(linear[:3].T, full_matrices=False)
        rows = u @ vt
        scale = float(singular.mean())
        return _State(
            rotation=np.stack([*rows, np.cross(rows[0], rows[1])]),
            place=linear[3] / scale,
            scale=scale,
            closeness=_CLOSENESS,
            coefficients=np.zeros(sum(self.counts)),
        )

    def solve(self, state: _State) -> _State:
        """Levenberg-Marquardt: shorter steps while they do not help."""
        damping = 1e-3
        residuals, slopes = self._linearized(state)
        cost = self._cost(residuals)
        for _ in range(_STEPS * _ROUNDS):
            weights = self._weights(residuals)
            weighted = slopes * weights[:, None]
            normal = weighted.T @ slopes
            gradient = weighted.T @ residuals
            step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-9), gradient)
            moved = state.moved(step)
            tried, tried_slopes = self._linearized(moved)
            if (lower := self._cost(tried)) < cost:
                finished = cost - lower < 1e-4 * cost
                state, residuals, slopes, cost = moved, tried, tried_slopes, lower
                damping = max(damping / 5, 1e-7)
                if finished:
                    break
            else:
                damping *= 10
        return state

    def slide(self, silhouette: Silhouette, state: _State, edges: np.ndarray) -> None:
        """Pair points (n, 2) px of an outline with the points of the head that lie on it now."""
        camera = self._camera(state, (1, 1))
        self.sliding = silhouette.match(self._vertices(state), camera, edges, 0.25 * self.eyes)

    def result(self, state: _State, size: tuple[int, int]) -> HeadFit:
        camera, vertices = self._camera(state, size), self._vertices(state)
        found, _ = self._seen(state, self.mean_landmarks, self.landmark_basis)
        found = found.astype(np.float32)
        return HeadFit(
            shape=state.coefficients[: self.counts[0]].astype(np.float32),
            expression=state.coefficients[self.counts[0] :].astype(np.float32),
            camera=camera,
            vertices=vertices.astype(np.float32),
            landmarks=found,
            residual=float(landmark_error(found[None], self.wanted[None])[0]),
        )

    def _vertices(self, state: _State) -> np.ndarray:
        return self.mean + np.tensordot(state.coefficients.astype(np.float32), self.basis, 1)

    def _camera(self, state: _State, size: tuple[int, int]) -> HeadCamera:
        distance = 1 / state.closeness
        return HeadCamera(
            rotation=state.rotation,
            translation=np.array([*state.place, -distance]) - state.rotation @ self.middle,
            focal=state.scale * distance,
            centre=(float(self.centre[0]), float(self.centre[1])),
            size=size,
        )

    def _linearized(self, state: _State) -> tuple[np.ndarray, np.ndarray]:
        """Residuals (n,) in standard deviations, and their derivatives (n, parameters)."""
        found, slopes = self._seen(state, self.mean_landmarks, self.landmark_basis)
        spread = (self.sigma * self.spread)[:, None]
        residuals = [((found - self.wanted) / spread).ravel()]
        derivatives = [(slopes / spread[..., None]).reshape(136, -1)]
        if self.sliding is not None:
            places, edges, normals = self.sliding
            found, slopes = self._seen(state, self.mean[places], self.basis[:, places])
            spread = self.sigma * _OUTLINE_SPREAD
            residuals.append(((found - edges) * normals).sum(1) / spread)
            derivatives.append(np.einsum("nc,ncp->np", normals, slopes) / spread)
        prior = np.zeros((1 + sum(self.counts), slopes.shape[-1]))
        prior[0, 6] = 1 / _CLOSENESS_SPREAD
        prior[1:, _POSE:] = np.eye(sum(self.counts))
        residuals += [[(state.closeness - _CLOSENESS) / _CLOSENESS_SPREAD], state.coefficients]
        return np.concatenate(residuals), np.concatenate([*derivatives, prior])

    def _seen(self, state: _State, points: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (n, 2) of points (n, 3) with basis (k, n, 3), and derivatives (n, 2, parameters)."""
        moved = points - self.middle + np.tensordot(state.coefficients, basis, 1)
        turned = moved @ state.rotation.T
        nearness = 1 / (1 - state.closeness * turned[:, 2])  # what perspective enlarges
        flat = turned[:, :2] + state.place
        flip = np.array([1.0, -1.0]) * state.scale
        pixels = self.centre + flat * nearness[:, None] * flip

        x, y, z = turned.T
        zero = np.zeros_like(x)
        spins = np.array([[zero, z, -y], [-z, zero, x], [y, -x, zero]]).transpose(2, 0, 1)  # (n, 3, axis)
        changes = np.concatenate([spins, np.einsum("cd,knd->nck", state.rotation, basis)], axis=2)
        inner = (
            changes[:, :2] + flat[:, :, None] * (state.closeness * nearness)[:, None, None] * changes[:, 2:]
        )
        inner = inner * nearness[:, None, None]
        slopes = np.empty((len(x), 2, _POSE + len(basis)))
        slopes[:, :, :3], slopes[:, :, _POSE:] = inner[:, :, :3], inner[:, :, 3:]
        slopes[:, :, 3:5] = np.eye(2) * nearness[:, None, None]
        slopes[:, :, 5] = flat * nearness[:, None]
        slopes[:, :, 6] = flat * (nearness**2 * z)[:, None]
        return pixels, slopes * flip[:, None]

    def _weights(self, residuals: np.ndarray) -> np.ndarray:
        """Huber's: landmarks that went astray pull no harder than ones that are a little off."""
        weights = np.minimum(1, _ROBUST / np.maximum(np.abs(residuals), 1e-9))
        weights[-1 - sum(self.counts) :] = 1  # of the prior
        return weights

    def _cost(self, residuals: np.ndarray) -> float:
        data, prior = np.split(np.abs(residuals), [len(residuals) - 1 - sum(self.counts)])
        huber = np.where(data < _ROBUST, data**2, _ROBUST * (2 * data - _ROBUST))
        return float(huber.sum() + (prior**2).sum())


def _checked(landmarks: np.ndarray) -> np.ndarray:
    wanted = np.asarray(landmarks, np.float64)
    if wanted.shape != (68, 2) or not np.isfinite(wanted).all():
        raise ValueError(f"landmarks {wanted.shape}: expected 68 points (68, 2) of finite numbers")
    if np.ptp(wanted, axis=0).min() < 1:
        raise ValueError("landmarks: they span less than a pixel, expected those of a face")
    return wanted


def _outline_points(landmarks: np.ndarray, parsing: np.ndarray | None, outline: bool) -> np.ndarray:
    """Points (n, 2) px of the face's visible outline: of the parsing where there is one, or the jaw's landmarks."""
    if parsing is None:
        return landmarks[JAW] if outline else np.empty((0, 2))
    points = snap_to_outline(landmarks, parsing)[JAW]
    outwards = points - landmarks[27:36].mean(0)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=1, keepdims=True), 1e-9)
    step = 0.015 * float(np.ptp(landmarks[:, 1])) + 1
    column, row = np.floor(points + outwards * step).astype(int).T
    height, width = parsing.shape
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    beyond = parsing[row.clip(0, height - 1), column.clip(0, width - 1)]
    return points[inside & np.isin(beyond, _BEYOND_OUTLINE)]
