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
    mcp: Annotated[
        bool, typer.Option("--mcp", help="Offer the endpoints as tools of the Model Context Protocol.")
    ] = False,
) -> None:
    """Open the web page, on this machine alone unless told otherwise."""
    from ui.server import Address, serve
    from ui.services import Choice, Services

    address = Address(host=host, port=port, auth=auth, mcp=mcp)
    serve(
        address,
        Services(Choice(model=model, device=device), examine=_examine, open_to_choice=address.is_private),
    )


def _examine() -> list[dict[str, str]]:
    from mien.doctor import examine

    return [finding.to_json() for finding in examine()]
