"""Captions that follow from a record, and the proof: read back, a caption says nothing that the record does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from faces import caption_parser, captions, facs, vocabulary
from faces.makeup import LAYERS
from gen.record import AXES

_BETWEEN = ". "
"""No canonical prompt and no description of action units holds it."""


def caption(looks: Mapping[str, Any], units: Mapping[str, float] | None) -> str:
    """Word looks, as arguments of `captions.prompt`, and action units, None to say nothing of them."""
    text = captions.prompt(**looks)
    return text if units is None else text + _BETWEEN + facs.describe(units)


def read(text: str) -> tuple[dict[str, Any], dict[str, facs.Bounds] | None]:
    """Read a caption back: its looks, and the bounds of every action unit, None where nothing is said of them.

    Raises:
        ValueError: it is no such caption.
    """
    looks, found, units = text.partition(_BETWEEN)
    return caption_parser.parse(looks), facs.parse(units) if found else None


def contradictions(record: Mapping[str, Any]) -> list[str]:
    """Name what a record's caption says that its other columns do not, and what it leaves out of them.

    An expression has to be the label, every other attribute what was requested, and action units, where any are
    named, those that were requested.
    """
    try:
        said, bounds = read(record["caption"])
    except ValueError as error:
        return [str(error)]
    wanted = {name: record[f"requested_{name}"] for name in AXES}
    wanted["expression"] = record["label"] or wanted["expression"]
    wanted["gender"] = wanted["gender"] or "person"
    if wanted["hair_style"] == "bald":
        wanted["hair_colour"] = None
    wrong = [
        f"{name} is {wanted[name]}, the caption says {said.get(name)}"
        for name in AXES
        if said.get(name) != wanted[name]
    ]
    worn = tuple(layer for layer in LAYERS if record[f"{layer}_colour"] is not None)
    if tuple(said.get("makeup", ())) != worn:
        wrong.append(f"makeup is {worn}, the caption says {said.get('makeup')}")
    return wrong + _wrong_units(record, bounds)


def _wrong_units(record: Mapping[str, Any], bounds: Mapping[str, facs.Bounds] | None) -> list[str]:
    requested = record["au_requested"]
    if bounds is None or requested is None:
        both = bounds is None and (requested is None or record["label_decision"] == "relabel")
        return [] if both else ["action units are in the record or in the caption, not in both"]
    units = dict(zip(vocabulary.UNIT_COLUMNS, requested, strict=True))
    return [
        f"{name} is {units[name]:g}, the caption says {low:g} to {high:g}"
        for name, (low, high) in bounds.items()
        if not facs.is_within(units[name], (low, high))
    ]
