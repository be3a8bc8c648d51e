"""A recipe without a model: pictures are functions of the row's seed. Run as a script it makes a dataset."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from gen.engine import generate
from gen.plan import PlanRow
from gen.recipe import Recipe
from gen.sample import Sample
from gen.seeds import sample_seed


class ToyRecipe(Recipe):
    """Noise with a shape; some rows fail, some are rejected, as asked."""

    kind: ClassVar[str] = "toy"
    version: ClassVar[int] = 1

    count: int = 20
    size: int = Field(32, ge=8)
    broken_ids: tuple[int, ...] = ()
    """Rows whose making raises."""
    rejected_share: float = 0.2
    repeat: tuple[tuple[int, int], ...] = ()
    """(later row, earlier row): the later one shows the same pixels."""
    seconds: float = 0.0
    kill_file: str = ""
    """While this file exists, the worker that makes row 7 removes it and dies as by kill -9."""
    batch_size: int = 4
    shard_size: int = 8
    max_failures: int = 4

    def rows(self) -> list[PlanRow]:
        """One row a sample, four to an identity."""
        return [
            PlanRow(
                id=f"s{index:04d}",
                identity_id=f"id{index // 4}",
                variant=index % 4,
                prompt=f"toy {index}",
                seed=sample_seed(self.seed, f"s{index:04d}"),
                requested={"pose": "frontal", "skin_tone": index % 6 + 1},
            )  # fmt: skip
            for index in range(self.count)
        ]

    def models(self) -> dict[str, str]:
        """There are none."""
        return {"toy": hashlib.sha256(b"toy").hexdigest()}

    def maker(self, out: Path) -> ToyMaker:
        """Nothing to load."""
        return ToyMaker(self)


class ToyMaker:
    """Draws."""

    facts: ClassVar[dict[str, Any]] = {
        "generator": "Toy", "model": "toy", "model_sha256": hashlib.sha256(b"toy").hexdigest(), "steps": 1,
        "digital_source_type": "algorithmicMedia", "minimum_age": 18, "scheduler": "none", "guidance_scale":
        1.0,
    }  # fmt: skip

    def __init__(self, recipe: ToyRecipe):
        self.recipe = recipe

    def make(self, rows: Sequence[PlanRow]) -> list[Sample]:
        """Make a batch."""
        time.sleep(self.recipe.seconds)
        return [self._one(row) for row in rows]

    def _one(self, row: PlanRow) -> Sample:
        index = int(row.id[1:])
        if index == 7 and self.recipe.kill_file and os.path.exists(self.recipe.kill_file):
            os.remove(self.recipe.kill_file)
            os.kill(os.getpid(), signal.SIGKILL)
        if index in self.recipe.broken_ids:
            raise RuntimeError(f"row {index} is broken")
        source = dict(self.recipe.repeat).get(index, index)
        rng = np.random.default_rng(row.seed if source == index else self.recipe.rows()[source].seed)
        image = rng.integers(0, 256, (self.recipe.size, self.recipe.size, 3), dtype=np.uint8)
        rejected = rng.random() < self.recipe.rejected_share
        return Sample(
            row=row, image=image, measured={"contrast": 0.3, "faces_found": 1, "sharpness": 1.5, "yaw_deg":
            0.25},
            landmarks=rng.random((68, 2), np.float32) * self.recipe.size,
            parsing=rng.integers(0, 19, image.shape[:2], dtype=np.uint8),
            rejected_by="sharpness" if rejected else None, reason="dull" if rejected else "",
        )  # fmt: skip


if __name__ == "__main__":
    generate(ToyRecipe.model_validate_json(sys.argv[1]), sys.argv[2], workers=int(sys.argv[3]))
