"""Shards on this machine: in this process, or in a pool of fresh ones."""

from __future__ import annotations

import multiprocessing
import queue
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import torch

from gen import worker
from gen.plan import PlanItem
from gen.worker import GenerationAborted

MAX_BREAKS = 2
"""Times in a row that workers may die without a single shard being finished in between."""
_POLL_SECONDS = 0.2


def run(items: list[PlanItem], workers: int, report: Callable[[int, int], None]) -> None:
    """Make shards with a number of processes.

    Args:
        items: the shards.
        workers: 1 works in this process; more start processes that share nothing with it.
        report: called with the kept and rejected samples of every batch.

    Raises:
        GenerationAborted: samples keep failing, or workers keep dying.
    """
    if workers == 1 or len(items) < 2:
        for item in items:
            worker.run_shard(item, report)
        return
    breaks = 0
    while items:
        left = _pool_run(items, min(workers, len(items)), report)
        breaks = breaks + 1 if len(left) == len(items) else 0
        if breaks > MAX_BREAKS:
            stems = ", ".join(item.stem for item in left[:3])
            raise GenerationAborted(
                f"workers died {breaks} times without finishing a shard (next: {stems}); "
                "out of memory? use fewer workers or a smaller batch_size"
            )
        items = left


def _pool_run(items: list[PlanItem], workers: int, report: Callable[[int, int], None]) -> list[PlanItem]:
    """Work on shards until all are done or a worker dies; returns those not done."""
    context = multiprocessing.get_context("spawn")
    reports, started = context.Queue(), context.Value("i", 0)
    links = (reports, started)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_connect, initargs=links) as pool:
        futures = {pool.submit(_run_shard, item): item for item in items}
        try:
            waiting = set(futures)
            while waiting:
                finished, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
                _drain(reports, report)
                for future in finished:
                    future.result()
        except BrokenProcessPool:
            return [item for future, item in futures.items() if not _succeeded(future)]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _terminate(pool)
            raise
        _drain(reports, report)
    return []


def _succeeded(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _terminate(pool: ProcessPoolExecutor) -> None:
    """End workers that are in the midst of a shard; what they had is partial anyway."""
    for process in list((pool._processes or {}).values()):
        process.terminate()


_reports: Any = None


def _connect(reports: Any, started: Any) -> None:
    """Start of a worker: remember where to report, and take an accelerator in turn where there are several."""
    global _reports
    _reports = reports
    with started.get_lock():
        number, started.value = started.value, started.value + 1
    if torch.accelerator.is_available():
        torch.accelerator.set_device_index(number % torch.accelerator.device_count())


def _run_shard(item: PlanItem) -> None:
    worker.run_shard(item, lambda kept, rejected: _reports.put((kept, rejected)))


def _drain(reports: Any, report: Callable[[int, int], None]) -> None:
    while True:
        try:
            report(*reports.get_nowait())
        except queue.Empty:
            return
