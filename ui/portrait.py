"""The Portrait tab: photographs of one person and a prompt become portraits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import gradio as gr
import torch

from faces import policy
from faces.provenance import save_image
from ui import controls, uploads
from ui.controls import Form
from ui.given import Given
from ui.limits import SEEDS, STEPS, require_within
from ui.running import Run
from ui.services import Services
from ui.session import Result
from ui.sessions import Sessions

MOST = 4
EXAMPLES = (
    "portrait of a person, smiling",
    "portrait of a person, surprised, facing slightly left",
    "portrait of an elderly person with grey hair",
    "portrait of a person, angry, in warm light",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PortraitRequest:
    """What a visitor asks for."""

    photos: tuple[str, ...]
    """Files of one person."""
    prompt: str
    consented: bool
    negative_prompt: str = ""
    count: int = 1
    steps: int = 20
    guidance: float = 2.5
    identity: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        if not self.prompt.strip():
            raise ValueError("prompt: say what the portrait should look like, such as 'a person, smiling'")
        policy.require(self.prompt, self.negative_prompt)
        require_within(self, count=(1, MOST), steps=STEPS, guidance=(1, 15), identity=(0, 2), seed=SEEDS)

    @classmethod
    def of(cls, given: Given) -> PortraitRequest:
        """Read it off the controls."""
        return cls(
            photos=given.files("photos"), prompt=given.text("prompt"), consented=given.flag("consented"),
            negative_prompt=given.text("negative_prompt"), count=given.whole("count"), steps=given.whole("steps"),
            guidance=given.number("guidance"), identity=given.number("identity"), seed=given.whole("seed"),
        )  # fmt: skip


def make(
    request: PortraitRequest, services: Services, run: Run, asked: dict[str, Any] | None = None
) -> list[Result]:
    """Make portraits; each is a function of its seed.

    Args:
        request: what is asked for.
        services: where the pipeline is.
        run: of the visitor.
        asked: values of the controls, for `Result.asked`.

    Raises:
        ImageError: a photograph cannot be used; `NoFaceFound` where it shows no face.
        ConsentMissing: without consent.
        ValueError: settings out of range.
        Stopped: the visitor wants no more.
    """
    photos = uploads.read_all(request.photos, run.session, request.consented)
    with services.pipeline("portrait", run) as pipe:
        seeds = [request.seed + number for number in range(request.count)]
        output = pipe(
            image=photos,
            prompt=request.prompt,
            negative_prompt=request.negative_prompt or None,
            num_images_per_prompt=request.count,
            num_inference_steps=request.steps,
            guidance_scale=request.guidance,
            identity_scale=request.identity,
            generator=[torch.Generator("cpu").manual_seed(seed) for seed in seeds],
            callback_on_step_end=run.steps(request.steps),
        )
        settings = {
            name: value
            for name, value in asdict(request).items()
            if name not in ("photos", "consented", "seed")
        }
        origin = pipe.provenance(steps=request.steps, prompt=request.prompt)
    results = []
    for image, seed in zip(output.images, seeds, strict=True):
        file = save_image(
            image, run.session.path("portrait", ".png"), origin.model_copy(update={"seed": seed})
        )
        again = {**(asked or {}), "seed": seed, "count": 1}
        results.append(
            run.session.add(Result(task="portrait", file=file, seed=seed, settings=settings, asked=again))
        )
    return results


def tab(services: Services, sessions: Sessions) -> Form:
    """Lay the tab out."""
    with gr.Row():
        with gr.Column():
            consent = gr.Checkbox(label=uploads.CONSENT, value=False)
            photos = gr.File(
                label="Photographs of one person", file_count="multiple", file_types=["image"], type="filepath",
                height=140, elem_id="portrait-photos",
            )  # fmt: skip
            heads = controls.example_heads("portrait")
            prompt = gr.Textbox(label="Prompt", value="portrait of a person, smiling", max_lines=3)
            with gr.Row():
                count = gr.Slider(label="Portraits", minimum=1, maximum=MOST, step=1, value=1)
                identity = gr.Slider(label="Likeness", minimum=0, maximum=2, step=0.05, value=1)
            with gr.Accordion("More", open=False):
                negative = gr.Textbox(label="What it should not show", value="", max_lines=3)
                guidance = gr.Slider(
                    label="How closely the prompt is followed", minimum=1, maximum=15, value=2.5
                )
            making = controls.making("portrait", 20, "Make portraits")
        with gr.Column():
            made = controls.outcome("portrait")
            more = gr.Gallery(
                label="All of them", columns=2, object_fit="contain", format="png", buttons=["fullscreen"],
                visible=False, elem_classes=[controls.BADGE], elem_id="portrait-all",
            )  # fmt: skip
    form = Form(
        task="portrait",
        inputs={
            "photos": photos, "consented": consent, "prompt": prompt, "negative_prompt": negative, "count": count,
            "identity": identity, "guidance": guidance,
        },
        photograph="photos", making=making, outcome=made,
    )  # fmt: skip

    def answer(given: Given, run: Run) -> tuple[Any, ...]:
        results = make(PortraitRequest.of(given), services, run, dict(given.values))
        return *controls.shown(results[0]), [(str(one.file), one.caption) for one in results]

    controls.wire(form, answer, [more], sessions)
    count.change(
        lambda number: gr.Gallery(visible=number > 1), count, more, queue=False, show_progress="hidden",
        api_visibility="private",
    )  # fmt: skip

    def example(index: int, _: str) -> dict[str, Any]:
        return {"prompt": EXAMPLES[index % len(EXAMPLES)]}

    controls.wire_examples(heads, form, sessions, ["prompt"], example)
    return form
