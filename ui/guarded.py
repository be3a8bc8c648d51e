"""What Gradio does with an event before a handler sees it, guarded: what is sent is noted, counted, refused plainly."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import gradio as gr
from fastapi import Request
from fastapi.responses import JSONResponse
from gradio.exceptions import InvalidPathError
from gradio.route_utils import FnIndexInferError
from gradio.routes import App
from pydantic import ValidationError
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ui.given import uploads_in
from ui.session import Session
from ui.sessions import Sessions

_logger = logging.getLogger(__name__)
_PAGE = re.compile(r"/heartbeat/([^/]+)$")
_ELSEWHERE = re.compile(r"/(file|proxy)=\s*https?:", re.IGNORECASE)


class GuardedBlocks(gr.Blocks):
    """Blocks that remember uploads before they look at them, so that what is refused is deleted with the rest.

    Set `sessions` before it is launched with `server_options`.
    """

    sessions: Sessions | None = None

    def queue(self, *args: Any, **options: Any) -> GuardedBlocks:
        """Queue events as Gradio does, and remember uploads when an event arrives: it may wait longer than they do."""
        super().queue(*args, **options)
        push = self._queue.push

        async def remember_and_push(body: Any, *others: Any, **more: Any) -> Any:
            if body.session_hash and self.sessions is not None:
                self.sessions.back(body.session_hash)
                self.sessions.note(body.session_hash, uploads_in(body.data))
            return await push(body, *others, **more)

        self._queue.push = remember_and_push
        return self

    async def process_api(
        self, block_fn: Any, inputs: list[Any], *args: Any, **options: Any
    ) -> dict[str, Any]:
        """Process an event as Gradio does.

        Raises:
            gr.Error: other inputs than the event has, or files that were not uploaded here.
        """
        event = self.fns[block_fn] if isinstance(block_fn, int) else block_fn
        names = _names(event)
        session = self._note(event, options.get("request"), inputs)
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
            if self.sessions.made in path.parents and not session.owns(path):
                raise _refused(f"{name}: not a file that was uploaded here")

    def _note(self, event: Any, request: Any, inputs: list[Any]) -> Session | None:
        """Remember uploads in the visitor's session, and return it; events without inputs need none."""
        key = getattr(request, "session_hash", None)
        if self.sessions is None or not (key or inputs):
            return None
        if not event.queue:  # others were sent when they were pushed; whoever sent them may have left since
            self.sessions.back(key)
        return self.sessions.note(key, uploads_in(inputs))


def server_options() -> dict[str, Any]:
    """What FastAPI takes to serve it."""
    middleware = [Middleware(NothingFetched), Middleware(Heartbeats)]
    return {"exception_handlers": refusals(), "lifespan": kept_clean, "middleware": middleware}


@contextlib.asynccontextmanager
async def kept_clean(app: App) -> AsyncIterator[None]:
    """Let uploads arrive where the sessions expect them, sweep while the page is served, and leave nothing behind."""
    sessions: Sessions = app.get_blocks().sessions  # pyright: ignore[reportAttributeAccessIssue]
    app.uploaded_file_dir = str(sessions.folder)
    sweeping = asyncio.create_task(_sweep_again_and_again(sessions))
    try:
        yield
    finally:
        sweeping.cancel()
        sessions.close_all()


class Heartbeats:
    """ASGI middleware that tells sessions which pages are open: each holds one request for as long as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        page = _PAGE.search(scope["path"]) if scope["type"] == "http" else None
        if page is None:
            return await self.app(scope, receive, send)
        with scope["app"].get_blocks().sessions.page(page[1]):
            return await self.app(scope, receive, send)


class NothingFetched:
    """ASGI middleware that refuses to fetch from other servers for visitors, which Gradio's route of files does."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything else on."""
        if scope["type"] == "http" and _ELSEWHERE.search(scope["path"]):
            refusal = JSONResponse(
                {"detail": "file: an address elsewhere, nothing is fetched"}, status_code=403
            )
            return await refusal(scope, receive, send)
        return await self.app(scope, receive, send)


def refusals() -> dict[type[Exception], Callable[[Request, Any], Awaitable[JSONResponse]]]:
    """What answers to errors that Gradio's routes leave to the server, which would call them its own."""
    return {KeyError: _not_found, FnIndexInferError: _not_found, TypeError: _no_upload}


async def _not_found(_: Request, __: Exception) -> JSONResponse:
    """Events, endpoints and sessions that are not there."""
    return JSONResponse({"detail": "event, endpoint or session: not found"}, status_code=404)


async def _no_upload(request: Request, error: Exception) -> JSONResponse:
    """Uploads that are text; other errors of this type are ours."""
    if not request.url.path.endswith("/upload"):
        raise error
    return JSONResponse({"detail": "files: expected files, not text"}, status_code=400)


async def _sweep_again_and_again(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(sessions.interval)
        try:
            await asyncio.to_thread(sessions.sweep)
        except Exception:  # whatever it is, what is left now goes the next time
            _logger.exception("sweep of sessions")


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
