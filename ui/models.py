"""The Models tab: which weights are loaded, others instead of them, and what `mien doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ui.events import IN_LANE, handler
from ui.given import Given
from ui.running import Run
from ui.services import NATIVE, PIPELINES, Choice, Services
from ui.sessions import Sessions

ALL = "all tasks"
BEST = "best one present"
DEVICES = (BEST, "cpu")
ATTENTIONS = (NATIVE, "xformers")
COLUMNS = ("task", "model", "loaded", "pipeline", "parameters_m", "device", "attention")
_HEADERS = ("Task", "Model", "Loaded", "Pipeline", "Parameters, millions", "Device", "Attention")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRequest:
    """What a visitor asks for."""

    model: str
    task: str = ALL
    device: str = BEST
    attention: str = NATIVE

    def __post_init__(self) -> None:
        """Refuse what no control gives."""
        if not self.model.strip():
            raise ValueError("model: none; give 'mini', a folder or a hub id")
        for name, known in (
            ("task", (ALL, *PIPELINES)),
            ("device", devices()),
            ("attention", ATTENTIONS),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)!r}: expected one of {', '.join(known)}")

    @classmethod
    def of(cls, given: Given) -> ModelRequest:
        """Read it off the controls."""
        return cls(**{name: given.text(name) for name in ("model", "task", "device", "attention")})

    def choice(self) -> Choice:
        """What `Services.choose` takes."""
        device = None if self.device == BEST else self.device
        return Choice(model=self.model.strip(), device=device, attention=self.attention)

    def tasks(self) -> list[str]:
        """Those that it is for."""
        return list(PIPELINES) if self.task == ALL else [self.task]


def devices() -> tuple[str, ...]:
    """Those that are there."""
    from pipelines.device import best_device

    return tuple(dict.fromkeys((*DEVICES, str(best_device()))))


def table(services: Services) -> list[list[Any]]:
    """A row a task."""
    return [[row.get(name, "") for name in COLUMNS] for row in services.loaded()]


def diagnosis(services: Services) -> list[list[str]]:
    """What `mien doctor` finds: group, name, status, detail, and what to do.

    Raises:
        ValueError: the page was started without it.
    """
    if services.examine is None:
        raise ValueError("doctor: not here; run `mien doctor` in a terminal")
    return [
        [str(line.get(name, "")) for name in ("group", "name", "status", "detail", "fix")]
        for line in services.examine()
    ]


def tab(services: Services, sessions: Sessions) -> gr.Dataframe:
    """Lay the tab out; returns the table, to be filled when the tab is opened."""
    rows = gr.Dataframe(
        headers=list(_HEADERS), label="Loaded", interactive=False, wrap=True, elem_id="models-table"
    )
    refresh = gr.Button("Look again")
    gr.Markdown(
        "Another model: `mini`, a folder in diffusers' layout, or a hub id. It serves the tasks that it has weights "
        "for; the others keep theirs."
        if services.open_to_choice
        else "This page is open to others, so its models are chosen where it is started: `--model`, `--device`."
    )
    with gr.Row(visible=services.open_to_choice):
        model = gr.Textbox(label="Model", value="mini", elem_id="models-model")
        task = gr.Dropdown(label="For", choices=[ALL, *PIPELINES], value=ALL)
        device = gr.Dropdown(label="Device", choices=list(DEVICES), value=BEST, allow_custom_value=True)
        attention = gr.Dropdown(label="Attention", choices=list(ATTENTIONS), value=NATIVE)
    load = gr.Button("Load", variant="primary", visible=services.open_to_choice, elem_id="models-load")
    told = gr.JSON(label="What came of it", visible=services.open_to_choice)
    doctor = gr.Button("Run the doctor", elem_id="models-doctor")
    found = gr.Dataframe(
        headers=["Group", "Name", "Status", "Detail", "To get it"], label="What is here and works", interactive=False,
        wrap=True, elem_id="models-found",
    )  # fmt: skip
    named = {"model": model, "task": task, "device": device, "attention": attention}

    def choose(given: Given, run: Run) -> tuple[Any, ...]:
        request = ModelRequest.of(given)
        return services.choose(request.choice(), request.tasks(), run), table(services)

    refresh.click(handler(lambda *_: table(services), [], sessions, "models"), None, rows, api_name="models")
    load.click(
        handler(choose, list(named), sessions, "load_model", computes=True), list(named.values()), [told, rows],
        api_name="load_model", **IN_LANE,
    )  # fmt: skip
    doctor.click(
        handler(lambda *_: diagnosis(services), [], sessions, "doctor"), None, found, api_name="doctor"
    )
    return rows
