"""Shards on a Ray cluster (extra `ray`): an actor a worker, models stay loaded, only numbers travel."""

from __future__ import annotations

from collections.abc import Callable

import ray
import torch

from gen import worker
from gen.plan import PlanItem


class _Worker:
    """Actor of Ray Data; the models load with the first shard and stay."""

    def __call__(self, batch: dict) -> dict:
        kept, rejected = [], []
        for item in batch["item"]:
            stats = worker.run_shard(item)
            kept.append(stats.kept)
            rejected.append(stats.planned - stats.kept)
        return {"kept": kept, "rejected": rejected}


def run(items: list[PlanItem], workers: int, report: Callable[[int, int], None]) -> None:
    """Make shards with actors of the cluster that `ray.init` finds; all nodes must see the folder."""
    if not items:
        return
    if not ray.is_initialized():
        ray.init(include_dashboard=False, log_to_driver=False)
    gpus = 1 if torch.accelerator.is_available() else 0
    rows = ray.data.from_items([{"item": item} for item in items], override_num_blocks=len(items))
    made = rows.map_batches(
        _Worker,
        batch_size=1,
        num_cpus=items[0].recipe.threads,
        num_gpus=gpus,
        compute=ray.data.ActorPoolStrategy(size=min(workers, len(items))),
    )
    for row in made.iter_rows():
        report(int(row["kept"]), int(row["rejected"]))
