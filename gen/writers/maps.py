"""Pictures beside the picture of a sample, as PNG files: label maps, masks, flow, the other of a pair, and so on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from faces.flow import decode_flow, encode_flow
from gen.record import Entry


@dataclass(frozen=True, kw_only=True, slots=True)
class Map:
    """How one field of an `Entry` becomes a file, and is read back."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    is_picture: bool = True
    """False where programs that show pictures would lose something: they cut 16 bits to 8."""


def _labels_png(labels: np.ndarray) -> bytes:
    return cv2.imencode(".png", labels)[1].tobytes()


def _labels_array(png: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE))


def _masks_png(masks: np.ndarray) -> bytes:
    """Weights of three regions as the red, green and blue of a PNG."""
    return cv2.imencode(".png", masks[..., ::-1])[1].tobytes()


def _masks_array(png: bytes) -> np.ndarray:
    pixels = np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR))
    return np.ascontiguousarray(pixels[..., ::-1])


def _flow_png(flow: np.ndarray) -> bytes:
    return encode_flow(flow[..., :2], flow[..., 2] > 0)


def _flow_array(png: bytes) -> np.ndarray:
    flow, seen = decode_flow(png)
    return np.dstack([flow, seen.astype(np.float32)])


MAPS: dict[str, Map] = {
    "parsing": Map(encode=_labels_png, decode=_labels_array),
    "masks": Map(encode=_masks_png, decode=_masks_array),
    "flow": Map(encode=_flow_png, decode=_flow_array, is_picture=False),
    "target": Map(encode=bytes, decode=bytes),
    "target_parsing": Map(encode=_labels_png, decode=_labels_array),
    "visibility": Map(encode=_labels_png, decode=_labels_array),
    "partial": Map(encode=bytes, decode=bytes),
    "preview": Map(encode=bytes, decode=bytes),
}
"""By the names of the fields, which are those of members, folders and columns too."""


def encoded(entry: Entry) -> dict[str, bytes]:
    """The PNG files of an entry, by the names of `MAPS`, without what it does not have."""
    values = {name: getattr(entry, name) for name in MAPS}
    return {name: MAPS[name].encode(value) for name, value in values.items() if value is not None}


def decoded(files: Mapping[str, bytes | None]) -> dict[str, Any]:
    """The fields of an entry, from what `encoded` gave; None for files that there are not."""
    found = {name: files.get(name) for name in MAPS}
    return {name: None if png is None else MAPS[name].decode(png) for name, png in found.items()}
