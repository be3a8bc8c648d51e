"""Controls that tabs have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import gradio as gr

from ui.events import LANE
from ui.uploads import CONSENT

SYNTHETIC = "Synthetic: made by a model. The file says so, with its seed and settings."
"""Under every result."""


class Photograph(NamedTuple):
    """Where a visitor uploads one."""

    image: gr.Image
    consent: gr.Checkbox


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


def photograph(label: str = "Photograph") -> Photograph:
    """An upload beside the note of consent."""
    consent = gr.Checkbox(label=CONSENT, value=False)
    return Photograph(
        gr.Image(label=label, type="filepath", sources=["upload", "clipboard"], height=280), consent
    )


def making(steps: int, label: str) -> Making:
    """Seed, steps, and buttons that start and stop."""
    with gr.Row():
        seed = gr.Number(label="Seed", value=0, precision=0, minimum=0, maximum=2**31 - 1)
        count = gr.Slider(label="Steps", minimum=1, maximum=100, step=1, value=steps)
    with gr.Row():
        run = gr.Button(label, variant="primary")
        stop = gr.Button("Stop", variant="stop")
    return Making(seed, count, run, stop)


def outcome(label: str = "Result") -> Outcome:
    """A picture, its settings and its file."""
    image = gr.Image(label=label, type="filepath", interactive=False, format="png", height=380)
    gr.Markdown(SYNTHETIC)
    download = gr.DownloadButton("Download", interactive=False)
    return Outcome(image, gr.JSON(label="Seed and settings"), download)


def shown(result: Any) -> tuple[str, dict[str, Any], Any]:
    """Values of an `Outcome` for a result."""
    file = str(result.file)
    facts = {"task": result.task, "seed": result.seed, **result.settings}
    return file, facts, gr.DownloadButton(value=file, interactive=True)


def wire(
    making: Making,
    run: Callable[..., Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    session: gr.State,
    name: str,
) -> None:
    """Run a handler when its button is pressed, and end it with the other one.

    Args:
        making: its buttons, seed and steps, which follow the inputs.
        run: takes the inputs, seed, steps and the session; returns the outputs and the session.
        inputs: components.
        outputs: components.
        session: of the visitor.
        name: of the endpoint.
    """
    started = making.run.click(
        run, [*inputs, making.seed, making.steps, session], [*outputs, session], api_name=name,
        concurrency_id=LANE, concurrency_limit=1,
    )  # fmt: skip
    making.stop.click(None, cancels=[started], queue=False, api_visibility="private")
