"""A folder of images with a metadata file, in the layout of Hugging Face's imagefolder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.csv
import pyarrow.parquet as pq
from PIL import Image

from train.data.decode import picture_array


class ImageFolder:
    """Images named by the column `file_name` of metadata.jsonl, metadata.csv or metadata.parquet in `folder`.

    A sample is {"key": str, "image": (h, w, 3) uint8, "labels": dict of the other columns}.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.rows = _read_metadata(self.folder)
        for number, row in enumerate(self.rows):
            if not row.get("file_name"):
                raise ValueError(f"{self.folder}: row {number} of the metadata has no file_name")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        path = self.folder / row["file_name"]
        if not path.exists():
            raise FileNotFoundError(f"{path}: named in the metadata but not there")
        with Image.open(path) as picture:
            image = picture_array(picture.convert("RGB"))
        labels = {name: value for name, value in row.items() if name != "file_name"}
        return {"key": Path(row["file_name"]).stem, "image": image, "labels": labels}


def _read_metadata(folder: Path) -> list[dict[str, Any]]:
    if (path := folder / "metadata.jsonl").exists():
        return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    if (path := folder / "metadata.csv").exists():
        return pyarrow.csv.read_csv(path).to_pylist()
    if (path := folder / "metadata.parquet").exists():
        return pq.read_table(path).to_pylist()
    raise FileNotFoundError(
        f"{folder}: no metadata.jsonl, metadata.csv or metadata.parquet with a column file_name"
    )
