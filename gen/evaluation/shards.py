"""Reads pictures and their labels back from WebDataset shards."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from webdataset.compat import WebDataset

_IMAGES = ("png", "webp", "jpg")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One picture of a dataset."""

    key: str
    image: np.ndarray
    """(h, w, 3) uint8."""
    labels: dict
    """What KEY.json holds."""


def read(folder: Path) -> Iterator[Sample]:
    """Read every sample of the shards in a folder, in the order of file names.

    Raises:
        FileNotFoundError: when there is no shard.
        ValueError: naming a sample without a picture or labels.
    """
    shards = sorted(str(path) for path in Path(folder).glob("*.tar")) if Path(folder).is_dir() else []
    if not shards:
        raise FileNotFoundError(
            f"{folder}: no *.tar shards here, as `mien heads` and `mien generate` write them"
        )
    for files in WebDataset(shards, shardshuffle=False, nodesplitter=None, workersplitter=None):
        key = files["__key__"]
        kind = next((kind for kind in _IMAGES if kind in files), None)
        if kind is None or "json" not in files:
            raise ValueError(
                f"{files['__url__']}: sample {key} needs a picture ({', '.join(_IMAGES)}) and a json"
            )
        with Image.open(io.BytesIO(files[kind])) as image:
            pixels = np.asarray(image.convert("RGB"))
        yield Sample(key=key, image=pixels, labels=json.loads(files["json"]))
