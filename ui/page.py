"""The page: every task of Mien in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from ui import dataset, drag, expression, makeup, portrait, results, texture
from ui.events import close, session_of
from ui.services import Services
from ui.session import Session

TABS: dict[str, Callable[[Services, gr.State], gr.Image | gr.File]] = {
    "Portrait": portrait.tab, "Expression": expression.tab, "Makeup": makeup.tab, "Drag": drag.tab,
    "Texture": texture.tab,
}  # fmt: skip
"""Title -> what lays it out, and says where it takes a photograph."""
UPLOAD_LIMIT = "20mb"
_WAITING = 64
"""Requests that wait at once; further ones are told to come back."""
_DELETED = (600, 3600)
"""Seconds between looks for old files, and age at which they go, for visitors that never say goodbye."""
_LEAD = """# Mien
Portraits, expressions, makeup and textured heads, made on this machine. The bundled model knows rendered adults only.
Every result is synthetic, and its file says so."""


def build_app(services: Services) -> gr.Blocks:
    """Lay the page out; no model is loaded."""
    with gr.Blocks(title="Mien", analytics_enabled=False, delete_cache=_DELETED) as app:
        gr.Markdown(_LEAD)
        session: Any = gr.State(None, time_to_live=_DELETED[1], delete_callback=close)
        with gr.Tabs():
            targets = {}
            for title, lay_out in TABS.items():
                with gr.Tab(title):
                    targets[title] = lay_out(services, session)
            with gr.Tab("Results") as opened:
                gallery = results.tab(session, targets)
                opened.select(
                    lambda visitor: session_of(visitor).gallery(), session, gallery, api_visibility="private"
                )
            with gr.Tab("Dataset"):
                dataset.tab(session)
            with gr.Tab("Models"):
                loaded = gr.JSON(label="Loaded", value=[])
                gr.Button("Show what is loaded").click(services.loaded, None, loaded, api_name="models")
        app.load(lambda: Session.start(), None, session, api_visibility="private")
    return app.queue(max_size=_WAITING, default_concurrency_limit=4)
