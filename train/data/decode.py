"""From the bytes of one member of a sample to a value, by its extension."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
from PIL import Image

from faces.flow import decode_flow

PICTURES = {"png", "webp", "jpg", "jpeg"}


def field_name(extension: str) -> str:
    """Return a member's key in the sample: png -> image, parsing.png -> parsing, json -> labels."""
    name, _, kind = extension.rpartition(".")
    if name:
        return name
    return {"json": "labels"}.get(kind, "image" if kind in PICTURES else kind)


def decode(extension: str, data: bytes) -> Any:
    """Return the value of a member.

    Pictures become uint8 arrays, (h, w, 3) RGB or (h, w) where the file is grey or a palette of labels; npy
    arrays stay as they are, and so does flow of KITTI's format as (h, w, 3) float32: dx, dy in pixels, and 1 where
    it is valid; json becomes a dict; txt a str; anything else stays bytes.
    """
    kind = extension.rpartition(".")[2].lower()
    if extension == "flow.png":
        flow, valid = decode_flow(data)
        return np.dstack([flow, valid]).astype(np.float32)
    if kind in PICTURES:
        with Image.open(io.BytesIO(data)) as picture:
            return picture_array(picture)
    if kind == "npy":
        return np.load(io.BytesIO(data), allow_pickle=False)
    if kind == "json":
        return json.loads(data)
    return data.decode() if kind == "txt" else data


def picture_array(picture: Image.Image) -> np.ndarray:
    """Return a picture as uint8: (h, w) for modes L and P, (h, w, 3) RGB for all others."""
    # A palette image keeps its indices: parsing maps are stored so, the indices being the labels.
    plain = picture if picture.mode in ("L", "P", "RGB") else picture.convert("RGB")
    return np.array(plain, dtype=np.uint8)
