"""Carries out a recipe: claims the folder, prepares, makes the shards that are missing, sums up."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gen import atomic, local_engine, shards
from gen.plan import PLAN_FILE, Plan, PlanItem
from gen.recipe import Recipe
from gen.sample import Progress, Step
from gen.worker import cpu_threads

Engine = Callable[[list[PlanItem], int, Callable[[int, int], None]], None]
"""Makes shards with a number of workers and reports the kept and rejected samples of every batch."""

_OURS = (
    "plan", "data", "rejected", "layout", "README.md", "croissant.json", "report.html", "contact.jpg",
    "duplicates.jsonl", "summary.json",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a call of `generate` left behind."""

    out: Path
    planned: int
    kept: int
    rejected: int
    """Attempts that the checks turned down."""
    shards: int
    shards_done: int
    """Finished shards of the whole plan, those of earlier runs included."""

    @property
    def complete(self) -> bool:
        """Whether all shards of the plan are finished; only then are report and README written."""
        return self.shards_done == self.shards


def generate(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int = 1,
    engine: str = "local",
    shard_range: tuple[int, int] | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Make the dataset of a recipe, or what is still missing of it.

    Neither the number of workers, nor the engine, nor where an earlier run stopped changes a byte of a shard.

    Args:
        recipe: what to make.
        out: new folder, or the folder of an earlier run with the same recipe.
        workers: processes; 1 works in this one. Each uses `recipe.threads` CPU threads.
        engine: "local", or "ray" (extra `ray`) for a cluster.
        shard_range: first shard and the one after the last, for job arrays: every job is given its part.
        overwrite: remove the dataset that is in the folder first.
        progress: called after every batch.

    Raises:
        PlanConflict: the folder holds something else.
        GenerationAborted: too many samples failed in a row.
        ValueError: workers, engine or range are not permitted.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, permitted: 1 or more")
    if overwrite and shard_range is not None:
        raise ValueError(
            "overwrite and a range of shards exclude each other: jobs would remove each other's shards"
        )
    run_shards = _engine(engine)
    out = Path(out)
    plan = Plan.of(recipe, recipe.models())
    if overwrite:
        clear(out)
    plan.claim(out, beside_others=overwrite)
    atomic.remove_parts(out)
    with cpu_threads(recipe.threads):
        recipe.prepare(out, progress, workers)
    items = plan.items(out)
    todo, done = shards.pending(out, _chosen(items, shard_range))
    tally = _Tally(sum(item.count for item in todo) + sum(stats.planned for stats in done), done, progress)
    run_shards(todo, workers, tally.add)
    stats = [found for item in items if (found := shards.finished(out, item, verify=False))]
    run = Run(
        out=out,
        planned=len(plan.rows),
        kept=sum(shard.kept for shard in stats),
        rejected=sum(shard.rejected for shard in stats),
        shards=len(items),
        shards_done=len(stats),
    )
    if run.complete:
        from gen import summary  # draws plots: nothing that a worker should wait for

        summary.write(plan, out)
    return run


def clear(out: Path) -> None:
    """Remove a dataset, but no file that Mien did not make; refuses a folder that holds no dataset."""
    if out.is_dir() and any(out.iterdir()) and not (out / PLAN_FILE).exists():
        raise ValueError(f"{out}: holds no dataset of Mien, so nothing is overwritten; choose a new folder")
    for name in _OURS:
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


class _Tally:
    """Adds up what workers report."""

    def __init__(self, total: int, done: list[shards.ShardStats], progress: Progress | None):
        self.total = total
        self.kept = sum(stats.kept for stats in done)
        self.rejected = sum(stats.planned - stats.kept for stats in done)
        self.progress = progress
        self.add(0, 0)

    def add(self, kept: int, rejected: int) -> None:
        """Count one batch."""
        self.kept += kept
        self.rejected += rejected
        if self.progress:
            done = self.kept + self.rejected
            self.progress(
                Step(stage="images", done=done, total=self.total, kept=self.kept, rejected=self.rejected)
            )


def _chosen(items: list[PlanItem], shard_range: tuple[int, int] | None) -> list[PlanItem]:
    if shard_range is None:
        return items
    first, last = shard_range
    if not 0 <= first < last <= len(items):
        raise ValueError(f"shards {first}:{last}: the plan has shards 0:{len(items)}")
    return items[first:last]


def _engine(name: str) -> Engine:
    if name == "local":
        return local_engine.run
    if name != "ray":
        raise ValueError(f"engine is {name!r}, permitted: local, ray")
    if importlib.util.find_spec("ray") is None:
        raise ImportError("engine 'ray' needs the package ray: pip install 'mien[ray]'")
    from gen import ray_engine

    return ray_engine.run
