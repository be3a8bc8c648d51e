"""The Drag tab: arrows on a photograph, points that stay, a mask; first a preview by moved pixels, then the edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import torch

from faces.images import open_image
from faces.provenance import save_image
from pipelines.drag.drawing import draw_flow
from pipelines.drag.gestures import EXAMPLES
from pipelines.drag.measures import EditMeasures, measure
from ui import controls, uploads
from ui.canvas_state import CanvasState
from ui.controls import Form
from ui.drag_board import Board, Glance
from ui.given import Given
from ui.limits import SEEDS, STEPS, require_within
from ui.running import Run
from ui.services import Services
from ui.session import Result
from ui.sessions import Sessions


@dataclass(frozen=True, kw_only=True, slots=True)
class DragRequest:
    """What a visitor asks for."""

    photo: str | None
    consented: bool
    drawn: CanvasState
    steps: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        require_within(self, steps=STEPS, seed=SEEDS)

    @classmethod
    def of(cls, given: Given) -> DragRequest:
        """Read it off the controls."""
        return cls(
            photo=given.file("photo"), consented=given.flag("consented"),
            drawn=CanvasState.parse(given.values["drawn"]), steps=given.whole("steps"), seed=given.whole("seed"),
        )  # fmt: skip


def preview(request: DragRequest, services: Services, run: Run) -> Glance:
    """Move pixels alone, at once.

    Raises:
        ImageError: the photograph cannot be used.
        ConsentMissing: without consent.
        ValueError: nothing is drawn, or on another photograph.
    """
    photo = uploads.read(request.photo, run.session, request.consented)
    given = request.drawn.given((photo.shape[1], photo.shape[0]))
    with services.pipeline("drag", run) as pipe:
        moved = pipe.preview(photo, given["drags"], given["pins"], given["mask"])
        origin = pipe.provenance(**_counts(given), preview=True).of_edit()
    longest = float(np.linalg.norm(given["drags"][:, 1] - given["drags"][:, 0], axis=1).max())
    matrix = np.eye(2, 3) if moved.matrices[0] is None else moved.matrices[0]
    return Glance(
        file=save_image(moved.images[0], run.session.path("preview", ".png"), origin),
        photo=photo,
        flow=draw_flow(moved.flow[0].cpu().numpy(), photo, matrix, longest),
    )


def make(
    request: DragRequest, services: Services, run: Run, asked: dict[str, Any] | None = None
) -> tuple[Result, EditMeasures]:
    """Edit the photograph, and measure the edit; raises as `preview` does, and `Stopped`."""
    photo = uploads.read(request.photo, run.session, request.consented)
    given = request.drawn.given((photo.shape[1], photo.shape[0]))
    with services.pipeline("drag", run) as pipe:
        output = pipe(
            photo,
            **given,
            num_inference_steps=request.steps,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=run.steps(request.steps),
        )
        settings = {**_counts(given), "steps": request.steps}
        origin = pipe.provenance(seed=request.seed, **settings).of_edit()
    file = save_image(output.images[0], run.session.path("drag", ".png"), origin)
    result = Result(task="drag", file=file, seed=request.seed, settings=settings, asked=asked or {})
    return run.session.add(result), measure(output, photo)


def gesture(photo: np.ndarray, name: str, services: Services, run: Run | None = None) -> CanvasState:
    """Arrows and pins of one of `EXAMPLES` on the face in a photograph.

    Raises:
        NoFaceFound: there is none.
        ValueError: an unknown gesture.
    """
    if name not in tuple(EXAMPLES):
        raise ValueError(f"gesture {name!r}: expected one of {', '.join(EXAMPLES)}")
    size = (photo.shape[1], photo.shape[0])
    with services.pipeline("drag", run) as pipe:
        landmarks = pipe.analyzer.require_face(photo, name="photograph").landmarks
    return CanvasState.at_places(*EXAMPLES[name].on(landmarks, size), size)


def in_words(measured: EditMeasures) -> str:
    """What is shown of an edit's measures."""
    return (
        f"The flow ends {measured.missed.max():.1f} px from its target at most. Where it moves nothing, the edit "
        f"differs by {measured.still_difference:.1f} of 255 on average. {measured.may_change:.0%} of the pixels may "
        "have changed, all others are those of the photograph."
    )


def _counts(given: dict[str, Any]) -> dict[str, int]:
    return {"drags": len(given["drags"]), "pins": len(given["pins"])}


def tab(services: Services, sessions: Sessions) -> Form:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            photo, consent, heads = controls.photograph("drag")
            board = Board.lay_out(list(EXAMPLES))
            making = controls.making("drag", 8, "Make the edit")
        with gr.Column():
            board.lay_out_preview()
            beside = controls.before_and_after("drag")
            made = controls.outcome("drag")
            measured = gr.Markdown(elem_id="drag-measured")
    form = Form(
        task="drag",
        inputs={"photo": photo, "consented": consent, "drawn": board.drawing},
        photograph="photo", making=making, outcome=made,
    )  # fmt: skip

    def answer(given: Given, run: Run) -> tuple[Any, ...]:
        request = DragRequest.of(given)
        result, measures = make(request, services, run, dict(given.values))
        return *controls.shown(result), (request.photo, str(result.file)), in_words(measures)

    def example(index: int, path: str) -> dict[str, Any]:
        name = list(EXAMPLES)[index % len(EXAMPLES)]
        return {"drawn": gesture(open_image(path), name, services).to_json()}

    def look(given: Given, run: Run) -> Glance:
        return preview(DragRequest.of(given), services, run)

    def suggest(photo: np.ndarray, name: str, run: Run) -> CanvasState:
        return gesture(photo, name, services, run)

    controls.wire(form, answer, [beside, measured], sessions)
    controls.wire_examples(heads, form, sessions, ["drawn"], example)
    board.wire(form, look, suggest, sessions)
    return form
