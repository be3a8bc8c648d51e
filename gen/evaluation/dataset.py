"""A generated dataset, read back from disk or made for the purpose."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gen import anchors
from gen.evaluation.bars import Settings
from gen.plan import PLAN_FILE
from gen.recipe import Recipe
from gen.writers import WRITERS


@dataclass(frozen=True, kw_only=True, slots=True)
class Dataset:
    """What a generated dataset holds, read back from its files."""

    images: np.ndarray
    """(n, h, w, 3) uint8."""
    rows: list[dict]
    """The record of each image, see `gen.record.SCHEMA`."""
    references: dict[str, np.ndarray]
    """Identity -> the picture that it was founded on; empty where identities are no more than a draw."""
    planned: list[dict]
    """What the plan asked for in every row, rejected ones included: axis -> value."""

    @property
    def identities(self) -> np.ndarray:
        """(n,) identity of each image."""
        return np.array([row["identity_id"] for row in self.rows])


def load(folder: Path) -> Dataset:
    """Read a dataset of `mien generate` in any of its formats.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: it holds no image.
    """
    plan = folder / PLAN_FILE
    if not plan.is_file():
        raise FileNotFoundError(
            f"{folder}: no {PLAN_FILE}; make one with `mien generate RECIPE --out {folder}`"
        )
    settings = json.loads(plan.read_text("utf-8"))["settings"]
    entries = list(WRITERS[settings["format"]].read(folder / "data", settings["name"]))
    if not entries:
        raise ValueError(f"{folder}: holds no image; finish it with the same `mien generate` command")
    lines = (plan.parent / "rows.jsonl").read_text("utf-8").splitlines()
    founded = anchors.load(folder) if (folder / anchors.FOLDER).is_dir() else {}
    return Dataset(
        images=np.stack([_decoded(entry.png) for entry in entries]),
        rows=[entry.record for entry in entries],
        references={name: anchor.image for name, anchor in founded.items()},
        planned=[json.loads(line)["requested"] for line in lines],
    )


def make(folder: Path, recipe: Recipe, settings: Settings) -> Dataset:
    """Make the dataset of a recipe as `mien generate` does."""
    from gen.engine import generate
    from gen.sample import Step

    def report(step: Step) -> None:
        settings.progress(f"making {step.stage}", step.done / max(1, step.total))

    generate(recipe, folder, progress=report, workers=os.cpu_count() or 1)
    return load(folder)


def _decoded(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB"))
