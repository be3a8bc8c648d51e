"""The page: every task of Mien in a browser."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from ui import dataset, drag, expression, makeup, models, portrait, results, texture
from ui.controls import Form
from ui.endpoints import describe
from ui.events import stopper
from ui.guarded import GuardedBlocks
from ui.services import Services
from ui.sessions import GRACE, UNCLAIMED, Sessions

TABS: tuple[tuple[str, str, Callable[[Services, Sessions], Form]], ...] = (
    ("portrait", "Portrait", portrait.tab),
    ("expression", "Expression", expression.tab),
    ("makeup", "Makeup", makeup.tab),
    ("drag", "Drag", drag.tab),
    ("texture", "Texture", texture.tab),
)
"""Task, title, and what lays it out."""
_WAITING = 64
"""Requests that wait at once; further ones are told to come back."""
_LEAD = """# Mien
Portraits, expressions, makeup, dragged faces and textured heads, made on this machine. The bundled model knows rendered
adults only. Every result is synthetic, and its file says so."""


def build_app(services: Services, sessions: Sessions | None = None) -> gr.Blocks:
    """Lay the page out; no model is loaded.

    Args:
        services: pipelines.
        sessions: of visitors; by default in a folder of their own below Gradio's, GRADIO_TEMP_DIR.
    """
    sessions = sessions_of_a_page() if sessions is None else sessions
    with GuardedBlocks(title="Mien", analytics_enabled=False) as app:
        app.sessions, sessions.forget = sessions, app.forget
        gr.Markdown(_LEAD)
        with gr.Tabs(elem_id="tabs") as tabs:
            forms, rows = [], []
            for task, title, lay_out in TABS:
                with gr.Tab(title, id=task):
                    forms.append(lay_out(services, sessions))
                    rows.append(_send_buttons(task))
            with gr.Tab("Results", id="results") as opened:
                gallery = results.tab(sessions, forms, tabs)
            with gr.Tab("Dataset", id="dataset"):
                dataset.tab(services, sessions)
            with gr.Tab("Models", id="models") as looked_at:
                loaded = models.tab(services, sessions)
        for form, buttons in zip(forms, rows, strict=True):
            results.send_row(form, [one for one in forms if one is not form], tabs, buttons)
        _wire_page(app, services, sessions, (opened, gallery), (looked_at, loaded))
    describe(app)
    return app.queue(max_size=_WAITING, default_concurrency_limit=4, api_open=False)


def sessions_of_a_page(grace: float = GRACE, unclaimed: float = UNCLAIMED) -> Sessions:
    """Sessions below Gradio's folder, GRADIO_TEMP_DIR: it copies nothing that lies there already."""
    folder = Path(get_upload_folder()) / f"mien-{uuid.uuid4().hex}"
    return Sessions(folder, grace=grace, unclaimed=unclaimed)


def _send_buttons(task: str) -> dict[str, gr.Button]:
    with gr.Row():
        return {
            other: gr.Button(f"Use the result in {title}", size="sm", min_width=130)
            for other, title, _ in TABS
            if other != task
        }


def _wire_page(
    app: gr.Blocks, services: Services, sessions: Sessions, gallery: tuple[Any, Any], loaded: tuple[Any, Any]
) -> None:
    """What belongs to no tab: visitors who come and go, and tabs that show what is there when they are opened."""

    def made(request: gr.Request) -> list[tuple[str, str]]:
        return sessions.of(request.session_hash).gallery()

    gallery[0].select(made, None, gallery[1], api_name="results")
    loaded[0].select(lambda: models.table(services), None, loaded[1], api_visibility="private", queue=False)
    gr.api(stopper(sessions), api_name="stop", queue=False)
    app.unload(
        lambda: None
    )  # browsers tell of open pages only if something waits for their end; see `Heartbeats`
