"""What is drawn on in the Drag tab, in four forms that show the same: a canvas, clicks on a picture, a table, JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from pipelines.drag.drawing import draw_drags
from ui import canvas, controls, uploads
from ui.canvas_state import TABLE_HEADERS, CanvasState, clicked, from_table, from_text, to_table, to_text
from ui.controls import Form
from ui.events import IN_LANE, Answer, handler, plain_errors
from ui.given import Given
from ui.running import Run
from ui.sessions import Sessions

_HINT = """Click where an arrow starts, then where it ends; twice at one place makes a pin. Or write numbers:
x, y, to x, to y in pixels; without a target it is a pin."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Glance:
    """A preview."""

    file: Path
    """The photograph with its pixels moved."""
    photo: np.ndarray
    """(h, w, 3) uint8."""
    flow: np.ndarray
    """How everything moves, in colours over the photograph, (h, w, 3) uint8."""


Look = Callable[[Given, Run], Glance]
"""Makes a preview."""
Suggest = Callable[[np.ndarray, str, Run], CanvasState]
"""Draws a ready-made gesture on a photograph (h, w, 3) uint8."""


@dataclass(slots=True, eq=False)
class Board:
    """The components."""

    drawing: gr.HTML
    ready: gr.Dropdown
    live: gr.Checkbox
    clicks: gr.Image
    table: gr.Dataframe
    text: gr.Textbox
    read: gr.Button
    glance: gr.Image | None = None

    @classmethod
    def lay_out(cls, gestures: Sequence[str]) -> Board:
        """Lay out all but the preview."""
        drawing = canvas.drag_canvas(elem_id="drag-canvas")
        with gr.Row():
            ready = gr.Dropdown(
                label="Ready-made arrows", choices=list(gestures), value=None, elem_id="drag-gesture"
            )
            live = gr.Checkbox(label="Live preview: moves pixels as you draw", value=True)
        with gr.Accordion("Without drawing: clicks, numbers, JSON", open=False):
            gr.Markdown(_HINT)
            clicks = gr.Image(label="Click here", interactive=False, height=320, elem_id="drag-clicks")
            table = gr.Dataframe(
                headers=list(TABLE_HEADERS), type="array", datatype="number", interactive=True,
                label="Arrows and pins", elem_id="drag-table",
            )  # fmt: skip
            text = gr.Textbox(
                label="As JSON, as programs send it; keep it, or paste it over another photograph",
                lines=3, max_lines=8, buttons=["copy"], elem_id="drag-json",
            )  # fmt: skip
            read = gr.Button("Draw what it says", size="sm", elem_id="drag-json-read")
        return cls(drawing, ready, live, clicks, table, text, read)

    def lay_out_preview(self) -> None:
        """Lay out the preview."""
        self.glance = controls.picture("Preview by moved pixels", height=280, elem_id="drag-preview")

    def wire(self, form: Form, look: Look, suggest: Suggest, sessions: Sessions) -> None:
        """Let all four follow whichever of them changes, and the preview follow them."""
        given = dict(form.inputs)
        everywhere = [self.drawing, self.table, self.text, self.clicks]
        others = everywhere[1:]

        def listen(
            event: Any,
            answer: Answer,
            outputs: Sequence[Any],
            more: Mapping[str, Any] | None = None,
            computes: bool = False,
        ) -> Any:
            named = {**given, **(more or {})}
            return event(
                handler(answer, list(named), sessions, "drawing", computes), list(named.values()), outputs,
                preprocess=False, show_progress="hidden", api_visibility="private", trigger_mode="always_last",
            )  # fmt: skip

        def suggested(given: Given, run: Run) -> Any:
            picture = _opened(given, run)
            if picture is None:
                raise ValueError("photograph: none yet; upload one first")
            return _everywhere(picture, suggest(picture, given.text("gesture"), run))

        changed = [
            *(
                listen(one.change, _placed, everywhere)
                for one in (form.inputs["photo"], form.inputs["consented"])
            ),
            listen(self.drawing.input, _followed, others),
            listen(self.table.input, _read_off, [self.drawing, self.text, self.clicks], {"rows": self.table}),
            listen(self.read.click, _read_out, everywhere, {"text": self.text}),
            listen(self.ready.input, suggested, everywhere, {"gesture": self.ready}, computes=True),
            listen(self._clicked().success, _followed, others),
        ]
        self._wire_preview(form, look, sessions, [self.live.input, *(one.success for one in changed)])

    def _clicked(self) -> Any:
        """Clicks change the canvas."""

        def click(drawn: Any, event: gr.SelectData) -> Any:
            with plain_errors():
                return clicked(CanvasState.parse(drawn), *event.index).to_json()

        return self.clicks.select(
            click, self.drawing, self.drawing, api_visibility="private", queue=False, show_progress="hidden"
        )

    def _wire_preview(self, form: Form, look: Look, sessions: Sessions, events: Sequence[Any]) -> None:
        def glance(given: Given, run: Run) -> Any:
            state = CanvasState.parse(given.values["drawn"])
            if not given.flag("live") or not state.drags or state.start:
                return gr.skip(), gr.skip()
            seen = look(given, run)
            return canvas.canvas_update(seen.photo, state, seen.flow), str(seen.file)

        named = {**form.controls(), "live": self.live}
        shown: dict[str, Any] = {"api_name": "drag_preview"}
        for event in events:
            event(
                handler(glance, list(named), sessions, "drag_preview", computes=True), list(named.values()),
                [self.drawing, self.glance], show_progress="hidden", trigger_mode="always_last", **IN_LANE, **shown,
            )  # fmt: skip
            shown = {"api_visibility": "private"}


