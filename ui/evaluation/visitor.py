"""Somebody who has the page open, as a browser is: uploads, events through the queue, a heartbeat until they leave.

It speaks HTTP itself and checks nothing, so that what no browser and no client would send can be sent as well.
"""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

_API = "/gradio_api"
_TIMEOUT = httpx.Timeout(180, connect=10)
HUGE = "<1e400>"
"""Stands for a number that is written as 1e400, which no float is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back: values, or words that say why not."""

    status: int = 200
    """Of HTTP; 200 as well where an event failed, 0 where nothing came."""
    values: Sequence[Any] | None = None
    message: str = ""

    @property
    def ok(self) -> bool:
        """Whether it is what was asked for."""
        return self.values is not None

    def file(self, place: int = 0) -> str:
        """Path of a file among the values."""
        if self.values is None:
            raise RuntimeError(f"the page refused: {self.message}")
        return self.values[place]["path"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One named event of the page."""

    index: int
    queued: bool
    defaults: Mapping[str, Any]
    """Parameters in their order, and what the page sets them to."""

    def data(self, values: Mapping[str, Any]) -> list[Any]:
        """Values by name as the list that is sent."""
        return [values.get(name, default) for name, default in self.defaults.items()]


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """A page that is served somewhere."""

    address: str
    http: httpx.Client
    endpoints: Mapping[str, Endpoint]

    @classmethod
    def open(cls, address: str) -> Page:
        """Read which events a page has."""
        address = address.rstrip("/")
        # A server closes the connection of a request that it stumbled over: none is used twice.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        http = httpx.Client(base_url=address, timeout=_TIMEOUT, limits=limits)
        known = {
            one["api_name"]: one for one in http.get("/config").json()["dependencies"] if one["api_name"]
        }
        described = http.get(f"{_API}/info").json()["named_endpoints"]
        endpoints = {
            name.lstrip("/"): Endpoint(
                index=known[name.lstrip("/")]["id"],
                queued=known[name.lstrip("/")]["queue"] is not False,
                defaults={one["parameter_name"]: one["parameter_default"] for one in facts["parameters"]},
            )
            for name, facts in described.items()
        }
        return cls(address, http, endpoints)

    def close(self) -> None:
        """Close all connections."""
        self.http.close()


@dataclass(slots=True, eq=False)
class Visitor:
    """Whoever has the page open; a session is theirs until they leave."""

    page: Page
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    uploads: set[str] = field(default_factory=set)
    """Paths that the page gave to their files."""
    _heart: httpx.Response | None = None

    def __enter__(self) -> Visitor:
        http = self.page.http
        self._heart = http.send(http.build_request("GET", f"{_API}/heartbeat/{self.key}"), stream=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._heart is not None:
            self._heart.close()

    def upload(self, name: str, data: bytes) -> Answer:
        """Upload a file; the value is what a control takes for it."""
        return self._uploaded(self.page.http.post(f"{_API}/upload", files={"files": (name, data)}))

    def upload_bytes(self, body: bytes | Iterator[bytes], kind: str) -> Answer:
        """Send anything where uploads go, as a type of content."""
        return self._uploaded(
            self.page.http.post(f"{_API}/upload", content=body, headers={"content-type": kind})
        )

    def ask(self, endpoint: str, values: Mapping[str, Any] | None = None) -> Answer:
        """Send an event with values by name, the page's own for the rest, and wait."""
        known = self.page.endpoints[endpoint]
        return self.ask_with(endpoint, known.data(values or {}))

    def ask_with(self, endpoint: str, data: Any) -> Answer:
        """Send an event with any data."""
        known = self.page.endpoints[endpoint]
        body = encoded({"data": data, "fn_index": known.index, "session_hash": self.key})
        if known.queued:
            return self.join(body)
        return self.post(f"/run/{endpoint}", body)

    def join(self, body: bytes) -> Answer:
        """Send an event as bytes through the queue and wait for what comes of it."""
        joined = self._posted("/queue/join", body)
        if joined.status_code != httpx.codes.OK:
            return _failed(joined)
        number = joined.json()["event_id"]
        with self.page.http.stream("GET", f"{_API}/queue/data", params={"session_hash": self.key}) as stream:
            for told in _told(stream):
                if told["msg"] == "unexpected_error":
                    return Answer(message=told["message"])
                if told["msg"] == "process_completed" and told["event_id"] == number:
                    output = told["output"]
                    return (
                        Answer(values=output["data"]) if told["success"] else Answer(message=_error(output))
                    )
        return Answer(message="")

    def call(self, endpoint: str, body: bytes) -> Answer:
        """Send an event as bytes by the route for programs, which names the endpoint."""
        response = self._posted(f"/call/{endpoint}", body)
        if response.status_code != httpx.codes.OK:
            return _failed(response)
        number = response.json()["event_id"]
        with self.page.http.stream("GET", f"{_API}/call/{endpoint}/{number}") as stream:
            kind = ""
            for line in stream.iter_lines():
                kind = line[7:] if line.startswith("event: ") else kind
                if line.startswith("data: ") and kind in ("complete", "error"):
                    output = json.loads(line[6:])
                    return Answer(values=output) if kind == "complete" else Answer(message=_error(output))
        return Answer(message="")

    def post(self, route: str, body: bytes) -> Answer:
        """Send bytes to a route that answers at once."""
        response = self._posted(route, body)
        if response.status_code != httpx.codes.OK:
            return _failed(response)
        return Answer(values=response.json().get("data", []))

    def get(self, route: str) -> Answer:
        """Fetch something; the value is its bytes."""
        response = self.page.http.get(route)
        return Answer(values=[response.content]) if response.is_success else _failed(response)

    def picture(self, path: str) -> np.ndarray:
        """Download a picture that the page made, (h, w, 3) uint8."""
        response = self.page.http.get(f"{_API}/file={path}").raise_for_status()
        return np.asarray(Image.open(io.BytesIO(response.content)).convert("RGB"))

    def _uploaded(self, response: httpx.Response) -> Answer:
        if response.status_code != httpx.codes.OK:
            return _failed(response)
        self.uploads |= set(response.json())
        return Answer(values=[uploaded(path) for path in response.json()])

    def _posted(self, route: str, body: bytes) -> httpx.Response:
        headers = {"content-type": "application/json"}
        return self.page.http.post(f"{_API}{route}", content=body, headers=headers)


def uploaded(path: str) -> dict[str, Any]:
    """An upload as the value of a control."""
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def encoded(body: Any) -> bytes:
    """JSON, with NaN and infinity as Python writes them, and `HUGE`."""
    return json.dumps(body).replace(f'"{HUGE}"', "1e400").encode()


def attempted(send: Callable[[], Answer]) -> Answer:
    """Send something to a server that may not answer at all."""
    try:
        return send()
    except httpx.HTTPError as error:
        return Answer(status=0, message=f"no answer: {error or type(error).__name__}")


def _told(stream: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in stream.iter_lines():
        if line.startswith("data: "):
            yield json.loads(line[6:])


def _error(output: Any) -> str:
    """Words of an event that failed."""
    if isinstance(output, Mapping):
        return str(output.get("error") or "")
    return "" if output is None else str(output)


def _failed(response: httpx.Response) -> Answer:
    """Words of a refusal by HTTP: FastAPI's `detail`, Gradio's `error`, or the text."""
    try:
        body = response.json()
    except ValueError:
        return Answer(status=response.status_code, message=response.text)
    if isinstance(body, Mapping):
        body = body.get("detail") or body.get("error") or body
    words = body if isinstance(body, str) else json.dumps(body)
    return Answer(status=response.status_code, message=words)
