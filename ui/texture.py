"""The Texture tab: a photograph becomes a textured head."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import torch
from PIL import Image

from faces.provenance import save_image
from pipelines.texture.provenance import ORIGIN_COLOURS, TexelOrigin, draw_origins
from pipelines.texture.styles import PHOTOREAL, STYLES
from ui import controls, uploads
from ui.controls import Form
from ui.given import Given
from ui.limits import SEEDS, STEPS, require_within
from ui.running import Run
from ui.services import Services
from ui.session import Result, Session
from ui.sessions import Sessions

if TYPE_CHECKING:
    from pipelines.texture.files import TextureOutput


@dataclass(frozen=True, kw_only=True, slots=True)
class TextureRequest:
    """What a visitor asks for."""

    photo: str | None
    consented: bool
    style: str = PHOTOREAL
    delight: bool = False
    temperature: float = 0.3
    steps: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        require_within(self, temperature=(0, 1), steps=STEPS, seed=SEEDS)
        if self.style not in STYLES:
            raise ValueError(f"style {self.style!r}: expected one of {', '.join(STYLES)}")

    @classmethod
    def of(cls, given: Given) -> TextureRequest:
        """Read it off the controls."""
        return cls(
            photo=given.file("photo"), consented=given.flag("consented"), style=given.text("style"),
            delight=given.flag("delight"), temperature=given.number("temperature"), steps=given.whole("steps"),
            seed=given.whole("seed"),
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class TexturedHead:
    """Files of a head."""

    texture: Result
    glb: Path
    partial: Path
    """What the photograph shows of the texture."""
    origins: Path
    """Where each texel comes from, in colours."""
    turntable: Path
    """A strip of views, for where no viewer works."""
    seen: float
    """Share of the texels that the photograph shows."""


def make(
    request: TextureRequest, services: Services, run: Run, asked: dict[str, Any] | None = None
) -> TexturedHead:
    """Fit a head, complete its texture and write both.

    Raises:
        ImageError: the photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range.
        Stopped: the visitor wants no more.
    """
    photo = uploads.read(request.photo, run.session, request.consented)
    with services.pipeline("texture", run) as pipe:
        run.says("fitting a head to the photograph")
        made = pipe(
            photo,
            style=request.style,
            delight=request.delight,
            temperature=request.temperature,
            num_inference_steps=request.steps,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=run.steps(request.steps),
        )
        run.says("drawing the head", 0.9)
        return _written(pipe, made, request, run.session, asked or {})


def _written(
    pipe: Any, made: TextureOutput, request: TextureRequest, session: Session, asked: Mapping[str, Any]
) -> TexturedHead:
    from pipelines.texture.turntable import save_strip  # slow to import

    left_out = ("photo", "consented", "seed")
    settings = {name: value for name, value in asdict(request).items() if name not in left_out}
    origin = pipe.provenance(seed=request.seed, **settings).of_edit()
    origins = made.provenance[0]
    known = Image.fromarray((made.partial[0] * 255).round().astype(np.uint8))
    drawn = Image.fromarray(draw_origins(origins, pipe.layout.valid))
    file = save_image(made.texture[0], session.path("texture", ".png"), origin)
    head = TexturedHead(
        texture=Result(task="texture", file=file, seed=request.seed, settings=settings, asked=asked),
        glb=pipe.export_glb(session.path("head", ".glb"), made, record=origin),
        partial=save_image(known, session.path("partial", ".png"), origin),
        origins=save_image(drawn, session.path("origins", ".png"), origin),
        turntable=save_strip(pipe.turntable(made), session.path("turntable", ".png"), origin),
        seen=float((origins == TexelOrigin.SEEN)[pipe.layout.valid].mean()),
    )
    session.add(head.texture)
    return head


def tab(services: Services, sessions: Sessions) -> Form:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            photo, consent, heads = controls.photograph("texture")
            style = gr.Dropdown(label="Style", choices=list(STYLES), value=PHOTOREAL)
            delight = gr.Checkbox(label="Take the light off")
            temperature = gr.Slider(label="How much is invented", minimum=0, maximum=1, step=0.05, value=0.3)
            making = controls.making("texture", 8, "Make the head")
        with gr.Column():
            # Gradio's own camera looks down on the head.
            viewer = gr.Model3D(
                label="Head", height=380, camera_position=(90, 90, None), interactive=False,
                elem_id="texture-head", elem_classes=[controls.BADGE],
            )  # fmt: skip
            strip = controls.picture("From five sides", elem_id="texture-turntable")
            head = gr.DownloadButton("Download the head (GLB)", interactive=False)
        with gr.Column():
            with gr.Row():
                seen = controls.picture(
                    "Seen in the photograph", elem_id="texture-seen", min_width=150, height=190
                )
                origins = controls.picture(
                    "Where texels come from", elem_id="texture-origins", min_width=150, height=190
                )
            gr.Markdown(_legend())
            made = controls.outcome("texture", "Completed texture")
    form = Form(
        task="texture",
        inputs={
            "photo": photo, "consented": consent, "style": style, "delight": delight, "temperature": temperature,
        },
        photograph="photo", making=making, outcome=made,
    )  # fmt: skip

    def answer(given: Given, run: Run) -> tuple[Any, ...]:
        result = make(TextureRequest.of(given), services, run, dict(given.values))
        picture, facts, download = controls.shown(result.texture)
        facts |= {"seen": round(result.seen, 3)}
        glb = str(result.glb)
        return (
            picture, facts, download, glb, str(result.turntable),
            gr.DownloadButton(value=glb, interactive=True), str(result.partial), str(result.origins),
        )  # fmt: skip

    controls.wire(form, answer, [viewer, strip, head, seen, origins], sessions)

    def example(index: int, _: str) -> dict[str, Any]:
        return {"style": list(STYLES)[index % len(STYLES)]}

    controls.wire_examples(heads, form, sessions, ["style"], example)
    return form


def _legend() -> str:
    """Colours of `draw_origins` in words."""
    words = {TexelOrigin.SEEN: "seen", TexelOrigin.MIRRORED: "only its mirror image is seen",
             TexelOrigin.GENERATED: "invented"}  # fmt: skip
    return " ".join(
        f'<span class="swatch" style="background:rgb{ORIGIN_COLOURS[origin]}"></span>{text}'
        for origin, text in words.items()
    )
