"""WebDataset tar shards as a map-style dataset: random access by offset into the tars, nothing is unpacked.

A folder holds NAME-00000.tar (members KEY.png, KEY.json, KEY.parsing.png, KEY.landmarks.npy, ...), a parquet
file of the same stem with a flat row a sample, and NAME-00000.json, written last, which marks it whole.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from train.data.decode import decode, field_name

Member = tuple[int, int]


class ShardDataset:
    """Samples of all complete shards of one or several folders, in the order of file names and tars.

    A sample is a dict: "key" and the chosen fields, for example "image" (h, w, 3) uint8, "labels" dict,
    "parsing" (h, w) uint8, "landmarks" (68, 2) float32 in pixels.

    Args:
        folders: A folder of shards, or several.
        fields: What to read of each sample; reading less is faster.
    """

    def __init__(
        self, folders: Path | str | Sequence[Path | str], fields: Sequence[str] = ("image", "labels")
    ) -> None:
        several = [folders] if isinstance(folders, (str, Path)) else list(folders)
        self.fields = tuple(fields)
        self.shards = [tar for folder in several for tar in complete_shards(Path(folder))]
        self._samples: list[tuple[int, str, dict[str, Member]]] = []
        for number, tar in enumerate(self.shards):
            self._samples += [(number, key, members) for key, members in _index(tar).items()]
        self._files: dict[int, int] = {}
        self._process = os.getpid()
        self._require_fields()

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, key, members = self._samples[index]
        sample: dict[str, Any] = {"key": key}
        for extension, (offset, size) in members.items():
            name = field_name(extension)
            if name in self.fields:
                sample[name] = self._decode(number, key, extension, offset, size)
        return sample

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": {}}

    @property
    def keys(self) -> list[str]:
        """The key of every sample, in order."""
        return [key for _, key, _ in self._samples]

    def labels(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return the flat label rows of all samples, in order, from the parquet files: no tar is read."""
        paths = [tar.with_suffix(".parquet") for tar in self.shards]
        table = pa.concat_tables(
            [pq.read_table(path, columns=list(columns) if columns else None) for path in paths],
            promote_options="permissive",
        )
        if len(table) != len(self):
            raise ValueError(
                f"{paths[0].parent}: {len(table)} label rows for {len(self)} samples; write the shards again"
            )
        return table

    def _decode(self, number: int, key: str, extension: str, offset: int, size: int) -> Any:
        data = os.pread(self._open(number), size, offset)
        try:
            return decode(extension, data)
        except Exception as error:
            raise ValueError(
                f"{self.shards[number]}: member {key}.{extension} at byte {offset} cannot be read ({error}); "
                "the shard is damaged, write it again"
            ) from error

    def _open(self, number: int) -> int:
        if self._process != os.getpid():  # a forked loader worker must not share the parent's table of files
            self._files, self._process = {}, os.getpid()
        if number not in self._files:
            self._files[number] = os.open(self.shards[number], os.O_RDONLY)
        return self._files[number]

    def _require_fields(self) -> None:
        found = {field_name(extension) for extension in self._samples[0][2]}
        missing = [field for field in self.fields if field not in found]
        if missing:
            raise ValueError(
                f"{self.shards[0]}: samples have no {missing[0]!r}; they have {', '.join(sorted(found))}"
            )


def complete_shards(folder: Path) -> list[Path]:
    """Return the tars of the complete shards in `folder`, sorted; FileNotFoundError when there are none."""
    tars = sorted(tar for tar in folder.glob("*.tar") if tar.with_suffix(".json").exists())
    if not tars:
        raise FileNotFoundError(
            f"{folder}: no complete shard (NAME-00000.tar and NAME-00000.json); `mien heads` writes them"
        )
    return tars


def _index(tar: Path) -> dict[str, dict[str, Member]]:
    """Return key -> extension -> (offset, size) of a tar, reading its headers only."""
    samples: dict[str, dict[str, Member]] = {}
    with tarfile.open(tar, "r:") as archive:
        for member in archive:
            if member.isfile():
                key, _, extension = member.name.partition(".")
                samples.setdefault(key, {})[extension] = (member.offset_data, member.size)
    return samples


def stack(dataset: Any, name: str, indices: Sequence[int]) -> np.ndarray:
    """Return one field of several samples as one array, (n, ...)."""
    return np.stack([np.asarray(dataset[index][name]) for index in indices])
