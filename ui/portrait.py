"""The Portrait tab: photographs of one person and a prompt become portraits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
import torch

from faces import policy
from faces.provenance import save_image
from ui import controls, uploads
from ui.events import plain_errors, session_of
from ui.limits import SEEDS, STEPS, require_within
from ui.services import Services
from ui.session import Result, Session

MOST = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitRequest:
    """What a visitor asks for."""

    photos: tuple[str, ...]
    """Files of one person."""
    prompt: str
    consented: bool
    count: int = 1
    steps: int = 20
    guidance: float = 2.5
    identity: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse numbers that no slider gives."""
        if not self.prompt.strip():
            raise ValueError("prompt: say what the portrait should look like, such as 'a person, smiling'")
        policy.require(self.prompt)
        require_within(self, count=(1, MOST), steps=STEPS, guidance=(1, 15), identity=(0, 2), seed=SEEDS)


def make(request: PortraitRequest, services: Services, session: Session) -> list[Result]:
    """Make portraits; each is a function of its seed.

    Raises:
        ImageError: a photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range.
    """
    photos = uploads.read_all(request.photos, session, request.consented)
    pipe: Any = services.pipeline("portrait")
    seeds = [request.seed + number for number in range(request.count)]
    output = pipe(
        image=photos,
        prompt=request.prompt,
        num_images_per_prompt=request.count,
        num_inference_steps=request.steps,
        guidance_scale=request.guidance,
        identity_scale=request.identity,
        generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
    )
    settings = {name: value for name, value in asdict(request).items() if name not in ("photos", "consented")}
    origin = pipe.provenance(steps=request.steps, prompt=request.prompt)  # hashes all weights: once
    results = []
    for image, seed in zip(output.images, seeds, strict=True):
        record = origin.model_copy(update={"seed": seed})
        file = save_image(image, session.path("portrait", ".png"), record)
        results.append(session.add(Result(task="portrait", file=file, seed=seed, settings=settings)))
    return results


def tab(services: Services, session: gr.State) -> gr.File:
    """Lay the tab out; returns where photographs go."""
    with gr.Row():
        with gr.Column():
            photos = gr.File(
                label="Photographs of one person",
                file_count="multiple",
                file_types=["image"],
                type="filepath",
            )
            consent = gr.Checkbox(label=uploads.CONSENT, value=False)
            prompt = gr.Textbox(label="Prompt", value="portrait of a person, smiling", max_lines=3)
            count = gr.Slider(label="Portraits", minimum=1, maximum=MOST, step=1, value=1)
            identity = gr.Slider(label="Likeness", minimum=0, maximum=2, step=0.05, value=1)
            guidance = gr.Slider(label="How closely the prompt is followed", minimum=1, maximum=15, value=2.5)
            making = controls.making(20, "Make portraits")
        with gr.Column():
            made = controls.outcome()
            more = gr.Gallery(label="All of them", columns=4, height=160, format="png")

    @plain_errors
    def run(files, agreed, text, number, likeness, scale, seed, steps, visitor):  # noqa: ANN001, ANN202
        own = session_of(visitor)
        request = PortraitRequest(
            photos=tuple(files or ()), prompt=text, consented=agreed, count=int(number), steps=int(steps),
            guidance=scale, identity=likeness, seed=int(seed),
        )  # fmt: skip
        results = make(request, services, own)
        gallery = [(str(one.file), one.caption) for one in results]
        return *controls.shown(results[0]), gallery, own

    controls.wire(
        making, run, [photos, consent, prompt, count, identity, guidance], [*made, more], session, "portrait"
    )
    return photos
