"""A textured head as files for other programs: GLB, and OBJ with its material.

The order of the template's vertices is kept, so that what was rigged to them still fits. Texture coordinates start at
the top-left corner in glTF and at the bottom-left one in OBJ.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.exchange import gltf

from faces.provenance import Provenance, save_image, to_png_bytes, write_whole
from pipelines.texture.camera import as_array
from pipelines.texture.rasterizer import vertex_normals
from pipelines.texture.unwrapping import split_from

if TYPE_CHECKING:
    from pipelines.texture.template import HeadTemplate

ORIGINAL = "_ORIGINAL_VERTEX"
"""Attribute of the vertices in a GLB: the index of the vertex that each was before a texture seam split it."""
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963
"""ARRAY_BUFFER and ELEMENT_ARRAY_BUFFER of section 5.11.5 of the glTF 2.0 specification."""
_METRES = 0.1
"""In a decimetre; glTF counts in metres."""


def export_glb(
    path: str | os.PathLike[str],
    vertices: np.ndarray,
    template: HeadTemplate,
    texture: np.ndarray | Image.Image,
    provenance: Provenance,
    *,
    unlit: bool = True,
) -> Path:
    """Write a head as one binary glTF file with its texture in it.

    Args:
        path: .glb; the folder exists.
        vertices: (V, 3) dm, written in metres.
        template: the `HeadTemplate` whose triangles and texture coordinates these are.
        texture: (s, s, 3) uint8 or floats in 0..1, or a picture, row 0 on top.
        provenance: the record, kept in the file's `asset.extras`.
        unlit: show the texture as it is, with KHR_materials_unlit, where a program's lights would look like faults
            of the texture; programs without it fall back to a rough material.

    Raises:
        ValueError: another suffix, or vertices that are not the template's.
    """
    path = _checked(path, ".glb", vertices, template)
    return write_whole(path, to_glb_bytes(vertices, template, texture, provenance, unlit=unlit))


def to_glb_bytes(
    vertices: np.ndarray,
    template: HeadTemplate,
    texture: np.ndarray | Image.Image,
    provenance: Provenance,
    *,
    unlit: bool = True,
) -> bytes:
    """The bytes of `export_glb`'s file; equal arguments give equal bytes."""
    originals, triangles = split_from(as_array(template.mean)), as_array(template.triangles)
    uv = as_array(template.uv).astype(np.float64)
    png = to_png_bytes(texture, provenance)
    material = trimesh.visual.material.PBRMaterial(
        name="skin", baseColorTexture=Image.open(io.BytesIO(png)), metallicFactor=0.0, roughnessFactor=1.0
    )
    mesh = trimesh.Trimesh(
        vertices=np.asarray(vertices, np.float64) * _METRES,
        faces=triangles,
        vertex_normals=vertex_normals(vertices, triangles, originals),
        # trimesh counts v from the bottom and turns it over for glTF.
        visual=trimesh.visual.TextureVisuals(uv=np.column_stack([uv[:, 0], 1 - uv[:, 1]]), material=material),
        process=False,  # merging would change the order of the vertices
        # glTF has no attribute of 32-bit integers; floats hold these exactly.
        vertex_attributes={ORIGINAL: originals.astype(np.float32)},
    )

    def embed(buffers: dict[Any, bytes], tree: dict[str, Any]) -> None:
        # trimesh encodes the picture anew and loses its record: put in the bytes that have it.
        key = list(buffers)[tree["images"][0]["bufferView"]]
        buffers[key] = png + b"\0" * (-len(png) % 4)

    def finish(tree: dict[str, Any]) -> None:
        tree["asset"]["extras"] = {"mien": json.loads(provenance.to_json())}
        tree["asset"]["generator"] = f"Mien {provenance.tool_version}"
        for primitive in tree["meshes"][0]["primitives"]:
            attributes = ((accessor, _VERTEX_BUFFER) for accessor in primitive["attributes"].values())
            for accessor, target in (*attributes, (primitive["indices"], _INDEX_BUFFER)):
                tree["bufferViews"][tree["accessors"][accessor]["bufferView"]]["target"] = target
        if unlit:
            tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), "KHR_materials_unlit"})
            for entry in tree["materials"]:
                entry.setdefault("extensions", {})["KHR_materials_unlit"] = {}

    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name="head", geom_name="head")
    return gltf.export_glb(scene, include_normals=True, tree_postprocessor=finish, buffer_postprocessor=embed)


def export_obj(
    path: str | os.PathLike[str],
    vertices: np.ndarray,
    template: HeadTemplate,
    texture: np.ndarray | Image.Image,
    provenance: Provenance,
) -> Path:
    """Write a head as OBJ, with its material (.mtl) and its texture (.png) beside it under the same name.

    Vertices are in decimetres. Those that texture seams split are one again: `f` names places and texture coordinates
    apart, and the texture coordinates are those of the template in its order.

    Raises:
        ValueError: another suffix, or vertices that are not the template's.
    """
    path = _checked(path, ".obj", vertices, template)
    kept, index = np.unique(split_from(as_array(template.mean)), return_inverse=True)
    triangles, uv = as_array(template.triangles), as_array(template.uv)
    corners = np.stack([index[triangles], triangles], axis=2).reshape(-1, 6) + 1  # OBJ counts from 1
    name = path.stem
    save_image(texture, path.with_suffix(".png"), provenance)
    material = f"newmtl skin\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {name}.png\n"
    write_whole(path.with_suffix(".mtl"), material.encode())
    lines = io.StringIO()
    lines.write(f"# Mien {provenance.tool_version}: {provenance.to_json()}\nmtllib {name}.mtl\no head\n")
    np.savetxt(lines, vertices[kept], fmt="v %.6f %.6f %.6f")
    np.savetxt(lines, np.column_stack([uv[:, 0], 1 - uv[:, 1]]), fmt="vt %.6f %.6f")
    lines.write("usemtl skin\n")
    np.savetxt(lines, corners, fmt="f %d/%d %d/%d %d/%d")
    return write_whole(path, lines.getvalue().encode())


def _checked(path: str | os.PathLike[str], suffix: str, vertices: np.ndarray, template: HeadTemplate) -> Path:
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise ValueError(f"{path}: unknown suffix '{path.suffix}', permitted: {suffix}")
    expected = as_array(template.mean).shape
    if np.shape(vertices) != expected:
        raise ValueError(f"vertices {np.shape(vertices)}: expected those of the template, {expected}")
    return path
