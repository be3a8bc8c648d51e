"""Makes the held-out set of the evaluation out of rendered shards.

mien heads --count 720 --pictures-per-identity 3 --seed 2 --size 128 --out data/heldout
python -m faces.head.heldout data/heldout tests/data/heads
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from faces.provenance import Provenance, save_image


def write_heldout(shards: Path, out: Path) -> int:
    """Write each picture as WebP and all labels as labels.parquet; returns the number of pictures.

    Args:
        shards: folder of `write_heads` with three pictures a person.
        out: folder for `heads` of the evaluation.

    Raises:
        FileNotFoundError: `shards` holds no finished shard.
    """
    tars = sorted(tar for tar in Path(shards).glob("*.tar") if tar.with_suffix(".json").is_file())
    if not tars:
        raise FileNotFoundError(f"{shards}: no finished shard; write some with `mien heads`")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    for tar in tars:
        with tarfile.open(tar) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        for name in sorted(name for name in members if name.endswith(".json") and ".spec." not in name):
            key = name.removesuffix(".json")
            rows.append(_write_one(key, members, out))
    partial = out / "labels.parquet.part"
    pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    os.replace(partial, out / "labels.parquet")
    return len(rows)


def _write_one(key: str, members: dict[str, bytes], out: Path) -> dict:
    row = json.loads(members[f"{key}.json"])
    identity = row["identity_id"]
    state = int(key.split("_")[1]) % 3
    file = f"{identity}-{state}.webp"
    with Image.open(io.BytesIO(members[f"{key}.png"])) as image:
        provenance = Provenance(
            pipeline="faces.head", model="makehuman-cc0", digital_source_type="algorithmicMedia"
        )
        save_image(image.convert("RGB"), out / file, provenance, quality=90)
    landmarks = np.load(io.BytesIO(members[f"{key}.landmarks.npy"]))
    flat = {
        name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in row.items()
    }
    return flat | {"file": file, "state": state, "landmarks": landmarks.ravel().round(2).tolist()}


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(
        description="Make the held-out set of the evaluation out of rendered shards."
    )
    parser.add_argument("shards", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    count = write_heldout(arguments.shards, arguments.out)
    parser.exit(0, f"{count} pictures in {arguments.out}\n")


if __name__ == "__main__":
    main()
