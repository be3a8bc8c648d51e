"""Parquet with the images inside, as `datasets.load_dataset` and the viewers of the hub open it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gen import atomic
from gen.record import SCHEMA, Entry, complete
from gen.writers import maps

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def write(data: Path, name: str, index: int, shards: int, entries: Sequence[Entry]) -> list[Path]:
    """Write one file, NAME-00000-of-00004.parquet."""
    rows = [
        {
            "image": {"bytes": entry.png, "path": f"{entry.key}.png"},
            **{
                name: {"bytes": png, "path": f"{entry.key}.{name}.png"} if maps.MAPS[name].is_picture else png
                for name, png in maps.encoded(entry).items()
            },
            **entry.record,
        }
        for entry in entries
    ]
    path = data / f"{name}-{index:05d}-of-{shards:05d}.parquet"
    with atomic.replaced(path) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema()), file, row_group_size=100)
    return [path]


def read(data: Path, name: str) -> Iterator[Entry]:
    """Read all files of a name in order."""
    for path in sorted(data.glob(f"{name}-[0-9]*-of-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            marks = row["landmarks68"]
            yield Entry(
                record=complete(row),
                png=row["image"]["bytes"],
                landmarks=None if marks is None else np.array(marks, np.float32).reshape(-1, 2),
                **maps.decoded({name: _bytes(row.get(name)) for name in maps.MAPS}),
            )


def patterns(name: str) -> list[str]:
    """The files."""
    return [f"data/{name}-*.parquet"]


def features() -> None:
    """Nothing: the files say them."""
    return None


def schema() -> pa.Schema:
    """Columns with the note for `datasets` which of them are pictures."""
    from datasets import Features, Image

    pictures = ("image", *(name for name, each in maps.MAPS.items() if each.is_picture))
    others = [name for name in maps.MAPS if name not in pictures]
    plain = pa.schema(
        [
            *(pa.field(name, _IMAGE) for name in pictures),
            *(pa.field(name, pa.binary()) for name in others),
            *SCHEMA,
        ]
    )
    features = Features.from_arrow_schema(plain)
    for name in pictures:
        features[name] = Image()
    return plain.with_metadata(features.arrow_schema.metadata)


def _bytes(value: dict[str, Any] | bytes | None) -> bytes | None:
    """The file in a cell, which pictures share with its name."""
    return value["bytes"] if isinstance(value, dict) else value
