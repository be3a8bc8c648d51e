"""How events are answered: errors in plain words, the session of the visitor, one lane for all that computes."""

from __future__ import annotations

import contextvars
import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import gradio as gr

from ui.given import Given
from ui.running import Run, Stopped
from ui.sessions import Sessions

IN_LANE: dict[str, Any] = {"concurrency_id": "compute", "concurrency_limit": 1, "preprocess": False}
"""Options of events that compute: they share a queue, one at a time on one device, and check raw values themselves."""
computer = ThreadPoolExecutor(1, thread_name_prefix="compute")
"""The thread of all that computes: torch keeps workers and buffers for every thread that uses it, some 20 MB."""
_EXPECTED = (ValueError, OSError, ImportError, RuntimeError, KeyError)
"""Errors that are about the input or the machine; anything else is a bug and is shown as one."""

_ARRAY = re.compile(r"^ndarray of shape \([\d, ]+\)")
"""What pipelines call a photograph that was opened for them."""

Answer = Callable[[Given, Run], Any]
"""What a tab does with the values of its controls: returns the values of its outputs."""


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn errors about the input into one line that the page shows where it happened."""
    try:
        yield
    except gr.Error:
        raise
    except Stopped:
        raise gr.Error("Stopped.", title="Stopped", print_exception=False, duration=4) from None
    except _EXPECTED as error:
        text = " ".join(str(error).split()) or type(error).__name__
        text = _ARRAY.sub("photograph", text)
        raise gr.Error(text, print_exception=False) from None


def handler(
    answer: Answer, names: Sequence[str], sessions: Sessions, task: str, computes: bool = False
) -> Callable[..., Any]:
    """A function for Gradio out of one on named values. The event needs `preprocess=False`: values are checked here.

    Args:
        answer: does the work.
        names: of the inputs, which become the parameters of the endpoint.
        sessions: of all visitors.
        task: by which the work is stopped.
        computes: whether it uses a pipeline, which is then done by `computer`.
    """

    def handle(*values: Any) -> Any:
        *given, request, progress = values
        with plain_errors():
            values_by_name, run = Given(dict(zip(names, given, strict=True))), _begin(request, progress)
            if not computes:
                return answer(values_by_name, run)
            context = contextvars.copy_context()  # tells Gradio whose progress it is
            return computer.submit(context.run, answer, values_by_name, run).result()

    def handle_each(*values: Any) -> Iterator[Any]:
        *given, request, progress = values
        with plain_errors():
            yield from answer(Given(dict(zip(names, given, strict=True))), _begin(request, progress))

    def _begin(request: gr.Request, progress: Any) -> Run:
        return sessions.of(request.session_hash).run(task, progress)

    return _signed(handle_each if inspect.isgeneratorfunction(answer) else handle, names)


def stopper(sessions: Sessions, task: str | None = None) -> Callable[[gr.Request], None]:
    """A function that ends a visitor's computation of a task, or all of them."""

    def end(request: gr.Request) -> None:
        with plain_errors():  # tools of assistants come without a session
            sessions.of(getattr(request, "session_hash", None)).stop(task)

    return end


def _signed(function: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """Give a function of any values the parameters that Gradio reads off it: names of inputs, request, progress."""
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in names]
    parameters += [
        inspect.Parameter("request", kind, annotation=gr.Request),
        inspect.Parameter("progress", kind, default=gr.Progress()),
    ]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {"request": gr.Request}
    return function
