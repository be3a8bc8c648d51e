"""What one picture is drawn from: how to shade, and the vertex arrays of a posed head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from faces.head.morph import HeadShape
from faces.head.spec import HeadSpec


@dataclass(frozen=True, slots=True)
class Shading:
    """How the renderer shades: the second look of the evaluation uses other settings than training."""

    supersampling: int = 2
    albedo_only: bool = False
    diffuse_only: bool = False
    shadows: bool = True


PLAIN = Shading()


@dataclass(slots=True)
class Scene:
    """Vertex arrays of one spec, ready to upload."""

    spec: HeadSpec
    shape: HeadShape
    camera: np.ndarray
    eye: np.ndarray
    landmarks: np.ndarray
    names: list[tuple[str, str]]  # (material, part name)
    buffers: dict[str, tuple[np.ndarray, np.ndarray]]  # part -> (positions and normals (n, 6), static (n, 6))
