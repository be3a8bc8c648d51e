"""Messages that no client sends: wrong numbers of arguments, unknown events, broken JSON, files by their address."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from ui.evaluation.cases import Case, Scene
from ui.evaluation.visitor import Answer, encoded

_LISTS: dict[str, Callable[[list[Any]], Any]] = {
    "no arguments": lambda data: [],
    "one argument": lambda data: data[:1],
    "one too few": lambda data: data[:-1],
    "one too many": lambda data: [*data, 0],
    "a hundred too many": lambda data: [*data, *range(100)],
    "arguments as an object": lambda data: {"seed": data[-2]},
    "arguments as text": lambda data: "photo",
    "arguments are null": lambda data: None,
}
_BROKEN = {
    "nothing": b"", "no JSON": b"photo=1&seed=2", "half of it": b'{"data": [1, 2', "XML": b"<data/>", "a number": b"7",
    "no UTF-8": b'{"data": ["\xff\xfe"]}', "too deep": b"[" * 100_000, "a list": b"[1, 2, 3]",
}  # fmt: skip
_ADDRESSES = {
    "/etc/passwd": "/etc/passwd", "two slashes": "//etc/passwd", "upwards": "../../../../etc/passwd",
    "upwards, encoded": "%2e%2e/%2e%2e/%2e%2e/etc/passwd", "upwards, encoded twice": "%252e%252e%252fetc%252fpasswd",
    "encoded": "%2Fetc%2Fpasswd", "a scheme": "file:///etc/passwd", "a NUL": "/etc/passwd%00.png",
    "this process": "/proc/self/environ", "this server": "http://127.0.0.1:9/config",
}  # fmt: skip

_ARGUMENTS, _EVENT, _JSON = "argument|value|input", "event|function|endpoint|queue|found", "JSON|body"
"""Words for what is wrong."""


def cases() -> list[Case]:
    """All of them."""
    return [*_arguments(), *_events(), *_sessions(), *_bytes(), *_addresses()]


def _arguments() -> list[Case]:
    listed = [
        Case(name=f"{task}: {name}", send=functools.partial(_listed, task=task, name=name), naming=_ARGUMENTS)
        for task, name in zip(("makeup", "texture") * 4, _LISTS, strict=True)
    ]
    called = [
        Case(name=f"call with {name}", send=functools.partial(_called, name=name), naming=_ARGUMENTS)
        for name in ("one too few", "arguments as text")
    ]
    return listed + called


def _arranged(scene: Scene, task: str, name: str) -> dict[str, Any]:
    endpoint = scene.visitor.page.endpoints[task]
    data = _LISTS[name](endpoint.data(scene.given(task)))
    return {"data": data, "fn_index": endpoint.index, "session_hash": scene.visitor.key}


def _listed(scene: Scene, task: str, name: str) -> Answer:
    return scene.visitor.join(encoded(_arranged(scene, task, name)))


def _called(scene: Scene, name: str) -> Answer:
    return scene.visitor.call("makeup", encoded(_arranged(scene, "makeup", name)))


def _events() -> list[Case]:
    """Events that there are none of, or that are asked for at the wrong door."""
    numbers = [
        Case(name=f"event number {number!r}", send=functools.partial(_numbered, number=number), naming=_EVENT)
        for number in (9999, -1, "makeup", None, 2**70)
    ]
    routes = {"/run/divorce": "an unknown endpoint", "/run/models": "what has to queue", "/divorce": "nothing",
              "/cancel": "an end of nothing"}  # fmt: skip
    posted = [
        Case(name=f"post for {name}", send=functools.partial(_posted, route=route), naming=_EVENT)
        for route, name in routes.items()
    ]
    return [*numbers, *posted, Case(name="call of an unknown endpoint", send=_called_off, naming=_EVENT)]


def _posted(scene: Scene, route: str) -> Answer:
    return scene.visitor.post(route, _body(scene))


def _called_off(scene: Scene) -> Answer:
    return scene.visitor.call("divorce", _body(scene))


def _body(scene: Scene) -> bytes:
    return encoded({"data": [], "session_hash": scene.visitor.key})


def _numbered(scene: Scene, number: Any) -> Answer:
    return scene.visitor.join(encoded({"data": [], "fn_index": number, "session_hash": scene.visitor.key}))


def _sessions() -> list[Case]:
    """Sessions that are none."""
    keys = {"missing": None, "a number": 7, "a list": ["a"], "empty": "", "an object": {"key": "a"}}
    return [
        Case(name=f"session is {name}", send=functools.partial(_of_session, key=key), naming="session")
        for name, key in keys.items()
    ]  # fmt: skip


def _of_session(scene: Scene, key: Any) -> Answer:
    index = scene.visitor.page.endpoints["models"].index
    return scene.visitor.join(encoded({"data": [], "fn_index": index, "session_hash": key}))


def _bytes() -> list[Case]:
    """Bodies that are no JSON, or not of the shape that is expected."""
    joined = [
        Case(name=f"body is {name}", send=functools.partial(_joined, body=body), naming=_JSON)
        for name, body in _BROKEN.items()
    ]
    called = [
        Case(name=f"body of a call is {name}", send=functools.partial(_called_with, body=_BROKEN[name]), naming=_JSON)
        for name in ("nothing", "half of it", "too deep")
    ]  # fmt: skip
    return joined + called


def _joined(scene: Scene, body: bytes) -> Answer:
    return scene.visitor.join(body)


def _called_with(scene: Scene, body: bytes) -> Answer:
    return scene.visitor.call("makeup", body)


def _addresses() -> list[Case]:
    """Files of the machine by their address."""
    return [
        Case(name=f"file by {name}", send=functools.partial(_fetched, address=address), naming="file")
        for name, address in _ADDRESSES.items()
    ]  # fmt: skip


def _fetched(scene: Scene, address: str) -> Answer:
    return scene.visitor.get(f"/gradio_api/file={address}")
