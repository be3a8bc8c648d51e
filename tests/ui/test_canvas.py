"""What a canvas sends, refuses and becomes: JSON, a table, clicks, and the places that DragPipeline takes."""

from __future__ import annotations

import base64
import io
import json
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipelines.drag.drags import Drags
from ui.canvas_state import (
    MAX_DRAGS,
    MAX_MASK_CHARACTERS,
    CanvasState,
    clicked,
    from_table,
    from_text,
    mask_url,
    to_table,
    to_text,
)

SIZE = (400, 300)
SHARES = st.floats(0, 1)
STATES = st.builds(
    lambda drags, pins, size, start, flow: CanvasState(
        drags=tuple(drags), pins=tuple(pins), size=size, start=start, show_flow=flow
    ),
    st.lists(st.tuples(*[SHARES] * 4), max_size=6),
    st.lists(st.tuples(SHARES, SHARES), max_size=4),
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)),
    st.none() | st.tuples(SHARES, SHARES),
    st.booleans(),
)


def png(size, colour=255, mode="L", form="PNG"):
    file = io.BytesIO()
    Image.new(mode, size, colour).save(file, form)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def half_mask():
    mask = np.zeros((SIZE[1], SIZE[0]), bool)
    mask[:, :200] = True
    return mask


@given(STATES)
def test_what_is_sent_is_read_again(state):
    assert CanvasState.parse(json.loads(json.dumps(state.to_json()))) == state


@given(STATES)
def test_a_table_says_the_same_to_a_hundredth_of_a_pixel(state):
    rows = to_table(state)
    again = from_table(rows, state.size)
    assert to_table(again) == rows and [len(row) for row in rows] == [4] * len(rows)
    for one, other in zip(state.places(), again.places(), strict=True):
        assert one.shape == other.shape and np.allclose(one, other, atol=0.0051)


@given(STATES)
def test_places_are_those_of_the_pipeline(state):
    drags, pins = state.places()
    assert np.allclose(drags.reshape(-1, 4), np.array(state.drags).reshape(-1, 4) * (state.size * 2))
    again = CanvasState.at_places(drags, pins, state.size)
    assert np.allclose(np.array(again.drags), np.array(state.drags))
    assert np.allclose(np.array(again.pins), np.array(state.pins))


@settings(max_examples=60)
@example((197, 0), (201, 0))
@given(
    st.tuples(st.integers(0, 399), st.integers(0, 299)), st.tuples(st.integers(0, 399), st.integers(0, 299))
)
def test_two_clicks_make_an_arrow_or_a_pin(first, second):
    once = clicked(CanvasState(size=SIZE), *first)
    assert once.start and not once.drags and not once.pins
    twice = clicked(CanvasState.parse(once.to_json()), *second)
    assert twice.start is None
    if math.dist(first, second) <= 4:
        assert to_table(twice) == [[*first, None, None]]
    else:
        assert to_table(twice) == [[*first, *second]]


def test_pixels_of_a_table_are_places_a_half_further():
    state = from_table([[310, 20, 310, 50], [250, 200, None, None]], SIZE)
    drags, pins = state.places()
    assert np.allclose(drags, [[[310.5, 20.5], [310.5, 50.5]]]) and np.allclose(pins, [[250.5, 200.5]])
    drags = Drags.of(**state.given(SIZE), size=SIZE)
    assert drags.source_pixels.tolist() == [[310, 20]]


def test_corners_of_the_photograph_are_accepted_by_the_pipeline():
    state = CanvasState.parse({"drags": [[0, 0, 1 + 1e-7, 1], [1, 1, -1e-7, 0]], "size": [33, 77]})
    assert state.drags[0][2] == 1.0 and state.drags[1][2] == 0.0
    assert len(Drags.of(**state.given((33, 77)), size=(33, 77)).sources) == 2


