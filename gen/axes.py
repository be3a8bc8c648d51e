"""Axes of a recipe: what is varied, over which values, with which weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from faces import vocabulary
from gen import balance, seeds
from gen.record import AXES

Axes = dict[str, dict[Any, float]]
"""Axis name -> value -> weight."""


def weighted(axes: Any) -> Any:
    """Let a list of values stand for equal weights; undo what JSON makes of numbers as keys."""
    if not isinstance(axes, Mapping):
        return axes
    return {
        name: {_typed(name, value): weight for value, weight in _weights(name, values).items()}
        for name, values in axes.items()
    }


def canonical(axes: Any) -> Any:
    """Bring axes and their values into the order of records and vocabulary: equal axes give equal plans."""
    if not isinstance(axes, Mapping):
        return axes
    known = sorted(axes, key=lambda name: (list(AXES).index(name) if name in AXES else len(AXES), name))
    return {name: {value: axes[name][value] for value in ordered(name, set(axes[name]))} for name in known}


def check(field: str, axes: Axes, refuse: Callable[[str, Any], None]) -> None:
    """Raise ValueError for an axis that is none, for weights that are none, and for what `refuse` raises for.

    Args:
        field: the setting, as errors call it.
        axes: its value.
        refuse: called with each axis and value.
    """
    for name, weights in axes.items():
        if name not in AXES:
            raise ValueError(f"{field}: unknown axis '{name}', permitted: {', '.join(AXES)}")
        for value in weights:
            refuse(name, value)
        balance.combinations({name: weights}, 1, seeds.stream(0))


def ordered(axis: str, values: set[Any]) -> list[Any]:
    """Values in the order of the vocabulary where it has one."""
    known: dict[str, Iterable[Any]] = {
        "age_band": vocabulary.AGE_BANDS, "expression": vocabulary.EXPRESSIONS, "pose": vocabulary.POSES,
        "hair_style": vocabulary.HAIR_STYLES, "hair_colour": vocabulary.HAIR_COLOURS, "light":
        vocabulary.LIGHTS,
    }  # fmt: skip
    order = list(known.get(axis, ()))
    return sorted(
        values, key=lambda value: (order.index(value) if value in order else len(order), str(value))
    )


def _weights(axis: str, values: Any) -> dict[Any, float]:
    if isinstance(values, Mapping):
        return dict(values)
    if not isinstance(values, list | tuple):
        raise ValueError(f"axis '{axis}' is {values!r}, permitted: a list of values, or values with weights")
    return dict.fromkeys(values, 1.0)


def _typed(axis: str, value: Any) -> Any:
    """The value that a key of a JSON object stands for."""
    if not isinstance(value, str) or axis not in AXES:
        return value
    if pa.types.is_integer(AXES[axis]) and value.isdecimal():
        return int(value)
    if pa.types.is_boolean(AXES[axis]):
        return {"true": True, "false": False}.get(value.lower(), value)
    return value
