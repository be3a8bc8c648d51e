"""The Results tab: what a visitor has made so far, its settings, and where it can go next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ui import controls
from ui.controls import Form
from ui.events import plain_errors
from ui.given import uploads_in
from ui.session import Result, Session
from ui.sessions import Sessions


def chosen(session: Session, index: int | None) -> Result:
    """The result that is chosen in the gallery, whose first one is the newest.

    Raises:
        ValueError: none is.
    """
    shown = session.pictures()
    if index is None or not 0 <= index < len(shown):
        raise ValueError("results: choose a picture first")
    return shown[index]


def used_in(form: Form, file: str) -> Any:
    """A picture as the value of a form's photograph."""
    return [file] if isinstance(form.inputs[form.photograph], gr.File) else file


def restored(form: Form, result: Result) -> list[Any]:
    """Values of a form's controls that make a result again; those that the result does not know stay."""
    return [_value(result.asked[name]) if name in result.asked else gr.skip() for name in form.controls()]


def tab(sessions: Sessions, forms: Sequence[Form], tabs: gr.Tabs) -> gr.Gallery:
    """Lay the tab out.

    Args:
        sessions: of all visitors.
        forms: of the tabs, whose ids are their tasks.
        tabs: of the page.

    Returns:
        The gallery, to be filled when the tab is opened.
    """
    gr.Markdown("Made in this session, the newest first. It goes when the page is closed.")
    gallery = gr.Gallery(
        label="Results", show_label=False, columns=5, height=420, format="png", object_fit="contain",
        buttons=["download", "fullscreen"], elem_id="results", elem_classes=[controls.BADGE],
    )  # fmt: skip
    index = gr.State(None)
    with gr.Row():
        download = gr.DownloadButton("Download", interactive=False)
        again = gr.Button("Run again", elem_id="run-again")
        change = gr.Button("Back to its settings", elem_id="back-to-settings")
    with gr.Row():
        buttons = {form.task: gr.Button(f"Use in {form.task.capitalize()}", min_width=120) for form in forms}
    settings = gr.JSON(label="Seed and settings")

    def select(request: gr.Request, event: gr.SelectData) -> Any:
        result = chosen(sessions.of(request.session_hash), event.index)
        return event.index, result.facts(), gr.DownloadButton(value=str(result.file), interactive=True)

    gallery.select(select, None, [index, settings, download], api_visibility="private", queue=False)
    for form in forms:
        send = _sender(form, sessions)
        target = form.inputs[form.photograph]
        buttons[form.task].click(send, index, [target, tabs], api_visibility="private", queue=False)
    _wire_again(sessions, forms, tabs, index, {"again": again, "change": change})
    return gallery


def send_row(form: Form, forms: Sequence[Form], tabs: gr.Tabs, buttons: Mapping[str, gr.Button]) -> None:
    """Let buttons below a result hand its picture to other tabs."""
    for other in forms:

        def send(image: Any, other: Form = other) -> Any:
            with plain_errors():
                if not image:
                    raise ValueError("result: none yet; make one first")
                return used_in(other, image["path"]), gr.Tabs(selected=other.task)

        buttons[other.task].click(
            send, form.outcome.image, [other.inputs[other.photograph], tabs], api_visibility="private",
            queue=False, preprocess=False,
        )  # fmt: skip


def _sender(form: Form, sessions: Sessions) -> Any:
    def send(index: int | None, request: gr.Request) -> Any:
        with plain_errors():
            file = str(chosen(sessions.of(request.session_hash), index).file)
            return used_in(form, file), gr.Tabs(selected=form.task)

    return send


def _wire_again(
    sessions: Sessions,
    forms: Sequence[Form],
    tabs: gr.Tabs,
    index: gr.State,
    buttons: Mapping[str, gr.Button],
) -> None:
    """Bring a result's settings back to its tab, and run them where that is wanted."""
    outputs = [control for form in forms for control in form.controls().values()]

    def restore(number: int | None, request: gr.Request) -> Any:
        with plain_errors():
            session = sessions.of(request.session_hash)
            result = chosen(session, number)
        for path in uploads_in(list(result.asked.values())):
            session.intended[str(path)] = result.asked
        values = [
            value
            for form in forms
            for value in (
                restored(form, result) if form.task == result.task else [gr.skip()] * len(form.controls())
            )
        ]
        return *values, gr.Tabs(selected=result.task), result.task

    task = gr.Textbox(visible=False)
    for name, button in buttons.items():
        filled = button.click(restore, index, [*outputs, tabs, task], api_visibility="private", queue=False)
        if name == "again":
            filled.success(None, task, js=controls.PRESS, api_visibility="private")


def _value(asked: Any) -> Any:
    """What a control takes, of what it gave."""
    if isinstance(asked, list):
        return [_value(one) for one in asked]
    return asked["path"] if isinstance(asked, dict) and "path" in asked else asked
