"""Plain files after Hugging Face's ImageFolder: NAME-00000/KEY.png and NAME-00000/metadata.jsonl.

What there is beside a picture lies apart, a label map in NAME-00000.parsing/, masks in NAME-00000.masks/ and so on, so
that ImageFolder does not take it for a sample.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from gen import atomic
from gen.record import Entry, complete
from gen.writers import maps


def write(data: Path, name: str, index: int, shards: int, entries: Sequence[Entry]) -> list[Path]:
    """Write one folder of images with its metadata."""
    stem = f"{name}-{index:05d}"
    files = {f"{entry.key}.png": entry.png for entry in entries}
    rows = [{"file_name": f"{entry.key}.png", **entry.record} for entry in entries]
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    beside: dict[str, dict[str, bytes]] = {kind: {} for kind in maps.MAPS}
    for entry in entries:
        for kind, png in maps.encoded(entry).items():
            beside[kind][f"{entry.key}.png"] = png
    written = [_replace(data / stem, {**files, "metadata.jsonl": lines.encode()})]
    return written + [
        _replace(data / f"{stem}.{kind}", content) for kind, content in beside.items() if content
    ]


def read(data: Path, name: str) -> Iterator[Entry]:
    """Read all folders of a name in order."""
    for metadata in sorted(data.glob(f"{name}-[0-9]*/metadata.jsonl")):
        folder = metadata.parent
        for line in metadata.read_text("utf-8").splitlines():
            record = json.loads(line)
            file = record.pop("file_name")
            marks = record["landmarks68"]
            beside = {kind: folder.with_name(f"{folder.name}.{kind}") / file for kind in maps.MAPS}
            yield Entry(
                record=complete(record),
                png=(folder / file).read_bytes(),
                landmarks=None if marks is None else np.array(marks, np.float32).reshape(-1, 2),
                **maps.decoded({kind: at.read_bytes() for kind, at in beside.items() if at.exists()}),
            )


def patterns(name: str) -> list[str]:
    """Images and metadata, without what lies beside them."""
    return [f"data/{name}-?????/*"]


def features() -> None:
    """Nothing: it reads whole files."""
    return None


def _replace(target: Path, files: dict[str, bytes]) -> Path:
    """Write a whole folder, which takes the place of an older one."""
    with atomic.replaced_folder(target) as part:
        for name, content in files.items():
            (part / name).write_bytes(content)
    return target
