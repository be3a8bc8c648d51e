"""Controls that tabs have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from faces import examples
from ui.events import IN_LANE, Answer, handler, plain_errors, stopper
from ui.limits import SEEDS, STEPS
from ui.session import Result
from ui.sessions import Sessions
from ui.uploads import CONSENT

SYNTHETIC = "Synthetic: made by a model. The file says so, with its seed and settings."
"""Under every result."""
BADGE = "synthetic"
"""Class of what is marked as synthetic, on the picture itself."""


PRESS = "(task) => document.querySelector(`#${task}-run`).click()"
"""JavaScript that presses the button of a task."""


class Making(NamedTuple):
    """Seed, steps and the buttons."""

    seed: gr.Number
    steps: gr.Slider
    run: gr.Button
    stop: gr.Button


class Outcome(NamedTuple):
    """What came out of it, and how."""

    image: gr.Image
    settings: gr.JSON
    download: gr.DownloadButton


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """What a tab asks for, and where the answer goes."""

    task: str
    """Name of the endpoint."""
    inputs: Mapping[str, Any]
    """Parameter of the endpoint -> control, without seed and steps."""
    photograph: str
    """Which of them takes a photograph, or several."""
    making: Making
    outcome: Outcome

    def controls(self) -> dict[str, Any]:
        """All of them, in the order of the endpoint."""
        return {**self.inputs, "seed": self.making.seed, "steps": self.making.steps}


def photograph(task: str, label: str = "Photograph") -> tuple[gr.Image, gr.Checkbox, gr.Gallery]:
    """An upload below the note of consent, and above the example heads."""
    consent = gr.Checkbox(label=CONSENT, value=False)
    # Without a mode Gradio hands the file on as it is: what opens it is `faces.images`, within its limits.
    image = gr.Image(
        label=label, type="filepath", image_mode=None, sources=["upload", "clipboard"], height=280,
        buttons=["fullscreen"], elem_id=f"{task}-photo",
    )  # fmt: skip
    return image, consent, example_heads(task)


def example_heads(task: str) -> gr.Gallery:
    """Rendered heads; `wire_examples` lets them run the form."""
    gr.set_static_paths([examples.FOLDER])  # served where they lie: nobody's copies, never deleted
    gr.Markdown("Or a rendered head, with one click:", elem_classes=["hint"])
    return gr.Gallery(
        [str(head) for head in examples.heads()], show_label=False, columns=8, rows=1, height="auto",
        allow_preview=False, interactive=False, object_fit="cover", buttons=[], container=False,
        elem_id=f"{task}-examples", elem_classes=["examples"],
    )  # fmt: skip


def making(task: str, steps: int, label: str) -> Making:
    """Seed, steps, and buttons that start and stop."""
    with gr.Row():
        seed = gr.Number(label="Seed", value=0, precision=0, minimum=SEEDS[0], maximum=SEEDS[1])
        count = gr.Slider(label="Steps", minimum=STEPS[0], maximum=STEPS[1], step=1, value=steps)
    with gr.Row():
        run = gr.Button(label, variant="primary", elem_id=f"{task}-run")
        stop = gr.Button("Stop", variant="stop", elem_id=f"{task}-stop")
    return Making(seed, count, run, stop)


def picture(label: str, **others: Any) -> gr.Image:
    """A picture that was made, marked as synthetic."""
    return gr.Image(
        label=label, type="filepath", interactive=False, format="png", buttons=["download", "fullscreen"],
        elem_classes=[BADGE], **others,
    )  # fmt: skip


def before_and_after(task: str) -> gr.ImageSlider:
    """A photograph and what became of it, with a line between them to move."""
    return gr.ImageSlider(
        label="Before and after", interactive=False, slider_position=50, buttons=["fullscreen"],
        elem_classes=[BADGE], elem_id=f"{task}-before-after",
    )  # fmt: skip


def outcome(task: str, label: str = "Result") -> Outcome:
    """A picture, its settings and its file."""
    image = picture(label, height=380, elem_id=f"{task}-result")
    gr.Markdown(SYNTHETIC)
    download = gr.DownloadButton("Download", interactive=False)
    return Outcome(image, gr.JSON(label="Seed and settings"), download)


def shown(result: Result) -> tuple[str, dict[str, Any], Any]:
    """Values of an `Outcome` for a result."""
    file = str(result.file)
    return file, result.facts(), gr.DownloadButton(value=file, interactive=True)


def wire(form: Form, answer: Answer, outputs: Sequence[Any], sessions: Sessions) -> None:
    """Run a handler when its button is pressed, and end it with the other one.

    Args:
        form: the controls.
        answer: gets their values; returns those of the outcome and of `outputs`.
        outputs: components beside the outcome.
        sessions: of all visitors.
    """
    named = form.controls()
    started = form.making.run.click(
        handler(answer, list(named), sessions, form.task, computes=True), list(named.values()),
        [*form.outcome, *outputs],
        api_name=form.task, show_progress_on=[form.outcome.image], **IN_LANE,
    )  # fmt: skip
    # What was chosen is the visitor's from then on, and goes when they leave, whether it was used or not.
    for control in form.inputs.values():
        if isinstance(control, gr.Image | gr.File):
            control.upload(
                lambda _: None, control, None, api_visibility="private", queue=False, preprocess=False
            )
    # Cancelling takes it out of the queue where it still waits there.
    form.making.stop.click(
        stopper(sessions, form.task), cancels=[started], queue=False, api_visibility="private"
    )


def wire_examples(
    heads: gr.Gallery,
    form: Form,
    sessions: Sessions,
    names: Sequence[str],
    values: Callable[[int, str], Mapping[str, Any]],
) -> None:
    """Let the example heads fill a form and run it with one click.

    Args:
        heads: what `example_heads` laid out.
        form: of the tab.
        sessions: of all visitors.
        names: of the controls that an example sets beside the photograph.
        values: gets the number and the file of an example, and returns what it sets them to.
    """
    target, files = form.inputs[form.photograph], examples.heads()

    def fill(request: gr.Request, event: gr.SelectData) -> list[Any]:
        head = str(files[event.index])
        with plain_errors():
            chosen = values(event.index, head)
            sessions.of(request.session_hash).intended[head] = chosen
        return [[head] if isinstance(target, gr.File) else head, *(chosen[name] for name in names)]

    outputs = [target, *(form.inputs[name] for name in names)]
    press(heads.select(fill, None, outputs, api_visibility="private", queue=False), form)


def press(event: Any, form: Form) -> None:
    """Press the button of a form after an event has filled it."""
    event.success(None, js=f"() => ({PRESS})({form.task!r})", api_visibility="private")
