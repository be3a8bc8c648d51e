"""What arrives from a browser or a program, read with the type that it should have."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST_CHARACTERS = 2000
MOST_FILES = 8


@dataclass(frozen=True, slots=True)
class Given:
    """Raw values by name; each method returns one of them, or raises a ValueError that names it."""

    values: Mapping[str, Any]

    def whole(self, name: str) -> int:
        """A whole number."""
        value = self.number(name)
        if value != int(value):
            raise ValueError(f"{name} {value:g}: expected a whole number")
        return int(value)

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.values[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name} {_short(value)}: expected a number")
        return value

    def text(self, name: str) -> str:
        """Text of a sensible length; nothing is an empty one."""
        value = "" if self.values[name] is None else self.values[name]
        if not isinstance(value, str):
            raise ValueError(f"{name}: expected text, not {type(value).__name__}")
        if len(value) > MOST_CHARACTERS:
            raise ValueError(f"{name}: {len(value)} characters, {MOST_CHARACTERS} at most")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts; nothing is an empty one."""
        value = self.values[name] or ()
        if isinstance(value, str) or not isinstance(value, Sequence):
            raise ValueError(f"{name}: expected a list, not {type(value).__name__}")
        return tuple(Given({name: item}).text(name) for item in value)

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self.values[name]
        if not isinstance(value, bool):
            raise ValueError(f"{name} {_short(value)}: expected true or false")
        return value

    def file(self, name: str) -> str | None:
        """Path of an upload, which Gradio has checked to be one; None without."""
        return _path(name, self.values[name])

    def files(self, name: str) -> tuple[str, ...]:
        """Paths of several."""
        value = self.values[name] or ()
        if not isinstance(value, list | tuple):
            raise ValueError(f"{name}: expected a list of files, not {type(value).__name__}")
        if len(value) > MOST_FILES:
            raise ValueError(f"{name}: {len(value)} files, {MOST_FILES} at most")
        return tuple(path for path in (_path(name, item) for item in value) if path)


def uploads_in(value: Any) -> Iterator[Path]:
    """Paths of all uploads in raw values, however deep they are, without detours such as `..`."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list | tuple):
            waiting.extend(reversed(one))
        elif isinstance(one, Mapping) and isinstance(path := one.get("path"), str):
            yield Path(path if "\0" in path else os.path.normpath(path))  # which may cut at a NUL
        elif isinstance(one, Mapping):
            waiting.extend(one.values())


def _path(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("path"), str):
        raise ValueError(f"{name}: expected an uploaded file")
    return value["path"]


def _short(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 40 else shown[:40] + "..."
