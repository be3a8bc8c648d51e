"""Arrays computed once and read often (latents, embeddings, tokens): memory-mapped .npy files in a folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from train.checkpoint import publish

_INDEX = "cache.json"


class ArrayCache:
    """A map-style dataset of what `write_cache` wrote: index -> {name: array}, each array a copy.

    Args:
        folder: The folder of the cache.
        source: When given, has to equal the source the cache was written from; ValueError otherwise.
    """

    def __init__(self, folder: Path | str, source: Any = None) -> None:
        self.folder = Path(folder)
        if not (self.folder / _INDEX).exists():
            raise FileNotFoundError(
                f"{self.folder}: no cache here ({_INDEX} is missing); write it with write_cache"
            )
        index = json.loads((self.folder / _INDEX).read_text())
        if source is not None and index["source"] != _as_json(source):
            raise ValueError(
                f"{self.folder}: the cache was made from another source; delete the folder to make it again"
            )
        self.count: int = index["count"]
        self.arrays = {name: np.load(self.folder / f"{name}.npy", mmap_mode="r") for name in index["names"]}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {name: np.array(array[index]) for name, array in self.arrays.items()}


def write_cache(
    folder: Path | str,
    source: Any,
    count: int,
    make: Callable[[range], Mapping[str, np.ndarray]],
    batch_size: int = 64,
) -> ArrayCache:
    """Return the cache in `folder`, computing it first when it is missing or was made from another source.

    Args:
        folder: Where it lies; it appears there only when it is whole.
        source: JSON-able description of everything the arrays depend on (paths, sizes, hashes of weights).
        count: Number of samples.
        make: Computes the arrays, (len(indices), ...) each, of a range of sample indices.
        batch_size: Samples a call of `make`.
    """
    final = Path(folder)
    if _is_current(final, source, count):
        return ArrayCache(final)
    temporary = final.with_name(f".{final.name}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    maps: dict[str, np.memmap] = {}
    for start in range(0, count, batch_size):
        indices = range(start, min(count, start + batch_size))
        for name, values in make(indices).items():
            if len(values) != len(indices):
                raise ValueError(f"cache {final}: {name} has {len(values)} rows for {len(indices)} samples")
            if name not in maps:
                shape = (count, *values.shape[1:])
                maps[name] = open_memmap(temporary / f"{name}.npy", "w+", dtype=values.dtype, shape=shape)
            maps[name][indices.start : indices.stop] = values
    for values in maps.values():
        values.flush()
    index = {"source": _as_json(source), "count": count, "names": sorted(maps)}
    (temporary / _INDEX).write_text(json.dumps(index, indent=2) + "\n")
    publish(temporary, final)
    return ArrayCache(final)


def _is_current(folder: Path, source: Any, count: int) -> bool:
    if not (folder / _INDEX).exists():
        return False
    index = json.loads((folder / _INDEX).read_text())
    return index["source"] == _as_json(source) and index["count"] == count


def _as_json(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True, default=str))
