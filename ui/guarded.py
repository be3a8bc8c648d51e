"""What Gradio does with an event before a handler sees it, guarded: what is sent is noted, counted, refused plainly."""

from __future__ import annotations

import inspect
from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.exceptions import InvalidPathError
from gradio.route_utils import FnIndexInferError
from pydantic import ValidationError

from ui.given import uploads_in
from ui.session import Session
from ui.sessions import Sessions


class GuardedBlocks(gr.Blocks):
    """Blocks that remember uploads before they look at them, so that what is refused is deleted with the rest.

    Set `sessions` before it is launched.
    """

    sessions: Sessions | None = None

    async def process_api(
        self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any
    ) -> dict[str, Any]:
        """Process an event as Gradio does.

        Raises:
            gr.Error: other inputs than the event has, or files that were not uploaded here.
        """
        event = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        names = _names(event)
        session = self._note(options.get("request"), inputs)
        if len(inputs) != len(event.inputs):
            raise _refused(
                f"{len(inputs)} values, expected {len(event.inputs)}: {', '.join(names) or 'none'}"
            )
        for name, block, value in zip(names, event.inputs, inputs, strict=True):
            _check_files(name, block, value)
            self._check_owner(name, session, value)
        try:
            return await super().process_api(block_fn, inputs, *args, **options)
        except InvalidPathError:
            raise _refused("photograph: not a file that was uploaded here") from None
        except ValidationError:
            raise _refused("photograph: not an upload as a file control gives it") from None

    def forget(self, key: str) -> None:
        """Let go of what Gradio keeps of a session: for an hour, all values of all controls."""
        self.app.state_holder.session_data.pop(key, None)

    def _check_owner(self, name: str, session: Session | None, value: Any) -> None:
        """What another visitor has made is theirs, even for those who know where it lies."""
        if self.sessions is None or session is None:
            return
        for path in uploads_in(value):
            if self.sessions.root in path.parents and not session.owns(path):
                raise _refused(f"{name}: not a file that was uploaded here")

    def _note(self, request: Any, inputs: list[Any]) -> Session | None:
        """Remember uploads in the visitor's session, and return it; events without inputs need none."""
        key = getattr(request, "session_hash", None)
        if self.sessions is None or not (key or inputs):
            return None
        return self.sessions.note(key, list(uploads_in(inputs)))


def unknown() -> tuple[type[Exception], ...]:
    """What Gradio's routes raise for events, endpoints and sessions that are not there."""
    return KeyError, FnIndexInferError


async def not_found(_: Request, __: Exception) -> JSONResponse:
    """Answer to those, where Gradio would call it an error of the server."""
    return JSONResponse({"detail": "event, endpoint or session: not found"}, status_code=404)


def _names(event: Any) -> list[str]:
    """Parameters of the endpoint, or labels of the inputs where there are none."""
    parameters = list(inspect.signature(event.fn).parameters) if event.fn else []
    labels = [str(getattr(block, "label", None) or "value") for block in event.inputs]
    return [*parameters[: len(labels)], *labels[len(parameters) :]]


def _check_files(name: str, block: Any, value: Any) -> None:
    """Refuse addresses where uploads are expected: the page fetches nothing for anybody."""
    for path in map(str, uploads_in(value)):
        if path.startswith(("http:", "https:", "file:")) or "\0" in path:
            raise _refused(f"{name}: an address, expected an uploaded file")
    is_list = isinstance(block, gr.File) and block.file_count == "multiple"
    if (
        isinstance(block, gr.Image | gr.File)
        and value is not None
        and not isinstance(value, list if is_list else dict)
    ):
        expected = "a list of uploaded files" if is_list else "an uploaded file"
        raise _refused(f"{name}: {type(value).__name__}, expected {expected}")


def _refused(text: str) -> gr.Error:
    return gr.Error(text, print_exception=False)
