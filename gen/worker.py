"""Makes one shard. `run_shard` is all that an engine calls, in whatever process; the models load here."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import torch

from gen import record, shards
from gen.plan import PlanItem, PlanRow
from gen.recipe import Recipe
from gen.sample import Maker, Sample
from gen.writers import WRITERS


class GenerationAborted(RuntimeError):  # noqa: N818 - it reads as what happened
    """Too many samples failed in a row: the model or the settings are broken, not the luck."""


def run_shard(item: PlanItem, progress: Callable[[int, int], None] | None = None) -> shards.ShardStats:
    """Make every sample of a shard, check them and write them; the shard's JSON comes last and says done.

    Args:
        item: the shard.
        progress: called after every batch with the numbers of kept and of rejected samples in it.

    Raises:
        GenerationAborted: `max_failures` samples failed one after another.
    """
    with cpu_threads(item.recipe.threads):
        maker = _maker(item.recipe, item.out, item.digest)
        failures = _FailureCounter(item.recipe.max_failures)
        samples: list[Sample] = []
        for batch in item.batches:
            made = make_batch(maker, batch, item.recipe.attempts, failures)
            samples += made
            if progress:
                kept = sum(sample.kept for sample in made)
                progress(kept, len(batch) - kept)
        return _write(item, samples, maker)


def make_batch(
    maker: Maker, rows: Sequence[PlanRow], attempts: int, failures: _FailureCounter
) -> list[Sample]:
    """Make the rows of one batch; rows that the checks reject are made again together, with other seeds.

    Returns:
        Every attempt: the kept ones and, each with its reason, the rejected ones.
    """
    made: list[Sample] = []
    waiting = list(rows)
    for _ in range(attempts):
        samples = _make(maker, waiting)
        for sample in samples:
            failures.note(sample)
        made += samples
        waiting = [sample.row.again() for sample in samples if not sample.kept]
        if not waiting:
            break
    return made


def remake(item: PlanItem, sample_id: str) -> Sample:
    """Make one row of a shard alone, as its kept attempt would be: a check that its batch did not matter.

    Raises:
        KeyError: the shard has no such row.
    """
    row = next((row for batch in item.batches for row in batch if row.id == sample_id), None)
    if row is None:
        raise KeyError(f"{sample_id}: no such sample in shard {item.stem}")
    with cpu_threads(item.recipe.threads):
        maker = _maker(item.recipe, item.out, item.digest)
        return make_batch(maker, [row], item.recipe.attempts, _FailureCounter(item.recipe.max_failures))[-1]


@contextlib.contextmanager
def cpu_threads(count: int) -> Iterator[None]:
    """Compute with a fixed number of CPU threads inside: sums split otherwise differ in their last bit."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


class _FailureCounter:
    def __init__(self, limit: int):
        self.limit = limit
        self.count = 0

    def note(self, sample: Sample) -> None:
        self.count = self.count + 1 if sample.failed else 0
        if self.count >= self.limit:
            raise GenerationAborted(
                f"{self.count} samples in a row failed, the last ({sample.row.id}) with: {sample.reason}; "
                "check the model and the settings, then run again: finished shards are kept"
            )


def _make(maker: Maker, rows: list[PlanRow]) -> list[Sample]:
    """Make a batch; after an error make it once more (it may have been the machine), then row by row."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return maker.make(rows)
    return [_make_one(maker, row) for row in rows]


def _make_one(maker: Maker, row: PlanRow) -> Sample:
    try:
        return maker.make([row])[0]
    except Exception as error:
        frames = traceback.format_tb(error.__traceback__)
        code = hashlib.sha256("".join(frames).encode()).hexdigest()[:8]
        reason = f"{type(error).__name__}: {error} [traceback {code}]"
        return Sample(row=row, rejected_by="error", reason=reason, failed=True)


@functools.lru_cache(maxsize=1)
def _maker(recipe: Recipe, out: str, digest: str) -> Maker:
    """Keep the loaded models between the shards of one run."""
    return recipe.maker(Path(out))


def _write(item: PlanItem, samples: list[Sample], maker: Maker) -> shards.ShardStats:
    out = Path(item.out)
    order = {row.id: place for place, row in enumerate(row for batch in item.batches for row in batch)}
    samples = sorted(samples, key=lambda sample: (order[sample.row.id], sample.row.attempt))
    entries = [record.entry(sample, item, maker.facts) for sample in samples if sample.kept]
    rejected = [sample for sample in samples if not sample.kept]
    files = WRITERS[item.recipe.format].write(
        out / "data", item.recipe.name, item.index, item.shards, entries
    )
    files += shards.write_rejected(out, item, rejected)
    return shards.seal(out, item, files, entries, rejected)
