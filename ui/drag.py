"""The Drag tab: arrows on a photograph, points that stay, a mask; first a preview by moved pixels, then the edit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import torch

from faces.provenance import save_image
from ui import canvas, controls, uploads
from ui.canvas_state import TABLE_HEADERS, CanvasState, from_table, to_table
from ui.events import LANE, plain_errors, session_of
from ui.limits import SEEDS, STEPS, require_within
from ui.services import Services
from ui.session import Result, Session


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


def preview(request: DragRequest, services: Services, session: Session) -> np.ndarray:
    """Move pixels alone, (h, w, 3) uint8, at once.

    Raises:
        ImageError: the photograph cannot be used.
        ConsentMissing: without consent.
        ValueError: nothing is drawn, or on another photograph.
    """
    photo = uploads.read(request.photo, session, request.consented)
    given = request.drawn.given((photo.shape[1], photo.shape[0]))
    pipe: Any = services.pipeline("drag")
    return np.asarray(pipe.preview(photo, given["drags"], given["pins"]).images[0])


def make(request: DragRequest, services: Services, session: Session) -> Result:
    """Edit the photograph; raises as `preview` does."""
    photo = uploads.read(request.photo, session, request.consented)
    given = request.drawn.given((photo.shape[1], photo.shape[0]))
    pipe: Any = services.pipeline("drag")
    output = pipe(
        photo,
        **given,
        num_inference_steps=request.steps,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    settings = {"drags": len(given["drags"]), "pins": len(given["pins"]), "steps": request.steps}
    origin = pipe.provenance(seed=request.seed, **settings)
    origin = origin.model_copy(update={"digital_source_type": "compositeWithTrainedAlgorithmicMedia"})
    file = save_image(output.images[0], session.path("drag", ".png"), origin)
    return session.add(Result(task="drag", file=file, seed=request.seed, settings=settings))


def tab(services: Services, session: gr.State) -> gr.Image:
    """Lay the tab out; returns where a photograph goes."""
    with gr.Row():
        with gr.Column():
            photo = controls.photograph()
            drawing = canvas.drag_canvas()
            with gr.Accordion("The same in numbers", open=False):
                table = gr.Dataframe(
                    headers=list(TABLE_HEADERS), type="array", datatype="number", interactive=True,
                    label="x, y, to x, to y in pixels; without a target a pin",
                )  # fmt: skip
            glance = gr.Button("Preview by moved pixels")
            making = controls.making(8, "Make the edit")
        with gr.Column():
            made = controls.outcome()
            beside = gr.ImageSlider(label="Before and after", interactive=False, height=380)

    @plain_errors
    def upload(file, agreed, visitor):  # noqa: ANN001, ANN202
        own = session_of(visitor)
        if not file or not agreed:
            return canvas.canvas_update(None), [], own
        return canvas.canvas_update(uploads.read(file, own, agreed)), [], own

    @plain_errors
    def look(file, agreed, drawn, seed, steps, visitor):  # noqa: ANN001, ANN202
        own = session_of(visitor)
        moved = preview(_request(file, agreed, drawn, steps, seed), services, own)
        return (file, moved), own

    @plain_errors
    def run(file, agreed, drawn, seed, steps, visitor):  # noqa: ANN001, ANN202
        own = session_of(visitor)
        result = make(_request(file, agreed, drawn, steps, seed), services, own)
        return *controls.shown(result), (file, str(result.file)), own

    for changed in (photo.image.change, photo.consent.change):
        changed(upload, [*photo, session], [drawing, table, session], api_visibility="private")
    drawing.input(
        plain_errors(lambda drawn: to_table(CanvasState.parse(drawn))), drawing, table, trigger_mode="always_last",
        api_visibility="private",
    )  # fmt: skip
    table.input(
        plain_errors(_from_rows),
        [table, drawing],
        drawing,
        trigger_mode="always_last",
        api_visibility="private",
    )
    glance.click(
        look, [*photo, drawing, making.seed, making.steps, session], [beside, session], api_name="drag_preview",
        concurrency_id=LANE, concurrency_limit=1,
    )  # fmt: skip
    controls.wire(making, run, [*photo, drawing], [*made, beside], session, "drag")
    return photo.image


def _request(file: str | None, agreed: bool, drawn: Any, steps: float, seed: float) -> DragRequest:
    return DragRequest(
        photo=file, consented=agreed, drawn=CanvasState.parse(drawn), steps=int(steps), seed=int(seed)
    )


def _from_rows(rows: Any, drawn: Any) -> Any:
    before = CanvasState.parse(drawn)
    return from_table(rows, before.size, kept=before).to_json() if before.size else gr.skip()
