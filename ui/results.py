"""The Results tab: what a visitor has made so far, and where it can go next."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ui.events import plain_errors, session_of
from ui.session import Session


def chosen(session: Session, index: int | None) -> str:
    """File of the result that is chosen in the gallery, whose first one is the newest.

    Raises:
        ValueError: none is.
    """
    shown = session.gallery()
    if index is None or not 0 <= index < len(shown):
        raise ValueError("results: choose a picture first")
    return shown[index][0]


def facts(session: Session, index: int) -> dict[str, Any]:
    """Seed and settings of it."""
    file = chosen(session, index)
    result = next(one for one in session.results if str(one.file) == file)
    return {"task": result.task, "seed": result.seed, **result.settings}


def tab(session: gr.State, targets: Mapping[str, gr.Image | gr.File]) -> gr.Gallery:
    """Lay the tab out.

    Args:
        session: of the visitor.
        targets: title of a tab -> where it takes a photograph.

    Returns:
        The gallery, to be filled when the tab is opened.
    """
    gallery = gr.Gallery(label="Made in this session, the newest first", columns=5, height=420, format="png")
    settings = gr.JSON(label="Seed and settings")
    index = gr.State(None)

    def select(visitor: Session | None, event: gr.SelectData) -> tuple[int, dict[str, Any]]:
        return event.index, facts(session_of(visitor), event.index)

    gallery.select(select, session, [index, settings], api_visibility="private")
    with gr.Row():
        for title, target in targets.items():
            is_list = isinstance(target, gr.File)

            @plain_errors
            def send(visitor, number, is_list=is_list):  # noqa: ANN001, ANN202
                file = chosen(session_of(visitor), number)
                return [file] if is_list else file

            button = gr.Button(f"Use in {title}")
            button.click(send, [session, index], target, api_visibility="private")
    return gallery
