"""The Expression tab: a person with action units of the visitor's choice, or one of the eight expressions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
import torch

from faces import captions, policy, vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import unit_columns
from faces.provenance import save_image
from ui import controls, uploads
from ui.controls import Form
from ui.events import IN_LANE, handler
from ui.face_map import face_map, from_sliders, to_sliders
from ui.given import Given
from ui.limits import SEEDS, STEPS, require_within
from ui.running import Run
from ui.services import Services
from ui.session import Result
from ui.sessions import Sessions

STRONGEST = 1.5
WORDS = {
    "AU1": "inner brows up", "AU2": "outer brows up", "AU4": "brows down", "AU5": "eyes wide", "AU7": "lids tight",
    "AU9": "nose wrinkled", "AU10": "upper lip up", "AU12": "mouth corners up", "AU15": "mouth corners down",
    "AU16": "lower lip down", "AU17": "chin up", "AU18": "lips puckered", "AU20": "mouth stretched",
    "AU22": "lips funnelled", "AU24": "lips pressed", "AU25": "lips apart", "AU26": "jaw open",
    "AU38": "nostrils wide", "AU43": "eyes closed",
}  # fmt: skip
"""Action unit -> what it does."""
_SIDES = {"L": "their left", "R": "their right"}
SHOWN = {
    column: WORDS[column] if column in WORDS else f"{WORDS[column[:-1]]}, {_SIDES[column[-1]]}"
    for column in vocabulary.UNIT_COLUMNS
}
"""What there is a slider for -> what it does; sides are the subject's."""
BY_UNITS = "by action units"
EXAMPLES = tuple(name for name in vocabulary.EXPRESSIONS if name != "neutral")
_GLANCE = 6
"""Steps of the live preview."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpressionRequest:
    """What a visitor asks for."""

    photo: str | None
    """None draws nobody in particular."""
    consented: bool
    prompt: str = ""
    """None of it words hair, glasses and beard of the photograph, so that they stay."""
    expression: str | None = None
    """Of `vocabulary.EXPRESSIONS`, instead of units."""
    intensity: float = 1.0
    units: tuple[tuple[str, float], ...] = ()
    """Column of `vocabulary.UNIT_COLUMNS` and its strength, such as ("AU12L", 0.8)."""
    steps: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        policy.require(self.prompt)
        require_within(self, intensity=(0, 2), steps=STEPS, seed=SEEDS)
        if self.expression is not None and self.expression not in tuple(vocabulary.EXPRESSIONS):
            raise ValueError(
                f"expression {self.expression!r}: expected one of {', '.join(vocabulary.EXPRESSIONS)}"
            )
        for name, value in self.units:
            if not 0 <= value <= STRONGEST:
                raise ValueError(f"{name} {value}: expected a number from 0 to {STRONGEST:g}")

    @classmethod
    def of(cls, given: Given) -> ExpressionRequest:
        """Read it off the controls."""
        expression = given.text("expression")
        by_units = expression == BY_UNITS
        units = tuple((unit, given.number(unit)) for unit in SHOWN)
        return cls(
            photo=given.file("photo"), consented=given.flag("consented"), prompt=given.text("prompt"),
            expression=None if by_units else expression, intensity=given.number("intensity"),
            units=tuple(one for one in units if one[1]) if by_units else (),
            steps=given.whole("steps"), seed=given.whole("seed"),
        )  # fmt: skip

    def settings(self) -> dict[str, Any]:
        """What is told of a result."""
        return {
            "prompt": self.prompt, "expression": self.expression, "intensity": self.intensity,
            "units": dict(self.units), "steps": self.steps,
        }  # fmt: skip


def draw(request: ExpressionRequest, services: Services, run: Run, name: str = "expression") -> Any:
    """Draw a person with an expression and return the file.

    Raises:
        ImageError: the photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range, or an unknown action unit.
        Stopped: the visitor wants no more.
    """
    photo = uploads.read(request.photo, run.session, request.consented) if request.photo else None
    with services.pipeline("expression", run) as pipe:
        prompt = request.prompt.strip() or captions.prompt()
        if photo is not None and not request.prompt.strip():
            prompt = captions.prompt_of(services.analyzer().require_face(photo, name="photograph"))
        output = pipe(
            image=photo,
            prompt=prompt,
            action_units=dict(request.units) or None,
            expression=request.expression,
            intensity=request.intensity,
            num_inference_steps=request.steps,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=run.steps(request.steps),
        )
        settings = request.settings()
        asked = {key: settings[key] for key in ("expression", "intensity", "units")}
        origin = pipe.provenance(seed=request.seed, steps=request.steps, prompt=prompt, **asked)
    return save_image(output.images[0], run.session.path(name, ".png"), origin)


def make(
    request: ExpressionRequest, services: Services, run: Run, asked: dict[str, Any] | None = None
) -> Result:
    """`draw`, kept among the results."""
    file = draw(request, services, run)
    return run.session.add(
        Result(
            task="expression", file=file, seed=request.seed, settings=request.settings(), asked=asked or {}
        )
    )


def preset(name: str, intensity: float) -> list[float]:
    """Values of the sliders for an expression: its typical units."""
    typical = unit_columns(PROTOTYPES[name])
    return [min(STRONGEST, round(typical.get(column, 0.0) * intensity, 2)) for column in SHOWN]


def tab(services: Services, sessions: Sessions) -> Form:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            photo, consent, heads = controls.photograph("expression", "Photograph of the person, or none")
            prompt = gr.Textbox(
                label="Prompt",
                value="",
                max_lines=3,
                placeholder="empty: hair, glasses and beard of the photograph",
            )
            chosen = gr.Radio(
                label="Expression", choices=[BY_UNITS, *vocabulary.EXPRESSIONS], value="neutral"
            )
            intensity = gr.Slider(label="Intensity", minimum=0, maximum=2, step=0.05, value=1)
            live = gr.Checkbox(label="Live preview, in fewer steps", value=True)
            making = controls.making("expression", 20, "Draw the expression")
        with gr.Column():
            drawn = face_map(SHOWN, STRONGEST, elem_id="face-map")
            glance = controls.picture("Live preview", height=260, elem_id="expression-preview")
            with gr.Accordion("Action units as sliders", open=False):
                sliders = {
                    unit: gr.Slider(
                        label=f"{unit}: {words}", minimum=0, maximum=STRONGEST, step=0.05, value=0,
                        elem_id=f"slider-{unit}",
                    )
                    for unit, words in SHOWN.items()
                }  # fmt: skip
        with gr.Column():
            made = controls.outcome("expression")
    form = Form(
        task="expression",
        inputs={
            "photo": photo, "consented": consent, "prompt": prompt, "expression": chosen, "intensity": intensity,
            **sliders,
        },
        photograph="photo", making=making, outcome=made,
    )  # fmt: skip

    def answer(given: Given, run: Run) -> tuple[Any, ...]:
        return controls.shown(make(ExpressionRequest.of(given), services, run, dict(given.values)))

    def look(given: Given, run: Run) -> Any:
        if not given.flag("live"):
            return gr.skip()
        request = replace(ExpressionRequest.of(given), steps=_GLANCE)
        return str(draw(request, services, run, "preview"))

    controls.wire(form, answer, [], sessions)

    def example(index: int, _: str) -> dict[str, Any]:
        name = EXAMPLES[index % len(EXAMPLES)]
        return {"expression": name, **dict(zip(SHOWN, preset(name, 1), strict=True))}

    controls.wire_examples(heads, form, sessions, ["expression", *SHOWN], example)
    _link(chosen, intensity, list(sliders.values()), drawn)
    named = {**form.controls(), "live": live}
    moved = [
        chosen.input,
        intensity.release,
        drawn.input,
        live.input,
        *(one.release for one in sliders.values()),
    ]
    gr.on(
        moved, handler(look, list(named), sessions, "expression_preview", computes=True), list(named.values()), glance,
        api_name="expression_preview", **IN_LANE,
        trigger_mode="always_last", show_progress_on=[glance],
    )  # fmt: skip
    return form


def _link(chosen: gr.Radio, intensity: gr.Slider, sliders: list[gr.Slider], drawn: gr.HTML) -> None:
    """Presets set the units, and who moves a unit leaves the preset; the map and the sliders show the same."""
    for event in (chosen.input, intensity.input):
        event(
            lambda name, factor: [gr.skip()] * len(SHOWN) if name == BY_UNITS else preset(name, factor),
            [chosen, intensity], sliders, queue=False, show_progress="hidden", api_visibility="private",
        )  # fmt: skip
    gr.on(
        [one.change for one in sliders],
        None,
        sliders,
        drawn,
        js=from_sliders(SHOWN),
        api_visibility="private",
    )
    drawn.input(None, drawn, sliders, js=to_sliders(SHOWN), api_visibility="private")
    gr.on(
        [drawn.input, *(one.input for one in sliders)], None, None, chosen, js=f"() => {BY_UNITS!r}",
        api_visibility="private",
    )  # fmt: skip
