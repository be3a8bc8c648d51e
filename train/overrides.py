"""Typed, strict conversion between config dataclasses, plain dicts and `key.sub=value` command-line text."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")


class ConfigError(ValueError):
    """A config key or value that cannot be used; the message is one sentence for the user."""


def plain(value: Any) -> Any:
    """Return a dataclass as nested dicts of JSON types; a class attribute `kind` becomes the key "kind"."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        head = {"kind": value.kind} if hasattr(value, "kind") else {}
        return head | {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return str(value) if isinstance(value, Path) else value


def parse(cls: type[T], data: Mapping[str, Any], path: str = "") -> T:
    """Build the dataclass `cls` from a mapping; ConfigError on an unknown key or a value of a wrong type."""
    hints = _hints(cls)
    values = {}
    for key, value in data.items():
        if key == "kind" and "kind" not in hints:
            continue
        _require_key(key, list(hints), path)
        values[key] = _convert(hints[key], value, f"{path}{key}")
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{path or cls.__name__}: {error}") from None


def apply(config: T, assignments: typing.Iterable[str]) -> T:
    """Return `config` with every `key.sub=value` applied, each value parsed to the type of its field."""
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(f"{assignment!r}: an override reads key=value, for example optimizer.lr=1e-4")
        config = _assign(config, key.strip().split("."), text.strip(), "")
    return config


def differences(old: Any, new: Any, path: str = "") -> list[str]:
    """Return `key: old -> new` for every leaf in which two plain dicts differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        keys = list(old) + [key for key in new if key not in old]
        return [
            line
            for key in keys
            for line in differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
        ]
    return [] if old == new else [f"{path}: {old} -> {new}"]


def _assign(config: Any, keys: list[str], text: str, path: str) -> Any:
    names = [field.name for field in dataclasses.fields(config)]
    key, rest = keys[0], keys[1:]
    _require_key(key, names, path)
    current = getattr(config, key)
    if rest:
        if not dataclasses.is_dataclass(current):
            raise ConfigError(f"{path}{key} has no part {'.'.join(rest)!r}: it is one value ({current!r})")
        return dataclasses.replace(config, **{key: _assign(current, rest, text, f"{path}{key}.")})
    if dataclasses.is_dataclass(current):
        parts = ", ".join(field.name for field in dataclasses.fields(current))
        raise ConfigError(f"{path}{key} is a group: set one of its parts, {path}{key}.PART=value ({parts})")
    return dataclasses.replace(
        config, **{key: _convert(_hints(type(config))[key], _read(text), f"{path}{key}")}
    )


def _read(text: str) -> Any:
    """Turn command-line text into what the type check expects: None, a list (commas, brackets) or text."""
    if text.lower() in ("none", "null"):
        return None
    if text[:1] in "([" or "," in text:
        return [part.strip() for part in text.strip("()[]").split(",") if part.strip()]
    return text


def _convert(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return value if isinstance(value, hint) else parse(hint, value, f"{path}.")
    if _is_sequence(hint) and isinstance(value, str):
        value = [value] if value else []
    try:
        return _adapter(hint).validate_python(value)
    except ValidationError as error:
        wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise ConfigError(
            f"{path}={value!r}: {error.errors()[0]['msg'].lower()}; {path} is {wanted}"
        ) from None


def _is_sequence(hint: Any) -> bool:
    members = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    return any(typing.get_origin(member) in (tuple, list) for member in members)


def _require_key(key: str, known: list[str], path: str) -> None:
    if key not in known:
        close = difflib.get_close_matches(key, known, 1)
        hint = (
            f"did you mean {path}{close[0]}?"
            if close
            else f"known: {', '.join(path + name for name in known)}"
        )
        raise ConfigError(f"unknown key {path}{key}; {hint}")


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}  # type: ignore[arg-type]


@functools.cache
def _adapter(hint: Any) -> TypeAdapter[Any]:
    return TypeAdapter(hint)
