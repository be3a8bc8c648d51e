"""A malformed request, and what it needs to be sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ui.evaluation import valid
from ui.evaluation.valid import Photo
from ui.evaluation.visitor import Answer, Visitor


@dataclass(frozen=True, kw_only=True, slots=True)
class Scene:
    """Who sends it, and what is around."""

    visitor: Visitor
    photo: Photo
    """Shows a face."""
    others: str
    """Path of a picture that another visitor made."""
    folder: Path
    """Where the server keeps its files."""
    number: int = 0
    """Of the case. Each uploads a file of its own: the same bytes under one name are one file for everybody."""

    def given(self, task: str) -> dict[str, Any]:
        """Values of all controls of a task, with the photograph uploaded."""
        return valid.request(task, self.photo).given(self.visitor)

    def changed(self, task: str, **wrong: Any) -> Answer:
        """Send a request in which some values are wrong."""
        return self.visitor.ask(task, {**self.given(task), **wrong})

    def with_file(self, task: str, file: Any) -> Answer:
        """Send a request whose photograph is wrong; `file` is the value of its control."""
        values = valid.request(task, self.photo).values
        photo = {"photos": [file]} if task == "portrait" else {"photo": file}
        return self.visitor.ask(task, {**values, **photo})

    def with_upload(self, task: str, name: str, data: bytes) -> Answer:
        """Upload something as the photograph; it is refused there, or by the event."""
        upload = self.visitor.upload(name, data)
        return self.with_file(task, upload.values[0]) if upload.values else upload


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A malformed request."""

    name: str
    send: Callable[[Scene], Answer]
    naming: str
    """A regular expression that the words of its refusal match, since they name what is wrong."""
    hidden: tuple[str, ...] = ()
    """What its refusal does not repeat, such as the name of a file."""
