"""Serves the page until it is stopped."""

from __future__ import annotations

import os
from pathlib import Path


def serve(port: int, host: str, auth: Path | None, model: str, device: str | None) -> None:
    """Serve the page; models are loaded while it answers already."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from ui.page import UPLOAD_LIMIT, build_app
    from ui.services import PIPELINES, Services

    services = Services(model, device)
    app = build_app(services)
    services.preload(*PIPELINES)
    app.launch(
        server_name=host,
        server_port=port,
        auth=_pairs(auth) if auth else None,
        max_file_size=UPLOAD_LIMIT,
        footer_links=["api"],
        show_error=True,
    )


def _pairs(file: Path) -> list[tuple[str, str]]:
    """Names and passwords of a file; raises ValueError for a line without both."""
    pairs = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name, colon, password = line.strip().partition(":")
        if line.strip() and not (name and colon and password):
            raise ValueError(f"{file}: a line without NAME:PASSWORD")
        if line.strip():
            pairs.append((name, password))
    return pairs
