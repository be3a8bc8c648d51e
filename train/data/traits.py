"""What a rendered person is, as numbers that a recogniser can learn to read: exact labels that photographs lack."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from faces import vocabulary
from faces.alignment import anchor_points
from faces.head.assets import load_assets
from faces.head.landmarks import landmark_vertices
from faces.head.morph import MorphModel
from faces.head.spec import Identity
from train.data.heads import HeadArrays

TraitKind = Literal["shape", "sliders"]

_AGE = 35.0
_COMPONENTS = 48
_VERTEX_STEP = 6


def identity_traits(heads: HeadArrays, kind: TraitKind = "shape") -> np.ndarray:
    """Standardised numbers of each person: skin, eyes, brows, and the shape of the face.

    Args:
        heads: renders with their specs.
        kind: "shape" gives the principal components of the resting faces, which needs the head assets;
            "sliders" the parameters of the sampler, most of which hardly show.

    Returns:
        (people, k) float32. A slider or colour has deviation 1; a component the more, the more of the variance of the
        shapes it holds, so that what nobody can see does not drown what everybody can.

    Raises:
        AssetError: `kind` is "shape" and the head assets are not found.
    """
    first = np.unique(heads.identity, return_index=True)[1]
    people = [heads.spec(int(index))["identity"] for index in first]
    shape = _shape_components(people) if kind == "shape" else _standardised(_slider_table(people))
    return np.concatenate([_standardised(_colour_table(people)), shape], axis=1).astype(np.float32)


def _colour_table(people: list[dict[str, Any]]) -> np.ndarray:
    brows = sorted({person["brow_style"] for person in people})
    return np.array(
        [
            [
                person["gender"], person["skin_tone"], *person["skin_tint"], person["brow_shade"],
                *(person["eye_colour"] == colour for colour in vocabulary.EYE_COLOURS),
                *(person["brow_style"] == brow for brow in brows),
            ]
            for person in people
        ],
        np.float32,
    )  # fmt: skip


def _slider_table(people: list[dict[str, Any]]) -> np.ndarray:
    sliders = sorted({name for person in people for name in person["details"] if "/r-" not in name})
    return np.array(
        [
            [*person["races"], person["weight"], *(person["details"].get(name, 0.0) for name in sliders)]
            for person in people
        ],
        np.float32,
    )


def _shape_components(people: list[dict[str, Any]]) -> np.ndarray:
    """Principal components of the faces in the portrait's own frame: eyes and mouth at fixed places."""
    assets = load_assets()
    model, landmarks = MorphModel(assets), landmark_vertices(assets)
    used = np.unique(assets.body.faces)
    face = used[(assets.base[used, 1] > 6.0) & (assets.base[used, 2] > 0.2)][::_VERTEX_STEP]
    rows = np.empty((len(people), len(face) * 3), np.float32)
    for row, person in zip(rows, people, strict=True):
        vertices = model.neutral(Identity(**person), _AGE)
        anchors = anchor_points(vertices[landmarks])
        span = np.linalg.norm(anchors[:, :2] - anchors[:, :2].mean(0))
        row[:] = ((vertices[face] - anchors.mean(0)) / span).ravel()
    rows -= rows.mean(axis=0)
    variance, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    variance, axes = variance[::-1][:_COMPONENTS], axes[:, ::-1][:, :_COMPONENTS]
    # A quarter power: between plain scores, where two components rule, and whitened ones, where all count alike.
    return rows @ axes * (np.maximum(variance, 1e-12) ** -0.25 * variance[0] ** -0.25)


def _standardised(table: np.ndarray) -> np.ndarray:
    return (table - table.mean(axis=0)) / (table.std(axis=0) + 1e-6)
