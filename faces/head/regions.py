"""Regions of the skin in texture space: parsing classes, makeup masks, beard and mouth cavity."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from faces import vocabulary
from faces.head.assets import HeadAssets
from faces.head.landmarks import landmark_vertices

SIZE = 1024
_TEXELS = 512  # the skins' own size, in which the lips below were measured
# Outline of the lips in texels of the skin textures (u, distance from the middle line); the face lies on its side.
_LIPS = (
    (460.0, 0.0),
    (459.2, 1.8),
    (459.9, 4.2),
    (461.7, 7.2),
    (464.3, 10.4),
    (468.6, 8.2),
    (471.3, 4.6),
    (472.2, 0.0),
)
_LIP_MIDDLE = 264.6
_LIP_SEAM = 465.4
_ID = {name: index for index, name in enumerate(vocabulary.PARSING)}


@dataclass(frozen=True, slots=True)
class Regions:
    """Maps over texture space, rows from the top.

    Attributes:
        parsing: (s, s) uint8 ids of `vocabulary.PARSING`.
        makeup: (s, s, 4) uint8 closeness to the core of lips, shadow, liner and blush (255 = core).
        skin: (s, s, 4) uint8 beard, scalp, mouth cavity, unused.
        vertex_uv: (k, 2) texture place of each kept vertex on the head's island, u right and v down, 0..1.
    """

    parsing: np.ndarray
    makeup: np.ndarray
    skin: np.ndarray
    vertex_uv: np.ndarray


def build_regions(assets: HeadAssets) -> Regions:
    """Paint the regions for the assets' texture layout."""
    vertex_uv, island = _islands(assets)
    landmark_uv = vertex_uv[landmark_vertices(assets)]
    faces_uv = _flip(assets.body.uv)[assets.body.face_uv] * SIZE
    parsing = np.full((SIZE, SIZE), _ID["skin"], np.uint8)
    for label, chosen in _face_labels(assets, island).items():
        _fill(parsing, faces_uv[chosen], label)
    parsing = _smooth_nose(parsing)
    lips = _lip_polygon()
    inside = np.zeros_like(parsing)
    cv2.fillPoly(inside, [np.round(lips * 16).astype(np.int32)], 1, shift=4)
    columns = np.arange(SIZE)[None]
    seam = _LIP_SEAM * SIZE / _TEXELS
    head = _ID["skin"] == parsing
    parsing[(inside > 0) & head & (columns < seam)] = _ID["u_lip"]
    parsing[(inside > 0) & head & (columns >= seam)] = _ID["l_lip"]
    cavity = np.zeros_like(parsing)
    _fill(cavity, faces_uv[island == 1], 255)
    skin = np.dstack([_beard(landmark_uv), np.zeros_like(cavity), cavity, np.zeros_like(cavity)])
    return Regions(parsing=parsing, makeup=_makeup(landmark_uv, lips), skin=skin, vertex_uv=vertex_uv)


def _flip(uv: np.ndarray) -> np.ndarray:
    return np.column_stack([uv[:, 0], 1 - uv[:, 1]]).astype(np.float32)


