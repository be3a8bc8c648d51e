"""What `mien generate` does: settings to a recipe, a recipe to a dataset with a progress bar."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien import progress

if TYPE_CHECKING:
    from gen.recipe import Recipe


def build(kind: str, file: Path | None, settings: Mapping[str, Any]) -> Recipe:
    """Build a recipe of a kind from a YAML file, else from settings.

    Raises:
        ValueError: naming the setting that is unknown or not permitted, or a file with a recipe of another kind.
    """
    from gen import recipe

    found = recipe.load(file) if file else recipe.from_settings({"recipe": kind, **settings})
    if found.kind != kind:
        raise ValueError(f"{file}: a recipe of {found.kind}; make it with `mien generate {found.kind}`")
    return found


def parse_range(text: str | None) -> tuple[int, int] | None:
    """Read "FIRST:LAST"; ValueError when it is something else."""
    if text is None:
        return None
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal()):
        raise ValueError(f"shards is '{text}', expected FIRST:LAST such as 0:8")
    return int(first), int(last)


def make(
    recipe: Recipe,
    out: Path,
    *,
    shard_range: tuple[int, int] | None = None,
    workers: int | None = None,
    engine: str = "local",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Make the dataset of a recipe and sum up the run.

    Args:
        recipe: what to make.
        out: folder of the dataset.
        shard_range: first shard and the one after the last; None makes all.
        workers: processes; None is one a core.
        engine: "local" or "ray".
        overwrite: remove the dataset that is in the folder first.
    """
    from gen.engine import generate

    with progress.dataset() as report:
        run = generate(
            recipe,
            out,
            workers=workers or os.cpu_count() or 1,
            engine=engine,
            shard_range=shard_range,
            overwrite=overwrite,
            progress=report,
        )
    summary = {
        "dataset": str(run.out),
        "pictures": run.kept,
        "planned": run.planned,
        "rejected": run.rejected,
    }
    summary["shards"] = f"{run.shards_done} of {run.shards}"
    if run.complete:
        summary["report"] = str(run.out / "report.html")
    return summary
