"""Many visitors at once: does everybody get an answer, and their own; what memory stays when they have left."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from gen.evaluation.bars import NO_BAR, Bar
from ui.evaluation import serving, valid
from ui.evaluation.serving import Served
from ui.evaluation.valid import Photo, Request
from ui.evaluation.visitor import Answer, Page, Visitor, attempted

GROWTH = 1.10
"""Memory after all have left, over memory before they came."""
_logger = logging.getLogger(__name__)
_PATIENCE = 4.0
"""Seconds without a change after which files are thought to stay."""
_SAMPLED = 0.1
"""Seconds between looks at the memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What came of one request."""

    request: Request
    seconds: float
    answer: Answer
    picture: np.ndarray | None
    """(h, w, 3) uint8."""

    def shows(self, other: Asked) -> bool:
        """Whether both are the same picture."""
        return (
            self.picture is not None
            and other.picture is not None
            and np.array_equal(self.picture, other.picture)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """What one visitor got."""

    asked: Sequence[Asked]
    results: frozenset[str]
    """Paths on the Results tab."""

    @property
    def made(self) -> frozenset[str]:
        """Paths of the pictures that were made."""
        return frozenset(one.answer.file() for one in self.asked if one.answer.ok)

    @property
    def folders(self) -> frozenset[PurePosixPath]:
        """Where all of them lie."""
        return frozenset(PurePosixPath(path).parent for path in (*self.made, *self.results))


@dataclass(slots=True)
class Memory:
    """Megabytes of a server at some moments."""

    before: float = 0.0
    after: float = 0.0
    peak: float = 0.0
    samples: list[float] = field(default_factory=list)


def measure(
    server: Served,
    page: Page,
    photos: Sequence[Photo],
    compared: int | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Bar]:
    """Let as many visitors come as there are photographs, ask for every task, and leave.

    Args:
        server: which serves the page; nobody else uses it.
        page: of the server.
        photos: one a visitor; no two are the same.
        compared: visitors whose pictures are made again alone, two at least; all of them by default.
        progress: is told the share that is done.
    """
    first = server.memory()
    warm = _visit(page, photos[0], seed=0)
    memory = Memory(before=_settled(server))
    progress(0.1)
    begun = time.perf_counter()
    with _watched(server, memory), ThreadPoolExecutor(len(photos)) as together:
        visits = list(together.map(lambda item: _visit(page, item[1], seed=item[0] * 10), enumerate(photos)))
    seconds = time.perf_counter() - begun
    memory.after = _settled(server)
    progress(0.5)
    again = enumerate(photos[:compared])
    alone = [warm, *(_visit(page, photo, seed=number * 10) for number, photo in again if number)]
    with Visitor(page) as careless:
        refused = [one.request.without_consent().ask(careless) for one in visits[0].asked]
    progress(1.0)
    return [
        _answered(visits, refused), _crossed(visits, alone),
        _growth(memory, first, len(photos)), *_read(visits, seconds, memory),
    ]  # fmt: skip


def settle(server: Served) -> set[str]:
    """Wait until what visitors left is swept, nobody using the server, and name the files that are still there."""
    left, end = serving.files(server.folder), time.perf_counter() + _PATIENCE
    while left and time.perf_counter() < end:
        time.sleep(0.1)
        before, left = left, serving.files(server.folder)
        if left != before:
            end = time.perf_counter() + _PATIENCE
    return left


def _settled(server: Served) -> float:
    """Megabytes when everybody has left."""
    settle(server)
    server.collect()
    return server.memory()


def crossed(visits: Sequence[Visit], alone: Sequence[Visit]) -> int:
    """Count what reached the wrong visitor.

    That is each picture that differs from what the same request gives alone, each visitor whose results are not what
    they made, and each folder that two visitors share.

    Args:
        visits: of all at once.
        alone: the same requests again, of the first visitors or of all.
    """
    pictures = sum(
        got.answer.ok and not got.shows(wanted)
        for visit, other in zip(visits, alone, strict=False)
        for got, wanted in zip(visit.asked, other.asked, strict=True)
    )
    listed = sum(visit.results != visit.made for visit in visits)
    folders = [folder for visit in visits for folder in visit.folders]
    return pictures + listed + len(folders) - len(set(folders))


def _visit(page: Page, photo: Photo, seed: int) -> Visit:
    """Ask for every task, one after the other, and look at the results."""
    requests = [valid.request(task, photo, seed + number) for number, task in enumerate(valid.TASKS)]
    with Visitor(page) as visitor:
        asked = [_asked(visitor, request) for request in requests]
        listed = visitor.ask("results")
    shown = listed.values[0] if listed.values else []
    return Visit(asked=asked, results=frozenset(one["image"]["path"] for one in shown or []))


def _asked(visitor: Visitor, request: Request) -> Asked:
    begun = time.perf_counter()
    answer = attempted(functools.partial(request.ask, visitor))
    seconds = time.perf_counter() - begun
    if not answer.ok:
        _logger.warning("%s of a visitor: %s", request.task, answer.message)
    picture = visitor.picture(answer.file()) if answer.ok else None
    return Asked(request=request, seconds=seconds, answer=answer, picture=picture)


@contextmanager
def _watched(server: Served, memory: Memory) -> Iterator[None]:
    """Look at the memory again and again meanwhile."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(_SAMPLED):
            memory.peak = max(memory.peak, server.memory())

    thread = threading.Thread(target=look, name="memory", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _answered(visits: Sequence[Visit], refused: Sequence[Answer]) -> Bar:
    every = [one.answer.ok for visit in visits for one in visit.asked]
    return Bar(
        name="requests of many visitors at once that are answered", value=float(np.mean(every)), bar=1.0,
        direction=">=", n=len(every), control=float(np.mean([one.ok for one in refused])),
        domain=f"{len(visits)} visitors at once; control: without consent",
    )  # fmt: skip


def _crossed(visits: Sequence[Visit], alone: Sequence[Visit]) -> Bar:
    shifted = [*alone[1:], alone[0]]
    return Bar(
        name="crossed between visitors", value=crossed(visits, alone), bar=0, direction="<=",
        n=sum(len(visit.asked) for visit in alone), control=crossed(visits, shifted),
        domain="pictures that differ from those of the same request alone, results and folders of others; "
        "control: the next visitor's pictures",
    )  # fmt: skip


def _growth(memory: Memory, first: float, visitors: int) -> Bar:
    return Bar(
        name="memory after all have left, over before", value=memory.after / memory.before, bar=GROWTH,
        direction="<=", n=1, control=memory.before / first,
        domain=f"{memory.before:.0f} MB when all models were used once, {memory.after:.0f} MB after {visitors} "
        "visitors; control: the former over when the page first answered",
    )  # fmt: skip


def _read(visits: Sequence[Visit], seconds: float, memory: Memory) -> list[Bar]:
    """Lines that are there to be read."""
    waits = [one.seconds for visit in visits for one in visit.asked]
    domain = f"{serving.this_machine()}, {len(visits)} visitors at once, {valid.STEPS} steps"
    lines = (
        ("requests per second", len(waits) / seconds),
        ("longest wait, seconds", max(waits)),
        ("peak memory, MB", memory.peak),
    )
    return [
        Bar(name=name, value=value, bar=NO_BAR, direction="<=", n=len(waits), domain=domain)
        for name, value in lines
    ]
