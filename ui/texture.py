"""The Texture tab: a photograph becomes a textured head."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import gradio as gr
import torch

from faces.provenance import save_image
from pipelines.texture.styles import PHOTOREAL, STYLES
from ui import controls, uploads
from ui.events import plain_errors, session_of
from ui.limits import SEEDS, STEPS, require_within
from ui.services import Services
from ui.session import Result, Session


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


@dataclass(frozen=True, kw_only=True, slots=True)
class TexturedHead:
    """Files of a head."""

    texture: Result
    glb: Path
    turntable: Path
    """A strip of views, for where no viewer works."""
    seen: float
    """Share of the texels that the photograph shows."""


def make(request: TextureRequest, services: Services, session: Session) -> TexturedHead:
    """Fit a head, complete its texture and write both.

    Raises:
        ImageError: the photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range.
    """
    from pipelines.texture.provenance import TexelOrigin
    from pipelines.texture.turntable import save_strip

    photo = uploads.read(request.photo, session, request.consented)
    pipe: Any = services.pipeline("texture")
    made = pipe(
        photo,
        style=request.style,
        delight=request.delight,
        temperature=request.temperature,
        num_inference_steps=request.steps,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    left_out = ("photo", "consented", "seed")
    settings = {name: value for name, value in asdict(request).items() if name not in left_out}
    origin = pipe.provenance(seed=request.seed, **settings)
    origin = origin.model_copy(update={"digital_source_type": "compositeWithTrainedAlgorithmicMedia"})
    file = save_image(made.texture[0], session.path("texture", ".png"), origin)
    glb = pipe.export_glb(session.path("head", ".glb"), made, record=origin)
    strip = save_strip(pipe.turntable(made), session.path("turntable", ".png"), origin)
    seen = (made.provenance[0] == TexelOrigin.SEEN)[pipe.layout.valid].mean()
    result = session.add(Result(task="texture", file=file, seed=request.seed, settings=settings))
    return TexturedHead(texture=result, glb=glb, turntable=strip, seen=float(seen))


def tab(services: Services, session: gr.State) -> gr.Image:
    """Lay the tab out; returns where a photograph goes."""
    with gr.Row():
        with gr.Column():
            photo = controls.photograph()
            style = gr.Dropdown(label="Style", choices=list(STYLES), value=PHOTOREAL)
            delight = gr.Checkbox(label="Take the light off")
            temperature = gr.Slider(label="How much is invented", minimum=0, maximum=1, step=0.05, value=0.3)
            making = controls.making(8, "Make the head")
        with gr.Column():
            # Gradio's own camera looks down on the head.
            viewer = gr.Model3D(label="Head", height=380, camera_position=(90, 90, None), interactive=False)
            strip = gr.Image(label="From five sides", type="filepath", interactive=False, format="png")
            made = controls.outcome("Texture")
            head = gr.DownloadButton("Download the head (GLB)", interactive=False)

    @plain_errors
    def run(file, agreed, look, bare, warmth, seed, steps, visitor):  # noqa: ANN001, ANN202
        own = session_of(visitor)
        request = TextureRequest(
            photo=file, consented=agreed, style=look, delight=bare, temperature=warmth, steps=int(steps),
            seed=int(seed),
        )  # fmt: skip
        result = make(request, services, own)
        picture, facts, download = controls.shown(result.texture)
        facts |= {"seen": round(result.seen, 3)}
        glb = str(result.glb)
        offered = gr.DownloadButton(value=glb, interactive=True)
        return glb, str(result.turntable), picture, facts, download, offered, own

    inputs, outputs = [*photo, style, delight, temperature], [viewer, strip, *made, head]
    controls.wire(making, run, inputs, outputs, session, "texture")
    return photo.image