def test_a_mask_comes_back_in_the_size_of_the_photograph():
    for size in (SIZE, (3000, 2250)):
        mask = np.zeros((size[1], size[0]), bool)
        mask[:, : size[0] // 2] = True
        state = CanvasState.at_places([[[10, 10], [20, 20]]], [], size, mask)
        again = state.mask_array()
        assert again.dtype == bool and again.shape == mask.shape and (again != mask).mean() < 0.01
    assert len(state.mask) < 10_000
    assert CanvasState.parse({"size": [10, 10], "mask": png((10, 10), 0)}).mask_array().sum() == 0
    clear = CanvasState.parse({"size": [10, 10], "mask": png((10, 10), (255, 255, 255, 0), "RGBA")})
    assert not clear.mask_array().any()
    assert CanvasState(size=SIZE).mask_array() is None


def test_a_table_keeps_mask_and_layers_of_the_same_photograph():
    kept = CanvasState(size=SIZE, mask=mask_url(half_mask()), show_mask=False, start=(0.1, 0.1))
    made = from_table([[1, 2, 3, 4]], SIZE, kept)
    assert made.mask == kept.mask and not made.show_mask and made.start is None
    assert from_table([[1, 2, 3, 4]], (50, 50), kept).mask is None


def test_a_table_may_hold_text_gaps_and_empty_rows():
    rows = [["1", " 2.5", 3, "4"], [None, "", math.nan, None], [5, 6, "", math.nan], []]
    assert to_table(from_table(rows, SIZE)) == [[1, 2.5, 3, 4], [5, 6, None, None]]
    assert from_table(np.array([[1, 2, 3, 4]]), SIZE).drags == from_table([[1, 2, 3, 4]], SIZE).drags


def test_nothing_is_an_empty_canvas():
    assert CanvasState.parse(None) == CanvasState.parse({}) == CanvasState()
    assert to_table(CanvasState()) == [] and from_table([], SIZE) == CanvasState(size=SIZE)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "canvas: a str, expected an object with drags, pins and size"),
        ([], "canvas: a list, expected an object"),
        ({"arrows": []}, "canvas: unknown entry 'arrows'; known are drags, mask"),
        ({"drags": None}, "drags: nothing, expected a list"),
        ({"drags": "0 0 1 1"}, "drags: a str, expected a list"),
        ({"drags": [[0, 0, 1, 1]] * (MAX_DRAGS + 1)}, "drags: 201 given, 200 at most"),
        ({"pins": [[0, 0]] * 201}, "pins: 201 given, 200 at most"),
        ({"drags": [[0, 0, 1]]}, "arrow: expected 4 finite numbers"),
        ({"drags": [5]}, "arrow: expected 4 finite numbers"),
        ({"drags": [[0, 0, 1, "1"]]}, "arrow: expected 4 finite numbers"),
        ({"drags": [[0, 0, 1, True]]}, "arrow: expected 4 finite numbers"),
        ({"drags": [[0, 0, 1, None]]}, "arrow: expected 4 finite numbers"),
        ({"drags": [[0, 0, 1, math.nan]]}, "arrow: expected 4 finite numbers"),
        ({"pins": [[math.inf, 0]]}, "pin: expected 2 finite numbers"),
        ({"pins": [[-math.inf, 0]]}, "pin: expected 2 finite numbers"),
        ({"pins": [[10**400, 0]]}, "pin: expected 2 finite numbers"),
        ({"pins": [[1.00001, 0]]}, r"pin: 1.00001 lies outside the photograph; expected shares, 0..1"),
        ({"drags": [[-0.1, 0, 0, 0]]}, "arrow: -0.1 lies outside"),
        ({"start": [0.5]}, "start: expected 2 finite numbers"),
        ({"size": [0, 10]}, "size: expected width and height in whole pixels"),
        ({"size": [10.0, 10]}, "size: expected width and height in whole pixels"),
        ({"size": [10, 10, 3]}, "size: expected width and height"),
        ({"size": [10**6, 10]}, r"size: expected width and height in whole pixels, 1..100000"),
        ({"size": None, "pins": [[0, 0]]}, "size: none given; points need"),
        ({"size": None, "mask": png((4, 3))}, "size: none given"),
        ({"show": {"flow": 1}}, "show: expected true or false"),
        ({"show": {"all": True}}, "show: expected true or false"),
        ({"show": [1]}, "show: expected true or false"),
        ({"mask": 3}, "mask: expected a PNG as a data URL"),
        ({"mask": "http://example.org/mask.png"}, "mask: expected a PNG as a data URL"),
        ({"mask": "data:image/png;base64,!!!"}, "mask: not a PNG that can be read"),
        ({"mask": "data:image/png;base64,AAAA"}, "mask: not a PNG that can be read"),
        ({"mask": png((40, 30))[:-40]}, "mask: not a PNG that can be read"),
        ({"mask": png((40, 30), form="BMP")}, "mask: not a PNG that can be read"),
        ({"mask": png((30, 40))}, "mask: 30 x 40 pixels do not have the shape of 400 x 300"),
        ({"mask": png((4000, 3000))}, "mask: 4000 x 3000 pixels, 2048 at most"),
        ({"mask": "data:image/png;base64," + "A" * MAX_MASK_CHARACTERS}, "mask: .* characters, .* at most"),
    ],
)
def test_what_is_malformed_is_refused_in_words(value, message):
    if isinstance(value, dict):
        value = {"size": list(SIZE)} | value
    with pytest.raises(ValueError, match=message):
        CanvasState.parse(value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[1, 2, 3, None]], "row 1: 3 of 4 numbers; an arrow needs all of from x, from y, to x, to y"),
        ([[], [None, None, 3, 4]], "row 2: 2 of 4 numbers"),
        ([[1, 2]], "row 1: 2 of 4 numbers"),
        ([[1, "two", 3, 4]], "row 1: 'two' is not a number"),
        ([[1, math.inf, 3, 4]], "row 1: inf is not a number of pixels"),
        ([[True, 1, 3, 4]], "row 1: True is not a number"),
        ([[1, 2, 3, 300]], "row 1: to y is 300, outside the photograph; expected 0..299"),
        ([[-1, 2, 3, 4]], "row 1: from x is -1, outside the photograph; expected 0..399"),
    ],
)
def test_tables_that_cannot_be_meant_are_refused_by_row(rows, message):
    with pytest.raises(ValueError, match=message):
        from_table(rows, SIZE)


