"""How tabs answer: errors in plain words, one lane for all that computes, sessions of visitors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from ui.session import Session

LANE = "compute"
"""Events that compute share this queue: one at a time on one device."""
_EXPECTED = (ValueError, OSError, ImportError, RuntimeError, KeyError)
"""Errors that are about the input or the machine; anything else is a bug and is shown as one."""


def plain_errors(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors about the input into one line that the page shows where it happened."""

    @functools.wraps(handler)
    def answered(*arguments: Any) -> Any:
        try:
            return handler(*arguments)
        except gr.Error:
            raise
        except _EXPECTED as error:
            text = " ".join(str(error).split()) or type(error).__name__
            raise gr.Error(text, print_exception=False) from None

    return answered


def plain_error_of_each(handler: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    """`plain_errors` for a handler that yields."""

    def answered(*arguments: Any) -> Iterator[Any]:
        answers = handler(*arguments)
        step = plain_errors(lambda: next(answers, None))
        while (answer := step()) is not None:
            yield answer

    return answered


def session_of(session: Session | None) -> Session:
    """The visitor's session, started on the first event."""
    return Session.start() if session is None else session


def close(session: Session | None) -> None:
    """End a session, if there is one."""
    if session is not None:
        session.close()
