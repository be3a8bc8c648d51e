"""Formats of a dataset on disk. Each module writes one shard at a time and reads whole datasets back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gen.record import Entry
from gen.writers import folder, parquet, webdataset

if TYPE_CHECKING:
    from datasets import Features


class Writer(Protocol):
    """What a format module offers."""

    def write(self, data: Path, name: str, index: int, shards: int, entries: Sequence[Entry]) -> list[Path]:
        """Write one shard atomically; returns its files (or folders)."""
        ...

    def read(self, data: Path, name: str) -> Iterator[Entry]:
        """Give back every entry in the order of writing."""
        ...

    def patterns(self, name: str) -> list[str]:
        """Globs below the dataset that `datasets.load_dataset` should open."""
        ...

    def features(self) -> Features | None:
        """Types of the columns where `datasets` would guess them from the first rows; else None."""
        ...


WRITERS: dict[str, Writer] = {"webdataset": webdataset, "folder": folder, "parquet": parquet}  # type: ignore[dict-item]


def convert(
    source: Path, source_format: str, target: Path, target_format: str, name: str, per_shard: int
) -> int:
    """Copy a dataset into another format, without loss; returns the number of samples."""
    entries = list(WRITERS[source_format].read(source, name))
    groups = [entries[first : first + per_shard] for first in range(0, len(entries), per_shard)]
    for index, group in enumerate(groups):
        WRITERS[target_format].write(target, name, index, len(groups), group)
    return len(entries)
