"""WebDataset shards: NAME-00000.tar, beside it the flat rows as NAME-00000.parquet.

Names sorted, times and owners zero: the same samples give the same bytes.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gen import atomic
from gen.record import SCHEMA, Entry, complete
from gen.writers import maps

if TYPE_CHECKING:
    from datasets import Features


def write(data: Path, name: str, index: int, shards: int, entries: Sequence[Entry]) -> list[Path]:
    """Write one tar and its table."""
    tar, table = data / f"{name}-{index:05d}.tar", data / f"{name}-{index:05d}.parquet"
    with (
        atomic.replaced(tar) as file,
        tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for entry in sorted(entries, key=lambda entry: entry.key):
            for ending, content in sorted(_members(entry).items()):
                member = tarfile.TarInfo(f"{entry.key}.{ending}")
                member.size, member.mode = len(content), 0o644
                archive.addfile(member, io.BytesIO(content))
    with atomic.replaced(table) as file:
        pq.write_table(pa.Table.from_pylist([entry.record for entry in entries], SCHEMA), file)
    return [tar, table]


def read(data: Path, name: str) -> Iterator[Entry]:
    """Read all shards of a name in order."""
    for tar in sorted(data.glob(f"{name}-[0-9]*.tar")):
        with tarfile.open(tar) as archive:
            files: dict[str, dict[str, bytes]] = {}
            for member in archive:
                key, ending = member.name.split(".", 1)
                files.setdefault(key, {})[ending] = archive.extractfile(member).read()  # type: ignore[union-attr]
        yield from (_entry(content) for content in files.values())


def patterns(name: str) -> list[str]:
    """The tars; the tables beside them repeat what the JSON members say."""
    return [f"data/{name}-*.tar"]


def features() -> Features:
    """Types of all members: `datasets` looks at five samples, in which a column may be null that is not later."""
    from datasets import Features, Image, List, Value

    return Features(
        {
            "json": dict(Features.from_arrow_schema(SCHEMA)), "landmarks.npy": List(List(Value("float32"))),
            **{
                f"{name}.png": Image() if each.is_picture else Value("binary")
                for name, each in sorted(maps.MAPS.items())
            },
            "png": Image(), "__key__": Value("string"), "__url__": Value("string"),
        }
    )  # fmt: skip


def _members(entry: Entry) -> dict[str, bytes]:
    members = {
        "png": entry.png,
        "json": json.dumps(entry.record, sort_keys=True, ensure_ascii=False).encode(),
    }
    if entry.landmarks is not None:
        buffer = io.BytesIO()
        np.save(buffer, np.float32(entry.landmarks))
        members["landmarks.npy"] = buffer.getvalue()
    return members | {f"{name}.png": png for name, png in maps.encoded(entry).items()}


def _entry(files: dict[str, bytes]) -> Entry:
    landmarks = files.get("landmarks.npy")
    return Entry(
        record=complete(json.loads(files["json"])),
        png=files["png"],
        landmarks=None if landmarks is None else np.load(io.BytesIO(landmarks)),
        **maps.decoded({name: files.get(f"{name}.png") for name in maps.MAPS}),
    )
