"""Bars: measured lines with a limit, an interval and a control; `mien evaluate` prints them."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gen import atomic

if TYPE_CHECKING:
    from rich.table import Table

TASKS = {
    "perception": "gen.evaluation.perception",
    "portrait": "gen.evaluation.portrait",
    "identities": "gen.evaluation.identities",
    "expressions": "gen.evaluation.expressions",
    "makeup": "gen.evaluation.makeup",
    "drag": "gen.evaluation.drag",
    "texture": "gen.evaluation.texture",
    "page": "ui.evaluation.page",
}
"""Task name -> module with a function `measure(settings) -> list[Bar]`; a name, because `gen` imports no `ui`."""

RENDERS = "rendered heads, held out"
"""Domain of every number measured on renders: it proves mechanics, not photographic quality."""

NO_BAR = math.inf
"""Bar, with direction "<=", of a line that is there to be read: a baseline, or a part of another line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One measured line."""

    name: str
    value: float | None
    """None when it could not be measured; the line then fails and `domain` says why."""
    bar: float
    """What the value has to reach, or `NO_BAR`."""
    direction: Literal[">=", "<="]
    n: int
    """Number of independent items: identities, or repetitions of a timing."""
    ci95: tuple[float, float] | None = None
    control: float | None = None
    """The same measure where nothing should be found (shuffled references, shuffled prompts)."""
    domain: str = RENDERS

    @property
    def has_limit(self) -> bool:
        """Tell whether there is a bar, or the line is there to be read."""
        return math.isfinite(self.bar)

    @property
    def passed(self) -> bool:
        """Tell whether the value is on the right side of the bar."""
        if self.value is None or math.isnan(self.value):
            return False
        return self.value >= self.bar if self.direction == ">=" else self.value <= self.bar

    def to_json(self) -> dict:
        """Return the eight fields that every program reads; a number that is not finite becomes null."""
        interval = None if self.ci95 is None else [_number(end) for end in self.ci95]
        return {
            "name": self.name,
            "value": _number(self.value),
            "bar": None if math.isinf(self.bar) else self.bar,
            "passed": self.passed,
            "n": self.n,
            "ci95": None if interval is None or None in interval else interval,
            "control": _number(self.control),
            "domain": self.domain,
        }


def not_measured(name: str, bar: float, direction: Literal[">=", "<="], why: str) -> Bar:
    """A line that fails because it could not be measured."""
    return Bar(name=name, value=None, bar=bar, direction=direction, n=0, domain=f"not measured: {why}")


def tally(bars: Sequence[Bar]) -> str:
    """Say how many hold, such as "13 of 14 bars"; lines without a limit count where they could not be measured."""
    counted = [bar for bar in bars if bar.has_limit or not bar.passed]
    return f"{sum(bar.passed for bar in counted)} of {len(counted)} bars"


def controls_bar(bars: Sequence[Bar]) -> Bar:
    """Doing nothing, pasting, random looks and shuffled answers must miss the bar that they stand beside."""
    missed = np.array(
        [not replace(bar, value=bar.control).passed for bar in bars if bar.control is not None], bool
    )
    return Bar(
        name="controls that miss their bar, as they must", value=float(missed.mean()), bar=1.0,
        direction=">=", n=len(missed),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What every task of the evaluation is told."""

    model: str = "mini"
    """"mini", a folder or a hub id."""
    device: str | None = None
    """None chooses the best one present."""
    quick: bool = False
    """Fewer heads: within 50 s on two cores."""
    data: Path | None = None
    """Folder of the held-out heads; None searches beside the package."""
    dataset: Path | None = None
    """Folder written by `mien generate`, for identities and expressions; None makes one where that is needed."""
    plots: Path | None = None
    """Folder for plots and sample sheets; None draws nothing."""
    progress: Callable[[str, float], None] = lambda text, share: None
    """Called with what is being done and the share that is done."""


def evaluate(
    task: str,
    quick: bool = False,
    json_path: str | Path | None = None,
    model: str = "mini",
    device: str | None = None,
    **options,
) -> list[Bar]:
    """Measure every bar of a task.

    Args:
        task: a key of `TASKS`.
        quick: use fewer heads.
        json_path: where the list of lines is written, in one piece.
        model: "mini", a folder or a hub id.
        device: None chooses the best one present.
        **options: further fields of `Settings`.

    Raises:
        ValueError: when the task is unknown.
    """
    if task not in TASKS:
        raise ValueError(f"unknown evaluation {task!r}: choose one of {', '.join(TASKS)}")
    settings = Settings(model=model, device=device, quick=quick, **options)
    bars = importlib.import_module(TASKS[task]).measure(settings)
    if json_path is not None:
        atomic.write_json(Path(json_path), [bar.to_json() for bar in bars])
    return bars


def as_table(bars: list[Bar], title: str) -> Table:
    """Lay the bars out for a terminal."""
    from rich.table import Table

    table = Table(
        title=title, caption="ci95: bootstrap over identities. control: the same measure, shuffled."
    )
    for heading in ("", "name", "value", "bar", "ci95", "control", "n", "domain"):
        table.add_column(heading, justify="left" if heading in ("", "name", "domain") else "right")
    for bar in bars:
        interval = "" if bar.ci95 is None else f"{_text(bar.ci95[0])} .. {_text(bar.ci95[1])}"
        limit = f"{bar.direction} {bar.bar:g}" if bar.has_limit else ""
        numbers = [_text(bar.value), limit, interval, _text(bar.control), str(bar.n)]
        mark = "[green]pass[/green]" if bar.passed else "[red]FAIL[/red]"
        table.add_row("" if bar.passed and not bar.has_limit else mark, bar.name, *numbers, bar.domain)
    return table


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 6)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
