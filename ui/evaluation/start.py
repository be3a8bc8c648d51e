"""How long a visitor waits for a page that was just started, and then for a first portrait."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from gen.evaluation.bars import Bar, Settings, not_measured
from gen.evaluation.intervals import mean_interval
from ui.evaluation import serving, valid
from ui.evaluation.visitor import Page, Visitor, uploaded

PAGE, PORTRAIT = 5.0, 15.0
"""Seconds."""
REPEATS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Seconds of one server."""

    page: float
    """From the start of the process until the page and a first event were answered."""
    portrait: float
    """From the first click, as soon as the page was there, until the portrait was downloaded."""
    refusal: str = ""
    """Why there is none."""


def measure(settings: Settings, progress: Callable[[float], None] = lambda _: None) -> list[Bar]:
    """Start `mien app` and click, several times."""
    repeats = 1 if settings.quick else REPEATS
    starts = []
    for number in range(repeats):
        progress(number / repeats)
        starts.append(once(settings.model, settings.device))
    progress(1.0)
    return bars(starts)


def bars(starts: Sequence[Start]) -> list[Bar]:
    """Medians; a click that came to nothing is no time at all."""
    page, first = "seconds until the page answers", "seconds from the first click to the first portrait"
    answered = _bar(page, [one.page for one in starts], PAGE)
    refusals = [one.refusal for one in starts if one.refusal]
    if refusals:
        return [answered, not_measured(first, PORTRAIT, "<=", f"the click was refused: {refusals[0]}")]
    return [answered, _bar(first, [one.portrait for one in starts], PORTRAIT)]


def once(model: str, device: str | None) -> Start:
    """Start a server, wait for its first event, and click for a portrait while it loads its models.

    Raises:
        RuntimeError: the first event failed, or the upload.
    """
    photo = valid.photos(1)[0]
    with serving.app(model, device) as server:
        begun = time.perf_counter()
        page = Page.open(server.address)
        with Visitor(page) as visitor:
            if not visitor.ask("models").ok:
                raise RuntimeError("page: the first event failed")
            ready = server.seconds + time.perf_counter() - begun
            begun = time.perf_counter()
            path = visitor.upload(photo.name, photo.data).file()
            answer = visitor.ask("portrait", {"photos": [uploaded(path)], "consented": True})
            if answer.ok:
                visitor.picture(answer.file())
            seconds = time.perf_counter() - begun
        page.close()
    return Start(page=ready, portrait=seconds, refusal="" if answer.ok else answer.message or "no words")


def _bar(name: str, seconds: list[float], most: float) -> Bar:
    values = np.array(seconds)
    return Bar(
        name=name, value=float(np.median(values)), bar=most, direction="<=", n=len(values),
        ci95=mean_interval(values, range(len(values))) if len(values) > 1 else None, domain=serving.this_machine(),
    )  # fmt: skip
