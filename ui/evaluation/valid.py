"""Requests that the page has to answer, each a function of the visitor's photograph and a seed."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, ImageOps

from faces import examples
from ui.canvas_state import CanvasState
from ui.evaluation.visitor import Answer, Visitor, uploaded

TASKS = ("portrait", "expression", "makeup", "drag", "texture")
STEPS = 4
_CHOSEN: dict[str, dict[str, Any]] = {
    "portrait": {"prompt": "portrait of a person, smiling"},
    "expression": {"expression": "happy"},
    "makeup": {"source": "colours", "lips": "#b0203a"},
    "drag": {},
    "texture": {},
}
_ARROW = ((0.4, 0.5), (0.45, 0.52))
"""Shares of width and height."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Photo:
    """A file as somebody uploads it."""

    name: str
    data: bytes

    def named(self, before: object) -> Photo:
        """The same under a name of its own."""
        return replace(self, name=f"{before} {self.name}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        with Image.open(io.BytesIO(self.data)) as picture:
            return picture.size


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request."""

    task: str
    photo: Photo
    values: Mapping[str, Any]
    """Of the controls by name, without the photograph."""

    def given(self, visitor: Visitor) -> dict[str, Any]:
        """Upload the photograph, and return the values of all controls.

        Raises:
            RuntimeError: the upload was refused.
        """
        file = uploaded(visitor.upload(self.photo.name, self.photo.data).file())
        return {**({"photos": [file]} if self.task == "portrait" else {"photo": file}), **self.values}

    def ask(self, visitor: Visitor) -> Answer:
        """Send it."""
        return visitor.ask(self.task, self.given(visitor))

    def without_consent(self) -> Request:
        """The same from somebody who did not tick the box."""
        return replace(self, values={**self.values, "consented": False})


def request(task: str, photo: Photo, seed: int = 0, **more: Any) -> Request:
    """Make a request, with few steps.

    Args:
        task: of `TASKS`.
        photo: shows a face.
        seed: of the result.
        more: values of further controls.
    """
    values = {**_CHOSEN[task], "consented": True, "seed": seed, "steps": STEPS, **more}
    if task == "drag":
        values.setdefault("drawn", drawn(photo.size))
    return Request(task=task, photo=photo, values=values)


def drawn(size: tuple[int, int]) -> dict[str, Any]:
    """One arrow on a photograph of that width and height."""
    arrow = [(x * size[0], y * size[1]) for x, y in _ARROW]
    return CanvasState.at_places([arrow], [], size).to_json()


def photos(count: int) -> list[Photo]:
    """Photographs of as many visitors: the example heads as PNG, mirrored where there are more visitors than heads."""
    heads = examples.heads()
    made = []
    for number in range(count):
        picture = Image.open(heads[number % len(heads)]).convert("RGB")
        made.append(_saved(picture if number < len(heads) else ImageOps.mirror(picture), number))
    return made


def _saved(picture: Image.Image, number: int) -> Photo:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return Photo(name=f"holiday {number}.png", data=file.getvalue())