def test_clicks_outside_or_on_nothing_are_refused():
    with pytest.raises(ValueError, match="no photograph yet"):
        clicked(CanvasState(), 1, 1)
    for place in ((400, 1), (-1, 1), (1, math.nan)):
        with pytest.raises(ValueError, match="outside the photograph of 400 x 300 pixels"):
            clicked(CanvasState(size=SIZE), *place)
    full = CanvasState(size=SIZE, drags=((0.0, 0.0, 1.0, 1.0),) * MAX_DRAGS, start=(0.0, 0.0))
    with pytest.raises(ValueError, match="drags: 201 given, 200 at most"):
        clicked(full, 399, 299)


def test_what_cannot_be_run_is_said_before():
    drawn = CanvasState.at_places([[[10, 10], [20, 20]]], [[5, 5]], SIZE, half_mask())
    made = drawn.given(SIZE)
    assert set(made) == {"drags", "pins", "mask"} and made["mask"].shape == (300, 400)
    for state, size, message in (
        (CanvasState(size=SIZE), SIZE, "no arrow yet"),
        (clicked(drawn, 5, 5), SIZE, "the last arrow has no end yet"),
        (drawn, (300, 400), "drawn on a photograph of 400 x 300 pixels, this one has 300 x 400"),
    ):
        with pytest.raises(ValueError, match=message):
            state.given(size)


def test_the_component_holds_its_scripts_and_an_update_all_properties():
    pytest.importorskip("gradio")
    from ui.canvas import canvas_update, drag_canvas

    photo = np.zeros((300, 2000, 3), np.uint8)
    state = CanvasState.at_places([[[10, 10], [20, 20]]], [], (2000, 300))
    made = drag_canvas(photo, state)
    assert made.value == state.to_json() and made.props["picture"].startswith("data:image/jpeg;base64,")
    update = canvas_update(photo, state, photo)
    assert set(update) == {"__type__", "value", "picture", "overlay"}
    assert update["value"] == state.to_json()
    assert canvas_update(None)["picture"] == ""
    with pytest.raises(ValueError, match="state: drawn on"):
        canvas_update(photo, CanvasState(size=SIZE))

    # Handlebars and a JavaScript template literal read these two.
    assert not any(mark in made.html_template + made.css_template for mark in ("{{", "}}", "`", "${", "\\"))
    namespace = "http://www.w3.org/2000/svg"  # a name, nothing is asked of it
    text = made.html_template + made.css_template + made.js_on_load.replace(namespace, "")
    assert not any(mark in text for mark in ("http:", "https:", "@import", "url(", "fetch("))
    for name in ("picture", "overlay"):
        assert not hasattr(made, name)  # Gradio would put an event listener into the update


def test_arrows_as_json_come_back_and_fit_another_photograph():
    state = CanvasState.at_places([((10.5, 10.5), (20.5, 12.5))], [(30.5, 30.5)], (96, 64))
    assert from_text(to_text(state), (96, 64)) == state
    larger = from_text(to_text(state), (192, 128))
    assert np.allclose(larger.places()[0], state.places()[0] * 2) and larger.size == (192, 128)


def test_arrows_as_json_keep_the_mask_of_their_photograph_alone():
    mask = np.zeros((64, 96), bool)
    mask[:, 40:] = True
    painted = CanvasState.at_places([((10.5, 10.5), (20.5, 12.5))], [], (96, 64), mask)
    assert "mask" not in to_text(painted)
    assert np.array_equal(from_text('{"drags": []}', (96, 64), kept=painted).mask_array(), mask)
    assert from_text('{"drags": []}', (64, 64), kept=painted).mask is None
    clicking = CanvasState(size=(96, 64), start=(0.5, 0.5))
    assert from_text('{"pins": [[0.1, 0.1]]}', (96, 64), kept=clicking).start is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "arrows as JSON: cannot be read"), ("{'drags': []}", "arrows as JSON: cannot be read"),
        ("[" * 100_000, "arrows as JSON: cannot be read"), ("[1, 2]", "arrows as JSON: a list"),
        ('{"drags": [[0.1, 0.1, 0.2]]}', "arrow: expected 4"), ('{"drags": [[0.1, 0.1, 7, 0.2]]}', "outside"),
        ('{"arrows": []}', "unknown entry 'arrows'"), ('{"drags": [[NaN, 0.1, 0.1, 0.2]]}', "arrow: expected 4"),
    ],
)  # fmt: skip
def test_json_that_is_none_is_named(text, message):
    with pytest.raises(ValueError, match=message):
        from_text(text, (96, 64))
