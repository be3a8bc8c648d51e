"""What all textures of a dataset share: their layout and the head that wears them, as files beside the shards."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from gen import atomic
from pipelines.texture import export
from pipelines.texture.camera import as_array

if TYPE_CHECKING:
    from pipelines.texture.pipeline import TexturePipeline

FOLDER = "layout"
_FACTS = "layout.json"
_FILES = {
    "valid.png": "255 where a texel lies on the mesh, else 0",
    "mirror.npy": "(size, size, 2) float32, place (x, y) in texels of a texel's mirror image on the other side of the "
    "head, the centre of the first texel at 0.5",
    "charts.png": "number of the connected part of the layout, 0 outside of all",
    "head.obj": "the mean head in decimetres with its texture coordinates, material and the mean texture",
    "head.mtl": "its material",
    "head.png": "the mean of the textures that the model learned from",
    "head.glb": "the same as glTF, in metres",
}


def write(out: Path, pipe: TexturePipeline) -> None:
    """Write the layout of a pipeline's textures into a dataset; the file that describes the others comes last.

    Args:
        out: folder of the dataset.
        pipe: what makes the textures.
    """
    layout, folder = pipe.layout, out / FOLDER
    buffer = io.BytesIO()
    np.save(buffer, layout.mirror.astype(np.float32))
    atomic.write_bytes(folder / "valid.png", _png(layout.valid.astype(np.uint8) * 255))
    atomic.write_bytes(folder / "mirror.npy", buffer.getvalue())
    atomic.write_bytes(folder / "charts.png", _png(layout.charts))

    record = pipe.provenance(role="mean head", mesh_id=layout.mesh_id)
    texture = (as_array(pipe.mean_texture()).transpose(1, 2, 0) / 2 + 0.5).clip(0, 1)
    vertices = as_array(pipe.template.mean)
    export.export_obj(folder / "head.obj", vertices, pipe.template, texture, record)
    export.export_glb(folder / "head.glb", vertices, pipe.template, texture, record)

    facts = {"mesh_id": layout.mesh_id, "size": layout.size, "v_down": layout.v_down}
    hashes = {f"{FOLDER}/{name}": atomic.sha256(folder / name) for name in _FILES}
    files = {f"{FOLDER}/{name}": text for name, text in _FILES.items()}
    atomic.write_json(folder / _FACTS, {**facts, "files": files, "sha256": hashes})


def read(out: Path) -> dict[str, Any]:
    """Facts of a dataset's layout: mesh_id, size, v_down, files and their hashes; empty where there is none."""
    path = out / FOLDER / _FACTS
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def is_written(out: Path) -> bool:
    """Whether the layout is there, undamaged."""
    hashes = read(out).get("sha256", {})
    return bool(hashes) and all(
        (out / name).is_file() and atomic.sha256(out / name) == value for name, value in hashes.items()
    )


def _png(labels: np.ndarray) -> bytes:
    return cv2.imencode(".png", labels)[1].tobytes()