def _islands(assets: HeadAssets) -> tuple[np.ndarray, np.ndarray]:
    """Texture place of each vertex on the head's island, and 0 head, 1 mouth cavity, 2 other for each face."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    face_uv, count = assets.body.face_uv, len(assets.body.uv)
    rows, columns = face_uv.ravel(), np.roll(face_uv, 1, axis=1).ravel()
    _, component = connected_components(
        coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(count, count))
    )
    of_face = component[face_uv[:, 0]]
    nose = assets.index(297)
    head = of_face[(assets.body.faces == nose).any(axis=1)][0]
    centre = assets.base[assets.body.faces].mean(axis=1)
    in_mouth = (np.abs(centre[:, 0]) < 0.5) & (np.abs(centre[:, 1] - 6.6) < 0.4) & (centre[:, 2] > 0.3)
    island = np.full(len(face_uv), 2)
    island[of_face == head] = 0
    for other in np.unique(of_face[of_face != head]):
        if in_mouth[of_face == other].mean() > 0.9:
            island[of_face == other] = 1
    uv = np.zeros((len(assets.base), 2), np.float32)
    flipped = _flip(assets.body.uv)
    for chosen in (island != 0, island == 0):  # the head's own island last, so that it wins on seams
        uv[assets.body.faces[chosen].ravel()] = flipped[face_uv[chosen].ravel()]
    return uv, island


def _moved(assets: HeadAssets, names: tuple[str, ...], least: float) -> np.ndarray:
    moved = np.zeros(len(assets.base), np.float32)
    for name in names:
        index, offset = assets.targets[name]
        np.maximum.at(moved, index, np.linalg.norm(offset, axis=1))
    return moved > least


def _face_labels(assets: HeadAssets, island: np.ndarray) -> dict[int, np.ndarray]:
    faces, base = assets.body.faces, assets.base
    centre = base[faces].mean(axis=1)
    x, y, z = centre.T
    ears = _moved(assets, ("ears/l-ear-scale-incr", "ears/r-ear-scale-incr"), 0.02)[faces].all(axis=1)
    ears &= (np.abs(x) > 0.69) & (z < 0.75)
    ears |= (island == 2) & (np.abs(x) > 0.6) & (np.abs(y - 7.0) < 0.5)  # the inner ear has its own island
    nose = _moved(assets, ("nose/nose-volume-incr", "nose/nose-scale-horiz-incr"), 0.02)[faces].all(axis=1)
    nose &= (np.abs(x) < 0.24) & (y > 6.76) & (y < 7.24)
    neck = (y < 6.12 + 0.35 * np.clip(1.15 - z, 0, 1.6)) & (z < 1.12 + 0.1 * np.abs(x))
    return {
        _ID["neck"]: neck & (island != 1) & ~ears,
        _ID["nose"]: nose,
        _ID["l_ear"]: ears & (x > 0),
        _ID["r_ear"]: ears & (x < 0),
        _ID["mouth"]: island == 1,
    }


def _fill(image: np.ndarray, polygons: np.ndarray, value: int) -> None:
    cv2.fillPoly(image, [np.round(polygon * 16).astype(np.int32) for polygon in polygons], value, shift=4)


def _smooth_nose(parsing: np.ndarray) -> np.ndarray:
    nose = cv2.GaussianBlur((parsing == _ID["nose"]).astype(np.float32), (0, 0), 5) > 0.5
    smooth = np.where(parsing == _ID["nose"], _ID["skin"], parsing)
    return np.where(nose & (smooth == _ID["skin"]), _ID["nose"], smooth).astype(np.uint8)


def _lip_polygon() -> np.ndarray:
    half = np.array(_LIPS)
    right = half * [1, -1]
    outline = np.concatenate([half, right[-2:0:-1]])
    outline[:, 1] += _LIP_MIDDLE
    return (outline * SIZE / _TEXELS).astype(np.float32)


def _closeness(core: np.ndarray, reach: float) -> np.ndarray:
    """255 inside the core, falling to 0 at `reach` texels from it."""
    distance = cv2.distanceTransform(np.where(core > 0, 0, 255).astype(np.uint8), cv2.DIST_L2, 5)
    return (255 * np.clip(1 - distance / reach, 0, 1)).astype(np.uint8)


def _makeup(landmarks: np.ndarray, lips: np.ndarray) -> np.ndarray:
    layers = []
    points = landmarks * SIZE
    lip = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(lip, [np.round(lips * 16).astype(np.int32)], 1, shift=4)
    layers.append(_closeness(lip, 3.0))
    shadow, liner, blush = (np.zeros((SIZE, SIZE), np.uint8) for _ in range(3))
    for upper, lower, brow in (
        ((36, 37, 38, 39), (39, 40, 41, 36), (17, 18, 19, 20, 21)),
        ((45, 44, 43, 42), (42, 47, 46, 45), (26, 25, 24, 23, 22)),
    ):
        lid = points[list(upper)]
        over = lid * 0.62 + points[list(brow)][[0, 1, 3, 4]] * 0.38
        cv2.fillPoly(shadow, [np.round(np.concatenate([lid, over[::-1]])).astype(np.int32)], 1)
        outer, inner = lid[0], lid[-1]
        wing = outer + 0.22 * (outer - inner) + 0.10 * (over[0] - lid[0])
        line = np.concatenate([[wing], lid])
        cv2.polylines(liner, [np.round(line).astype(np.int32)], False, 1, 2)
        cv2.polylines(liner, [np.round(points[list(lower)]).astype(np.int32)], False, 1, 1)
    for eye, jaw, nostril in ((36, 2, 31), (45, 14, 35)):
        centre = 0.36 * points[eye] + 0.36 * points[jaw] + 0.28 * points[nostril]
        cv2.circle(blush, tuple(int(round(value)) for value in centre), 5, 1, -1)
    layers += [_closeness(shadow, 12.0), _closeness(liner, 3.0), _closeness(blush, 34.0)]
    return np.dstack(layers)


def _beard(landmarks: np.ndarray) -> np.ndarray:
    """Where a beard shadow grows: jaw, chin and upper lip, soft at the edge."""
    points = landmarks * SIZE
    area = np.zeros((SIZE, SIZE), np.uint8)
    upper = [points[31], points[33], points[35]]
    cheek_right = [
        points[2] * 0.8 + points[48] * 0.2,
        points[3] * 0.6 + points[48] * 0.4,
        points[48] * 0.8 + points[31] * 0.2,
    ]
    cheek_left = [
        points[14] * 0.8 + points[54] * 0.2,
        points[13] * 0.6 + points[54] * 0.4,
        points[54] * 0.8 + points[35] * 0.2,
    ]
    below = [point + (points[8] - points[57]) * 0.35 for point in points[[13, 11, 8, 5, 3]]]
    outline = cheek_right + upper + cheek_left[::-1] + below
    cv2.fillPoly(area, [np.round(np.array(outline)).astype(np.int32)], 255)
    lips = np.zeros_like(area)
    cv2.fillPoly(lips, [np.round(_lip_polygon()).astype(np.int32)], 255)
    area[cv2.dilate(lips, np.ones((3, 3), np.uint8)) > 0] = 0
    return cv2.GaussianBlur(area, (0, 0), 6)