def _opened(given: Given, run: Run) -> np.ndarray | None:
    path = given.file("photo")
    return uploads.read(path, run.session, given.flag("consented")) if path else None


def _placed(given: Given, run: Run) -> Any:
    """A new photograph: what was drawn stays if it fits, such as when an example brings both."""
    try:
        picture = _opened(given, run)
    except uploads.ConsentMissing:
        picture = None  # it is shown once the box is ticked
    if picture is None:
        return canvas.canvas_update(None), [], "", None
    # An event that set both may be heard of before its arrows are.
    intended = run.session.intended.pop(given.file("photo") or "", {})
    state = CanvasState.parse(intended.get("drawn", given.values["drawn"]))
    return _everywhere(picture, state if state.size == (picture.shape[1], picture.shape[0]) else None)


def _followed(given: Given, run: Run) -> Any:
    """Something was drawn on the canvas."""
    state = CanvasState.parse(given.values["drawn"])
    return to_table(state), to_text(state), _drawn_on(_opened(given, run), state)


def _read_off(given: Given, run: Run) -> Any:
    """Something was written in the table."""
    before, rows = CanvasState.parse(given.values["drawn"]), given.values["rows"]
    if before.size is None:
        return gr.skip(), gr.skip(), gr.skip()
    state = from_table(rows["data"] if isinstance(rows, dict) else rows, before.size, kept=before)
    return state.to_json(), to_text(state), _drawn_on(_opened(given, run), state)


def _read_out(given: Given, run: Run) -> Any:
    """JSON was given."""
    picture, before = _opened(given, run), CanvasState.parse(given.values["drawn"])
    if picture is None:
        raise ValueError("photograph: none yet; upload one first")
    size = (picture.shape[1], picture.shape[0])
    return _everywhere(picture, from_text(given.text("text"), size, kept=before))


def _everywhere(picture: np.ndarray, state: CanvasState | None) -> tuple[Any, ...]:
    """The same state on the canvas, in the table, as text and on the picture to click."""
    state = state or CanvasState(size=(picture.shape[1], picture.shape[0]))
    return canvas.canvas_update(picture, state), to_table(state), to_text(state), _drawn_on(picture, state)


def _drawn_on(picture: np.ndarray | None, state: CanvasState) -> np.ndarray | None:
    """The photograph with what is drawn on it; the start of an unfinished arrow looks like a pin."""
    if picture is None:
        return None
    drags, pins = state.places()
    if state.start is not None:
        pins = np.concatenate([pins, np.array([state.start]) * (picture.shape[1], picture.shape[0])])
    return draw_drags(picture, drags, pins)
