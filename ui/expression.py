"""The Expression tab: a person with action units of the visitor's choice, or one of the eight expressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr
import torch

from faces import policy, vocabulary
from faces.provenance import save_image
from ui import controls, uploads
from ui.events import plain_errors, session_of
from ui.limits import SEEDS, STEPS, require_within
from ui.services import Services
from ui.session import Result, Session

STRONGEST = 1.5
SHOWN = {
    "AU1": "inner brows up", "AU2": "outer brows up", "AU4": "brows together", "AU5": "eyes wide", "AU6": "cheeks up",
    "AU9": "nose wrinkled", "AU12": "mouth corners up", "AU15": "mouth corners down", "AU17": "chin up",
    "AU20": "mouth stretched", "AU25": "lips apart", "AU26": "jaw open", "AU43": "eyes closed",
}  # fmt: skip
"""Action units with a slider -> what they do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpressionRequest:
    """What a visitor asks for."""

    photo: str | None
    """None draws nobody in particular."""
    consented: bool
    prompt: str = "portrait of a person"
    expression: str | None = None
    """Of `vocabulary.EXPRESSIONS`, instead of units."""
    intensity: float = 1.0
    units: tuple[tuple[str, float], ...] = ()
    """Action unit and its strength, such as ("AU12", 0.8)."""
    steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        policy.require(self.prompt)
        require_within(self, intensity=(0, 2), steps=STEPS, seed=SEEDS)
        if self.expression is not None and self.expression not in vocabulary.EXPRESSIONS:
            raise ValueError(
                f"expression {self.expression!r}: expected one of {', '.join(vocabulary.EXPRESSIONS)}"
            )
        for name, value in self.units:
            if not 0 <= value <= STRONGEST:
                raise ValueError(f"{name} {value}: expected a number from 0 to {STRONGEST:g}")


def make(request: ExpressionRequest, services: Services, session: Session) -> Result:
    """Draw a person with an expression.

    Raises:
        ImageError: the photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range, or an unknown action unit.
    """
    photo = uploads.read(request.photo, session, request.consented) if request.photo else None
    pipe: Any = services.pipeline("expression")
    output = pipe(
        image=photo,
        prompt=request.prompt,
        action_units=dict(request.units) or None,
        expression=request.expression,
        intensity=request.intensity,
        num_inference_steps=request.steps,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    settings = {
        "prompt": request.prompt, "expression": request.expression, "intensity": request.intensity,
        "units": dict(request.units), "steps": request.steps,
    }  # fmt: skip
    asked = {name: settings[name] for name in ("expression", "intensity", "units")}
    origin = pipe.provenance(seed=request.seed, steps=request.steps, prompt=request.prompt, **asked)
    file = save_image(output.images[0], session.path("expression", ".png"), origin)
    return session.add(Result(task="expression", file=file, seed=request.seed, settings=settings))


def tab(services: Services, session: gr.State) -> gr.Image:
    """Lay the tab out; returns where a photograph goes."""
    with gr.Row():
        with gr.Column():
            photo = controls.photograph("Photograph of the person, or none")
            prompt = gr.Textbox(label="Prompt", value="portrait of a person", max_lines=3)
            preset = gr.Radio(
                label="Expression", choices=["by action units", *vocabulary.EXPRESSIONS], value="happy"
            )
            intensity = gr.Slider(label="Intensity", minimum=0, maximum=2, step=0.05, value=1)
            with gr.Accordion("Action units", open=False):
                sliders = [
                    gr.Slider(
                        label=f"{unit}: {SHOWN[unit]}", minimum=0, maximum=STRONGEST, step=0.05, value=0
                    )
                    for unit in SHOWN
                ]
            making = controls.making(20, "Draw the expression")
        with gr.Column():
            made = controls.outcome()

    @plain_errors
    def run(file, agreed, text, chosen, factor, *rest):  # noqa: ANN001, ANN002, ANN202
        *values, seed, steps, visitor = rest
        own = session_of(visitor)
        by_units = chosen == "by action units"
        units = tuple((unit, float(value)) for unit, value in zip(SHOWN, values, strict=True) if value)
        request = ExpressionRequest(
            photo=file, consented=agreed, prompt=text, expression=None if by_units else chosen, intensity=factor,
            units=units if by_units else (), steps=int(steps), seed=int(seed),
        )  # fmt: skip
        return *controls.shown(make(request, services, own)), own

    controls.wire(
        making, run, [*photo, prompt, preset, intensity, *sliders], list(made), session, "expression"
    )
    return photo.image
