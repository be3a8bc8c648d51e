"""The Makeup tab: a look from a photograph or in colours, or makeup taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import gradio as gr
import torch

from faces.makeup import BARE, LAYERS, MakeupLook
from faces.provenance import save_image
from ui import controls, uploads
from ui.controls import Form
from ui.given import Given
from ui.limits import SEEDS, STEPS, require_within
from ui.running import Run
from ui.services import Services
from ui.session import Result
from ui.sessions import Sessions

Source = Literal["reference", "colours", "remove"]
SOURCES: tuple[Source, ...] = ("reference", "colours", "remove")
REGIONS = ("lips", "eyes", "skin")
COLOURS = {"lips": "#b0203a"}
"""Chosen when the page opens."""
EXAMPLES = (
    {"source": "colours", "lips": "#b0203a", "strength": 1.0},
    {"source": "colours", "lips": "#7a1f4f", "strength": 1.2},
    {"source": "colours", "lips": "#d4556a", "strength": 0.8},
    {"source": "colours", "lips": "#8c2f1b", "strength": 1.5},
)


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeupRequest:
    """What a visitor asks for."""

    photo: str | None
    consented: bool
    source: Source = "reference"
    reference: str | None = None
    """Photograph of anybody who wears the look."""
    colours: tuple[tuple[str, str], ...] = ()
    """Layer and colour, such as ("lips", "#b0203a")."""
    regions: tuple[str, ...] = ()
    """Out of `REGIONS`; none means all."""
    strength: float = 1.0
    steps: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        require_within(self, strength=(0, 2), steps=STEPS, seed=SEEDS)
        if self.source not in SOURCES:
            raise ValueError(f"source {self.source!r}: expected one of {', '.join(SOURCES)}")
        for what, given, known in (
            ("region", self.regions, REGIONS),
            ("layer", [name for name, _ in self.colours], LAYERS),
        ):
            if unknown := sorted(set(given) - set(known)):
                raise ValueError(f"{what} {', '.join(unknown)}: expected any of {', '.join(known)}")

    @classmethod
    def of(cls, given: Given) -> MakeupRequest:
        """Read it off the controls."""
        source = cast(Source, given.text("source"))
        colours = tuple((layer, given.text(layer)) for layer in LAYERS)
        return cls(
            photo=given.file("photo"), consented=given.flag("consented"), source=source,
            reference=given.file("reference"),
            colours=tuple(one for one in colours if one[1]) if source == "colours" else (),
            regions=given.texts("regions"), strength=given.number("strength"),
            steps=given.whole("steps"), seed=given.whole("seed"),
        )  # fmt: skip


def make(request: MakeupRequest, services: Services, run: Run, asked: dict[str, Any] | None = None) -> Result:
    """Put makeup on a face, or take it off.

    Raises:
        ImageError: a photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range, or no colours.
        Stopped: the visitor wants no more.
    """
    photo = uploads.read(request.photo, run.session, request.consented)
    look = _look(request, run)
    with services.pipeline("makeup", run) as pipe:
        output = pipe(
            photo,
            look,
            region=list(request.regions) or None,
            strength=request.strength,
            num_inference_steps=request.steps,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            callback_on_step_end=run.steps(request.steps),
        )
        settings = {
            "source": request.source, "regions": list(request.regions), "strength": request.strength,
            "colours": dict(request.colours) if request.source == "colours" else {}, "steps": request.steps,
        }  # fmt: skip
        origin = pipe.provenance(seed=request.seed, **settings).of_edit()
    file = save_image(output.images[0], run.session.path("makeup", ".png"), origin)
    return run.session.add(
        Result(task="makeup", file=file, seed=request.seed, settings=settings, asked=asked or {})
    )


def _look(request: MakeupRequest, run: Run) -> Any:
    if request.source == "remove":
        return BARE
    if request.source == "reference":
        return uploads.read(request.reference, run.session, request.consented, "photograph of the look")
    if not request.colours:
        raise ValueError("colours: none yet; choose one at least")
    return MakeupLook.of(**dict(request.colours))


def tab(services: Services, sessions: Sessions) -> Form:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            photo, consent, heads = controls.photograph("makeup")
            source = gr.Radio(label="Look", choices=list(SOURCES), value="colours")
            with gr.Group(visible=False) as worn:
                reference = gr.Image(
                    label="Photograph of the look", type="filepath", image_mode=None, sources=["upload"], height=200
                )  # fmt: skip
            with gr.Row() as shades:
                colours = {
                    name: gr.ColorPicker(label=name, value=COLOURS.get(name), min_width=110)
                    for name in LAYERS
                }
            regions = gr.CheckboxGroup(label="Regions, or none for all", choices=list(REGIONS))
            strength = gr.Slider(label="Strength", minimum=0, maximum=2, step=0.05, value=1)
            making = controls.making("makeup", 8, "Put it on")
        with gr.Column():
            beside = controls.before_and_after("makeup")
            made = controls.outcome("makeup")
    form = Form(
        task="makeup",
        inputs={
            "photo": photo, "consented": consent, "source": source, "reference": reference, **colours,
            "regions": regions, "strength": strength,
        },
        photograph="photo", making=making, outcome=made,
    )  # fmt: skip

    def answer(given: Given, run: Run) -> tuple[Any, ...]:
        request = MakeupRequest.of(given)
        result = make(request, services, run, dict(given.values))
        return *controls.shown(result), (request.photo, str(result.file))

    source.change(
        lambda kind: (gr.Group(visible=kind == "reference"), gr.Row(visible=kind == "colours")),
        source, [worn, shades], queue=False, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    controls.wire(form, answer, [beside], sessions)

    def example(index: int, _: str) -> dict[str, Any]:
        return EXAMPLES[index % len(EXAMPLES)]

    controls.wire_examples(heads, form, sessions, ["source", "lips", "strength"], example)
    return form
