"""Progress bars on standard error, so that `--json` on standard output stays clean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from mien.errors import errors

if TYPE_CHECKING:
    from gen.sample import Step


def _bars(*columns: TextColumn | BarColumn | MofNCompleteColumn) -> Progress:
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(compact=True))
    return Progress(TextColumn("{task.description}"), BarColumn(), *columns, *times, console=errors)


@contextmanager
def counted(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar that counts; yields the function that is told how many more are done."""
    with _bars(MofNCompleteColumn()) as bars:
        task = bars.add_task(description, total=total)
        yield lambda done: bars.advance(task, done)


@contextmanager
def shared(description: str) -> Iterator[Callable[[str, float], None]]:
    """Show a bar of one long job; yields the function that is told what is being done and its share, 0..1."""
    with _bars() as bars:
        task = bars.add_task(description, total=1.0)
        yield lambda text, share: bars.update(task, description=text, completed=share)


@contextmanager
def dataset() -> Iterator[Callable[[Step], None]]:
    """Show a bar for each stage of a dataset, with the share of samples that the checks accept."""
    with _bars(MofNCompleteColumn(), TextColumn("{task.fields[accepted]}")) as bars:
        stages: dict[str, TaskID] = {}

        def report(step: Step) -> None:
            if step.stage not in stages:
                stages[step.stage] = bars.add_task(step.stage, total=step.total, accepted="")
            tried = step.kept + step.rejected
            accepted = f"accepted {step.kept / tried:.0%}" if tried else ""
            bars.update(stages[step.stage], total=step.total, completed=step.done, accepted=accepted)

        yield report
