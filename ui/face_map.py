"""The face map of the Expression tab: a drawn face whose muscles are pulled by hand, in a `gr.HTML` of our own.

Its value is JSON such as {"AU1": 0.4, "AU12L": 0.8}; units at rest are left out. `input` is triggered while a user
changes it and `release` when they let go, neither by Python nor by another component. `from_sliders` and `to_sliders`
bind it to sliders without asking the server:

    for slider in sliders:
        slider.change(None, sliders, face, js=from_sliders(units))
    face.input(None, face, sliders, js=to_sliders(units))

It is a function and no subclass: Gradio writes a .pyi file beside the module of every subclass.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

__all__ = ["face_map", "from_sliders", "to_sliders"]

_STATIC = Path(__file__).parent / "static"
_SCRIPTS = ("face_map_shape.js", "face_map_muscles.js", "face_map.js")
"""One after the other they are the body of one function."""


def face_map(
    units: Mapping[str, str],
    strongest: float,
    values: Mapping[str, float] | None = None,
    *,
    label: str = "Face map",
    **others: Any,
) -> gr.HTML:
    """Make the component.

    Args:
        units: action unit -> what it does, such as "AU12" -> "mouth corners up". "AU12" moves both sides of the face,
            "AU12L" the subject's left. A unit that the drawing does not know has no handle; its value is kept.
        strongest: largest intensity; the drawing is made for 1.5.
        values: action unit -> intensity, 0..strongest; what is not named rests.
        label: read to those who do not see it.
        others: of `gr.HTML`.

    Raises:
        ValueError: a value of a unit that is not shown, or out of range.
    """
    for unit, value in (values or {}).items():
        if unit not in units:
            raise ValueError(f"{unit}: not on the face map; it shows {', '.join(units)}")
        if not 0 <= value <= strongest:
            raise ValueError(f"{unit} {value}: expected a number from 0 to {strongest:g}")
    return gr.HTML(
        value={unit: values[unit] for unit in units if values and values.get(unit)},
        html_template=_read("face_map.html"),
        css_template=_read("face_map.css"),
        js_on_load="\n".join(map(_read, _SCRIPTS)),
        apply_default_css=False,
        label=label,
        units=dict(units),
        strongest=strongest,
        **others,
    )


def from_sliders(units: Iterable[str]) -> str:
    """A JavaScript function from the values of sliders, in the order of `units`, to the value of the map."""
    return (
        f"(...values) => Object.fromEntries({json.dumps([*units])}"
        ".map((unit, index) => [unit, Math.round(values[index] * 100) / 100]).filter((entry) => entry[1] > 0))"
    )


def to_sliders(units: Iterable[str]) -> str:
    """A JavaScript function from the value of the map to a list of slider values, in the order of `units`."""
    return f"(value) => {json.dumps([*units])}.map((unit) => (value && value[unit]) || 0)"


@cache
def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")
