"""Ambient occlusion of the neutral head: how open to the sky each vertex is, from its own geometry."""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from faces.head.assets import HeadAssets
from faces.head.geometry import Part

_REACH = 0.45  # decimetres


def baked_occlusion(assets: HeadAssets, parts: dict[str, Part]) -> dict[str, np.ndarray]:
    """Openness 0..1 for every vertex of every part.

    For skin it is measured against the skin around: neighbours within reach that stand above the tangent plane
    close the view, after the height-field idea of Bavoil & Sainz (2008). Hair darkens towards the scalp.
    """
    body = parts["body"]
    normals = np.zeros_like(assets.base)
    normals[body.vertex] = body.normals(assets.base)
    used = np.unique(assets.body.faces)
    tree = KDTree(assets.base[used])
    openness = {"body": np.ones(len(assets.base), np.float32)}
    for vertex, near in zip(used, tree.query_ball_point(assets.base[used], _REACH), strict=True):
        offset = assets.base[used[near]] - assets.base[vertex]
        distance = np.linalg.norm(offset, axis=1)
        real = distance > 0.02
        if not real.any():
            continue
        rise = (offset[real] @ normals[vertex]) / distance[real]
        weight = 1 - distance[real] / _REACH
        blocked = (np.clip(rise - 0.1, 0, 1) * weight).sum() / max(weight.sum(), 1e-6)
        openness["body"][vertex] = np.clip(1 - 1.7 * blocked, 0.25, 1)
    skull = KDTree(assets.base[used])
    for name, proxy in assets.proxies.items():
        vertices = proxy.fit(assets.base)
        if len(vertices) > 500 and name not in {"eyes", "teeth"}:  # hair
            distance, _ = skull.query(vertices)
            openness[name] = np.clip(0.55 + 1.1 * distance, 0, 1).astype(np.float32)
        elif name == "eyes":
            openness[name] = np.full(len(vertices), 0.8, np.float32)
        else:
            openness[name] = np.ones(len(vertices), np.float32)
    return openness
