"""The command `mien app`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.terminal import Device, Model


def web_page(
    port: Annotated[int, typer.Option(help="Of the page.")] = 7860,
    host: Annotated[str, typer.Option(help="0.0.0.0 serves others too; give --auth with it.")] = "127.0.0.1",
    auth: Annotated[
        Path | None, typer.Option(help="File with a line NAME:PASSWORD for each visitor.")
    ] = None,
    model: Model = "mini",
    device: Device = None,
) -> None:
    """Open the web page, on this machine alone unless told otherwise."""
    from ui.server import serve

    serve(port, host, auth, model, device)
