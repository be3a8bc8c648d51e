"""The Makeup tab: a look from a photograph or in colours, or makeup taken off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
import torch

from faces.makeup import BARE, LAYERS, MakeupLook
from faces.provenance import save_image
from ui import controls, uploads
from ui.events import plain_errors, session_of
from ui.limits import SEEDS, STEPS, require_within
from ui.services import Services
from ui.session import Result, Session

Source = Literal["reference", "colours", "remove"]
REGIONS = ("lips", "eyes", "skin")
COLOURS = {"lips": "#b0203a"}
"""Chosen when the page opens."""


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
        if self.source not in ("reference", "colours", "remove"):
            raise ValueError(f"source {self.source!r}: expected reference, colours or remove")
        for what, given, known in (
            ("region", self.regions, REGIONS),
            ("layer", [name for name, _ in self.colours], LAYERS),
        ):
            if unknown := sorted(set(given) - set(known)):
                raise ValueError(f"{what} {', '.join(unknown)}: expected any of {', '.join(known)}")


def make(request: MakeupRequest, services: Services, session: Session) -> Result:
    """Put makeup on a face, or take it off.

    Raises:
        ImageError: a photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range, or no colours.
    """
    photo = uploads.read(request.photo, session, request.consented)
    look = _look(request, session)
    pipe: Any = services.pipeline("makeup")
    output = pipe(
        photo,
        look,
        region=list(request.regions) or None,
        strength=request.strength,
        num_inference_steps=request.steps,
        generator=torch.Generator("cpu").manual_seed(request.seed),
    )
    settings = {
        "source": request.source, "regions": list(request.regions), "strength": request.strength,
        "colours": dict(request.colours) if request.source == "colours" else {}, "steps": request.steps,
    }  # fmt: skip
    origin = pipe.provenance(seed=request.seed, **settings)
    origin = origin.model_copy(update={"digital_source_type": "compositeWithTrainedAlgorithmicMedia"})
    file = save_image(output.images[0], session.path("makeup", ".png"), origin)
    return session.add(Result(task="makeup", file=file, seed=request.seed, settings=settings))


def _look(request: MakeupRequest, session: Session) -> Any:
    if request.source == "remove":
        return BARE
    if request.source == "reference":
        return uploads.read(request.reference, session, request.consented, "photograph of the look")
    if not request.colours:
        raise ValueError("colours: none yet; choose one at least")
    return MakeupLook.of(**dict(request.colours))


def tab(services: Services, session: gr.State) -> gr.Image:
    """Lay the tab out; returns where a photograph goes."""
    with gr.Row():
        with gr.Column():
            photo = controls.photograph()
            source = gr.Radio(label="Look", choices=["reference", "colours", "remove"], value="colours")
            reference = gr.Image(
                label="Photograph of the look", type="filepath", sources=["upload"], height=200
            )
            with gr.Row():
                colours = [gr.ColorPicker(label=name, value=COLOURS.get(name)) for name in LAYERS]
            regions = gr.CheckboxGroup(label="Regions, or none for all", choices=list(REGIONS))
            strength = gr.Slider(label="Strength", minimum=0, maximum=2, step=0.05, value=1)
            making = controls.making(8, "Put it on")
        with gr.Column():
            made = controls.outcome()
            beside = gr.ImageSlider(label="Before and after", interactive=False, height=380)

    @plain_errors
    def run(file, agreed, kind, worn, *rest):  # noqa: ANN001, ANN002, ANN202
        *shades, places, share, seed, steps, visitor = rest
        own = session_of(visitor)
        given = tuple((name, shade) for name, shade in zip(LAYERS, shades, strict=True) if shade)
        request = MakeupRequest(
            photo=file, consented=agreed, source=kind, reference=worn, colours=given if kind == "colours" else (),
            regions=tuple(places or ()), strength=share, steps=int(steps), seed=int(seed),
        )  # fmt: skip
        result = make(request, services, own)
        return *controls.shown(result), (file, str(result.file)), own

    controls.wire(
        making,
        run,
        [*photo, source, reference, *colours, regions, strength],
        [*made, beside],
        session,
        "makeup",
    )
    return photo.image
