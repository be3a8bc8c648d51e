"""The bars of the web page: how soon it is there, whether visitors cross, what it refuses and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable

from gen.evaluation.bars import Bar, Settings, controls_bar
from ui.evaluation import load, malformed, serving, start, valid
from ui.evaluation.visitor import Page

VISITORS, QUICK_VISITORS = 10, 4
QUICK_COMPARED = 2
"""Visitors of a quick run whose pictures are made again alone."""
GRACE = 0.5
"""Seconds until what a visitor left is deleted, instead of a minute."""


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of the page on servers in processes of their own."""
    bars = start.measure(settings, _part(settings, "start", 0.0, 0.3))
    photos = valid.photos(QUICK_VISITORS if settings.quick else VISITORS)
    with serving.short_of_grace(settings.model, settings.device, GRACE) as server:
        page = Page.open(server.address)
        compared = QUICK_COMPARED if settings.quick else None
        bars += load.measure(server, page, photos, compared, _part(settings, "visitors", 0.3, 0.7))
        every = malformed.cases(photos[0])
        chosen = malformed.some(every, malformed.QUICK_COUNT) if settings.quick else every
        record = settings.plots and settings.plots / "refusals.json"
        bars += malformed.measure(
            server, page, photos[0], chosen, record, _part(settings, "malformed", 0.7, 1.0)
        )
        page.close()
    return [*bars, controls_bar(bars)]


def _part(settings: Settings, text: str, begin: float, end: float) -> Callable[[float], None]:
    """Tell the progress of a part as that of the whole."""
    return lambda share: settings.progress(text, begin + share * (end - begin))
