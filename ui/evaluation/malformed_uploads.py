"""Uploads that no browser sends: cut off, under the name of another field, without a name, in another shape.

What arrives of them is nobody's and has to go all the same; the event that follows asks for a photograph that is not
there.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import httpx

from ui.evaluation.cases import Case, Scene
from ui.evaluation.visitor import Answer

_NAMING = "photograph|upload|multipart|file|form|type"
_BOUNDARY = "mien-exam"
_MULTIPART = f"multipart/form-data; boundary={_BOUNDARY}"


def cases() -> list[Case]:
    """All of them."""
    sent: dict[str, Callable[[Scene], Answer]] = {
        "cut off in the middle": _cut_off,
        "under another field": functools.partial(_part, field="photos", name="our-wedding.png"),
        "without a field": functools.partial(_part, field=None, name="our-wedding.png"),
        "without a name": functools.partial(_part, field="files", name=""),
        "under the name of a folder": functools.partial(_part, field="files", name=".."),
        "as text": functools.partial(_part, field="files", name=None),
        "that ends nowhere": functools.partial(_part, field="files", name="our-wedding.png", end=b""),
        "without a boundary": functools.partial(_typed, kind="multipart/form-data"),
        "as JSON": functools.partial(_typed, kind="application/json"),
        "without a type": functools.partial(_typed, kind=""),
    }
    return [
        Case(name=f"upload {how}", send=functools.partial(_and_ask, upload=upload), naming=_NAMING)
        for how, upload in sent.items()
    ]


def _and_ask(scene: Scene, upload: Callable[[Scene], Answer]) -> Answer:
    """Ask with what has arrived, or without anything where nothing has."""
    came = upload(scene)
    return scene.with_file("makeup", came.values[0] if came.values else None) if came.ok else came


def _head(field: str | None, name: str | None) -> bytes:
    disposition = "form-data" + (f'; name="{field}"' if field else "")
    disposition += "" if name is None else f'; filename="{name}"'
    return f"--{_BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()


def _data(scene: Scene) -> bytes:
    """A photograph cut short, and another one in every case."""
    return f"{scene.number} ".encode() + scene.photo.data[: len(scene.photo.data) // 3]


def _part(scene: Scene, field: str | None, name: str | None, end: bytes | None = None) -> Answer:
    end = f"\r\n--{_BOUNDARY}--\r\n".encode() if end is None else end
    return scene.visitor.upload_bytes(_head(field, name) + _data(scene) + end, _MULTIPART)


def _typed(scene: Scene, kind: str) -> Answer:
    return scene.visitor.upload_bytes(_data(scene), kind)


def _cut_off(scene: Scene) -> Answer:
    def half() -> Iterator[bytes]:
        yield _head("files", "our-wedding.png") + _data(scene)
        raise httpx.WriteError("hung up")

    try:
        return scene.visitor.upload_bytes(half(), _MULTIPART)
    except httpx.WriteError:
        return Answer(values=[])
