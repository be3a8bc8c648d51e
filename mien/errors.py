"""What a command says when it cannot go on: one line, and the exit status that programs rely on."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from typer.core import TyperGroup

EXPECTED = (ValueError, OSError, ImportError, RuntimeError)
"""Errors that are about the input or the machine. Anything else is a bug and shows its traceback."""

errors = Console(stderr=True, highlight=False, soft_wrap=True)


def one_line(error: BaseException) -> str:
    """Say what an error says in one line of text; its class where it says nothing."""
    if hasattr(error, "errors") and hasattr(error, "title"):  # pydantic spreads one mistake over three lines
        found = error.errors()[0]  # pyright: ignore[reportAttributeAccessIssue]
        place = ".".join(map(str, found["loc"]))
        return f"{place}: {found['msg']}" if place else found["msg"]
    return " ".join(str(error).split()) or type(error).__name__


class OneLineErrors(TyperGroup):
    """Commands that end with status 1 and one line when the input or the machine is at fault.

    With `--debug` before the command the traceback is shown instead. Wrong usage ends with status 2.
    """

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command and translate what it raises."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort):  # both are RuntimeErrors
            raise
        except EXPECTED as error:
            if ctx.params.get("debug"):
                raise
            errors.print(f"[bold red]mien:[/] {escape(one_line(error))}")
            raise typer.Exit(1) from error
