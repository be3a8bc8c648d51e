"""What commands share: the options that mean the same everywhere, and how results are printed."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console(highlight=False)

Seed = Annotated[int, typer.Option(min=0, help="Everything random follows from it.")]
Model = Annotated[str, typer.Option(help='"mini" (bundled), a folder or a hub id.')]
Device = Annotated[str | None, typer.Option(help="For example cpu; by default the best one present.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; changes no byte of the result.")]


def print_json(value: Any) -> None:
    """Write a value for programs."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")
