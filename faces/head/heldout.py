"""Makes the held-out sets of the evaluation out of rendered shards.

mien heads --count 720 --pictures-per-identity 3 --seed 2 --size 128 --out data/heldout
python -m faces.head.heldout data/heldout tests/data/heads
mien heads --count 480 --pictures-per-identity 6 --seed 12 --states exam --materials unseen --out data/exam
python -m faces.head.heldout data/exam tests/data/exam --parsing
mien heads --count 288 --pictures-per-identity 6 --seed 44 --makeup shared --out data/makeup-exam
python -m faces.head.heldout data/makeup-exam tests/data/makeup --parsing
mien heads --count 96 --pictures-per-identity 2 --seed 63 --motion --states units --materials unseen \
    --out data/motion-exam
python -m faces.head.heldout data/motion-exam tests/data/drag --parsing
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

from faces.provenance import RENDERED, Provenance, save_image

_QUALITY, _LOSSLESS = 90, 100
"""Of WebP. Lossy WebP halves the resolution of colour, which a set with makeup is about, and smears what distances of
moved points are measured on."""
_EXACT = ("alpha", "flow")
"""Maps, of those a sample may have, whose pictures are kept without loss."""


def write_heldout(shards: Path, out: Path, parsing: bool = False) -> int:
    """Write each picture as WebP and all labels as labels.parquet; returns the number of pictures.

    Pictures whose makeup has maps of opacity are kept without loss, with their maps beside them as NAME.alpha.png; so
    are those of pairs, with the flow from each to the other as NAME.flow.png (see `faces.flow`).

    Args:
        shards: folder of `write_heads`.
        out: folder of the set.
        parsing: write the label map of each picture beside it, as NAME.parsing.png.

    Raises:
        FileNotFoundError: `shards` holds no finished shard.
    """
    tars = sorted(tar for tar in Path(shards).glob("*.tar") if tar.with_suffix(".json").is_file())
    if not tars:
        raise FileNotFoundError(f"{shards}: no finished shard; write some with `mien heads`")
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict] = []
    for tar in tars:
        settings = json.loads(tar.with_suffix(".json").read_text(encoding="utf-8"))["settings"]
        with tarfile.open(tar) as archive:
            members = {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]
        for name in sorted(name for name in members if name.endswith(".json") and ".spec." not in name):
            key = name.removesuffix(".json")
            state = int(key.split("_")[1]) % settings["pictures_per_identity"]
            rows.append(_write_one(key, members, out, state))
            stem = rows[-1]["file"].removesuffix(".webp")
            maps = ["parsing"] if parsing else []
            for kind in (*maps, *_exact_maps(key, members)):
                (out / f"{stem}.{kind}.png").write_bytes(members[f"{key}.{kind}.png"])
    partial = out / "labels.parquet.part"
    pq.write_table(pa.Table.from_pylist(rows), partial, compression="zstd")
    os.replace(partial, out / "labels.parquet")
    return len(rows)


def _write_one(key: str, members: dict[str, bytes], out: Path, state: int) -> dict:
    row = json.loads(members[f"{key}.json"])
    file = f"{row['identity_id']}-{state}.webp"
    quality = _LOSSLESS if _exact_maps(key, members) else _QUALITY
    with Image.open(io.BytesIO(members[f"{key}.png"])) as image:
        provenance = Provenance(pipeline="faces.head", model="makehuman-cc0", digital_source_type=RENDERED)
        save_image(image.convert("RGB"), out / file, provenance, quality=quality)
    landmarks = np.load(io.BytesIO(members[f"{key}.landmarks.npy"]))
    flat = {
        name: json.dumps(value) if isinstance(value, (dict, list)) else value for name, value in row.items()
    }
    return flat | {"file": file, "state": state, "landmarks": landmarks.ravel().round(2).tolist()}


def _exact_maps(key: str, members: dict[str, bytes]) -> list[str]:
    return [kind for kind in _EXACT if f"{key}.{kind}.png" in members]


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(
        description="Make the held-out set of the evaluation out of rendered shards."
    )
    parser.add_argument("shards", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--parsing", action="store_true", help="write label maps too")
    arguments = parser.parse_args()
    count = write_heldout(arguments.shards, arguments.out, arguments.parsing)
    parser.exit(0, f"{count} pictures in {arguments.out}\n")


if __name__ == "__main__":
    main()
