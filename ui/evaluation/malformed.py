"""What nobody should send: is it refused in plain words, does the server live on, and is nothing of it kept."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gen import atomic
from gen.evaluation.bars import Bar
from ui.evaluation import (
    load,
    malformed_messages,
    malformed_pictures,
    malformed_uploads,
    malformed_values,
    refusals,
    serving,
    valid,
)
from ui.evaluation.cases import Case, Scene
from ui.evaluation.serving import Served
from ui.evaluation.valid import Photo
from ui.evaluation.visitor import Answer, Page, Visitor, attempted

QUICK_COUNT = 60
EACH = 20
"""Malformed requests of one visitor, before a valid one."""
_NAMED = 12
"""Cases that the table names; the log names all."""
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a case."""

    case: Case
    answer: Answer
    fault: str | None
    """Why it is no refusal in plain words."""

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        words = self.answer.message[: 2 * refusals.LONGEST]
        return {"case": self.case.name, "status": self.answer.status, "message": words, "fault": self.fault}


@dataclass(slots=True)
class Outcomes:
    """What came of all cases."""

    refused: list[Outcome] = field(default_factory=list)
    valid: list[Answer] = field(default_factory=list)
    """One after each visitor's malformed ones."""


def cases(photo: Photo) -> list[Case]:
    """All cases, always the same ones; `photo` is what is damaged."""
    return [
        *malformed_pictures.cases(photo), *malformed_values.cases(), *malformed_messages.cases(),
        *malformed_uploads.cases(),
    ]  # fmt: skip


def some(every: Sequence[Case], count: int) -> list[Case]:
    """Choose cases of all kinds, evenly."""
    return [every[place] for place in np.linspace(0, len(every) - 1, count).round().astype(int)]


def measure(
    server: Served,
    page: Page,
    photo: Photo,
    chosen: Sequence[Case],
    record: Path | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Bar]:
    """Send malformed requests, and valid ones among them.

    Args:
        server: which serves the page; nobody else uses it.
        page: of the server.
        photo: shows a face.
        chosen: what is sent.
        record: JSON file for all that came back.
        progress: is told the share that is done.
    """
    outcomes = Outcomes()
    for start in range(0, len(chosen), EACH):
        _visit(server, page, photo, chosen[start : start + EACH], outcomes, start)
        progress(start / len(chosen))
    kept = len(serving.files(server.folder))
    left = load.settle(server)
    progress(1.0)
    _tell(outcomes, record)
    return [*_bars(outcomes), _left(left, kept)]


def _visit(
    server: Served, page: Page, photo: Photo, few: Sequence[Case], outcomes: Outcomes, first: int
) -> None:
    """One visitor: an upload that is not used, malformed requests, a valid one, and away.

    Args:
        server: which serves the page.
        page: of the server.
        photo: shows a face.
        few: what is sent.
        outcomes: where it is written down what came of it.
        first: number of the first case.
    """
    with Visitor(page) as other, Visitor(page) as visitor:
        visitor.upload(f"second thoughts {first}.png", photo.data)
        theirs = valid.request("makeup", photo.named(f"theirs {first}")).ask(other)
        made = theirs.file() if theirs.ok else ""
        for number, case in enumerate(few, first):
            scene = Scene(
                visitor=visitor, photo=photo.named(number), others=made, folder=server.folder, number=number
            )
            answer = attempted(functools.partial(case.send, scene))
            hidden = [str(server.folder), str(Path.cwd()), *case.hidden]
            fault = refusals.fault(answer, case.naming, hidden)
            outcomes.refused.append(Outcome(case=case, answer=answer, fault=fault))
        right = valid.request("makeup", photo.named(f"right {first}"))
        outcomes.valid.append(attempted(functools.partial(right.ask, visitor)))


def _tell(outcomes: Outcomes, record: Path | None) -> None:
    """Name in the log what was not refused plainly, and write down everything where that is wanted."""
    for one in outcomes.refused:
        if one.fault is not None:
            _logger.warning("%s: %s", one.case.name, one.fault)
    if record is not None:
        atomic.write_json(record, [one.to_json() for one in outcomes.refused])


def _bars(outcomes: Outcomes) -> list[Bar]:
    failed = [one.case.name for one in outcomes.refused if one.fault is not None]
    named = ", ".join(failed[:_NAMED]) + (f" and {len(failed) - _NAMED} more" if len(failed) > _NAMED else "")
    answered = [one.ok for one in outcomes.valid]
    return [
        Bar(
            name="malformed requests refused in plain words", value=1 - len(failed) / len(outcomes.refused),
            bar=1.0, direction=">=", n=len(outcomes.refused), control=1 - float(np.mean(answered)),
            domain=f"not so: {named}" if failed else "control: valid requests that are refused",
        ),
        Bar(
            name="valid requests among them that are answered", value=float(np.mean(answered)), bar=1.0,
            direction=">=", n=len(answered), control=float(np.mean([one.answer.ok for one in outcomes.refused])),
            domain=f"one after each {EACH} malformed ones; control: malformed ones that are answered",
        ),
    ]  # fmt: skip


def _left(left: set[str], kept: int) -> Bar:
    """What was not deleted: of those who left, of those who asked for nothing, and of uploads that broke off."""
    return Bar(
        name="files left in temp when all have left", value=len(left), bar=0, direction="<=", n=kept, control=kept,
        domain=f"still there: {json.dumps(sorted(left)[:3])}" if left else "control: before the last one was swept",
    )  # fmt: skip
