"""The face map as Python makes it: its properties, what it refuses, and the functions that bind it to sliders."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from faces import vocabulary

pytest.importorskip("gradio")
from ui.face_map import face_map, from_sliders, to_sliders

STRONGEST = 1.5
UNITS = {column: f"what {column} does" for column in vocabulary.UNIT_COLUMNS}
STATIC = Path(__file__).parents[2] / "ui" / "static"


def test_the_component_holds_its_scripts_and_its_properties():
    made = face_map(
        UNITS, STRONGEST, {"AU26": 0.5, "AU12L": 0.8, "AU9": 0}, elem_id="map", label="Expression"
    )
    assert list(made.value.items()) == [("AU12L", 0.8), ("AU26", 0.5)]
    assert made.props == {"units": UNITS, "strongest": STRONGEST}
    assert (made.elem_id, made.label) == ("map", "Expression")
    assert face_map(UNITS, STRONGEST).value == {}

    # Handlebars and a JavaScript template literal read these two.
    assert not any(mark in made.html_template + made.css_template for mark in ("{{", "}}", "`", "${", "\\"))
    namespace = "http://www.w3.org/2000/svg"  # a name, nothing is asked of it
    text = (
        made.html_template + made.css_template + made.js_on_load.replace(namespace, "").replace("url(#", "")
    )
    assert not any(mark in text for mark in ("http:", "https:", "@import", "url(", "fetch("))
    for name in ("units", "strongest"):
        assert not hasattr(made, name)  # Gradio would put an event listener into the update
    assert hasattr(made, "input") and hasattr(made, "release")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"AU99": 0.5}, "AU99: not on the face map; it shows AU1L, AU1R"),
        ({"AU12L": 1.6}, "AU12L 1.6: expected a number from 0 to 1.5"),
        ({"AU9": -0.1}, "AU9 -0.1: expected a number from 0 to 1.5"),
        ({"AU9": float("nan")}, "AU9 nan: expected a number from 0 to 1.5"),
    ],
)
def test_what_it_cannot_show_is_refused_in_words(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        face_map(UNITS, STRONGEST, values)


def test_the_drawing_knows_every_unit_of_the_rig_and_has_a_place_for_it():
    muscles = (STATIC / "face_map_muscles.js").read_text(encoding="utf-8")
    shape = (STATIC / "face_map_shape.js").read_text(encoding="utf-8")
    places = muscles.split("const PLACES = {")[1].split("};")[0]
    known = {f"AU{number}" for number in re.search(r"UNITS = \[([\d, ]+)]", shape)[1].split(", ")}
    assert known == set(re.findall(r"(AU\d+):", places)) and known >= set(vocabulary.ACTION_UNITS)
    shown = muscles.split("const found = {")[1].split("};")[0]
    assert known == set(re.findall(r"^    (AU\d+):", shown, re.MULTILINE))


def test_every_part_of_the_drawing_has_its_element():
    page = (STATIC / "face_map.html").read_text(encoding="utf-8")
    shape = (STATIC / "face_map_shape.js").read_text(encoding="utf-8")
    parts = re.findall(r'data-part="(\w+)"', page)
    assert len(parts) == len(set(parts))
    unknown = [part for part in parts if not re.search(rf"^ +{part}: ", shape, re.MULTILINE)]
    assert unknown == []


def test_the_scripts_are_short_enough_to_read():
    assert [path.name for path in STATIC.glob("face_map*") if path.read_text().count("\n") > 400] == []


def test_sliders_are_bound_in_the_order_of_the_units():
    for source in (from_sliders(UNITS), to_sliders(UNITS)):
        assert json.dumps(list(UNITS)) in source and "=>" in source
