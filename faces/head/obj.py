"""Wavefront .obj meshes as arrays: positions, texture coordinates and quads or triangles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Mesh:
    """A polygon mesh; a triangle is stored as a quad that repeats its last corner.

    Attributes:
        vertices: (v, 3) positions; empty after `select`, whose positions live with the caller.
        uv: (t, 2) texture coordinates, v measured from the bottom of the picture.
        faces: (f, 4) vertex index of each corner.
        face_uv: (f, 4) texture coordinate index of each corner.
    """

    vertices: np.ndarray
    uv: np.ndarray
    faces: np.ndarray
    face_uv: np.ndarray

    def select(self, faces: np.ndarray, kept: np.ndarray) -> Mesh:
        """Keep the given faces and count their vertices within the sorted list `kept`."""
        return Mesh(
            vertices=self.vertices[:0],
            uv=self.uv,
            faces=np.searchsorted(kept, self.faces[faces]),
            face_uv=self.face_uv[faces],
        )

    def triangles(self) -> tuple[np.ndarray, np.ndarray]:
        """Split into triangles: ((n, 3) vertex indices, (n, 3) texture coordinate indices)."""
        split = np.array([[0, 1, 2], [0, 2, 3]])
        vertex, texture = self.faces[:, split].reshape(-1, 3), self.face_uv[:, split].reshape(-1, 3)
        real = vertex[:, 1] != vertex[:, 2]
        return vertex[real], texture[real]


def read_mesh(path: Path) -> tuple[Mesh, dict[str, np.ndarray]]:
    """Read an .obj file and the face indices of each of its groups.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file holds no faces or a line cannot be read; the message names the line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: missing; expected a Wavefront .obj mesh")
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    faces: list[list[int]] = []
    face_uv: list[list[int]] = []
    groups: dict[str, list[int]] = {}
    group = "default"
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            if words[0] == "v":
                vertices.append([float(word) for word in words[1:4]])
            elif words[0] == "vt":
                uv.append([float(word) for word in words[1:3]])
            elif words[0] == "g":
                group = words[1] if len(words) > 1 else "default"
            elif words[0] == "f":
                corners = [(word.split("/") + ["1"])[:2] for word in words[1:5]]
                corners += corners[-1:] * (4 - len(corners))
                groups.setdefault(group, []).append(len(faces))
                faces.append([int(vertex) - 1 for vertex, _ in corners])
                face_uv.append([int(texture or 1) - 1 for _, texture in corners])
        except ValueError as error:
            raise ValueError(f"{path}:{number}: expected an .obj line, found {line!r}") from error
    if not faces:
        raise ValueError(f"{path}: expected an .obj mesh, found no faces")
    mesh = Mesh(
        vertices=np.array(vertices, np.float32),
        uv=np.array(uv or [[0.0, 0.0]], np.float32),
        faces=np.array(faces, np.int64),
        face_uv=np.array(face_uv, np.int64),
    )
    return mesh, {name: np.array(index) for name, index in groups.items()}
