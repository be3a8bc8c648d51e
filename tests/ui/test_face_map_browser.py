"""The face map as a person uses it, in a headless Chromium, bound to sliders of Gradio."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from itertools import combinations
from pathlib import Path

import pytest

from faces import vocabulary
from faces.head.expression import PROTOTYPES
from faces.head.spec import unit_columns
from tests.ui.chromium import CHROMIUM, MISSING, SHIFT, Chromium
from ui.evaluation.serving import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"),
]
STRONGEST = 1.5
UNITS = {column: f"what {column} does" for column in vocabulary.UNIT_COLUMNS}
ANGER = {column: value for column, value in unit_columns(PROTOTYPES["anger"]).items() if value}
WINDOWS = {"wide": (1200, 1000, 1.0, False), "narrow": (380, 800, 2.0, True)}
LEAST = 24
"""CSS pixels: smallest target, and smallest distance between two."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        import gradio as gr

        from ui.face_map import face_map, from_sliders, to_sliders

        told = []
        with gr.Blocks(analytics_enabled=False) as app:
            with gr.Row():
                with gr.Column():
                    face = face_map(UNITS, STRONGEST, {"AU26": 0.25}, elem_id="map")
                with gr.Column():
                    to_map = gr.Button("Set the map", elem_id="to_map")
                    to_all = gr.Button("Set the sliders", elem_id="to_all")
                    sliders = [
                        gr.Slider(
                            0, STRONGEST, 0.25 if unit == "AU26" else 0, step=0.05, label=unit,
                            elem_id=f"slider-{unit}",
                        )
                        for unit in UNITS
                    ]  # fmt: skip
            count = "(...given) => { window.%s = (window.%s || 0) + 1; }"
            for slider in sliders:
                slider.change(None, sliders, face, js=from_sliders(UNITS))
                slider.change(None, None, None, js=count % ("changes", "changes"))
            face.input(None, face, sliders, js=to_sliders(UNITS))
            face.input(None, None, None, js=count % ("inputs", "inputs"))
            face.release(told.append, face, trigger_mode="multiple", concurrency_limit=1)
            to_map.click(lambda: ANGER, None, face, show_progress="hidden")
            to_all.click(
                lambda: [ANGER.get(unit, 0) for unit in UNITS], None, sliders, show_progress="hidden"
            )
        port = free_port()
        app.launch(
            prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port, ssr_mode=False
        )
        yield f"http://127.0.0.1:{port}/", told
        app.close()


class Page:
    """The face map in a browser."""

    def __init__(self, browser, name, told):
        self.browser, self.name, self.told = browser, name, told

    def settle(self):
        """Wait until the page is there and nothing in it moves any more."""
        self.browser.wait_for(f"document.querySelectorAll('#map .handle').length === {len(UNITS)}")
        self.browser.wait_for(f"document.querySelectorAll('[id^=slider-] input').length >= {len(UNITS)}")
        places = [None] * 5
        while len(set(places)) > 1 or places[0] is None:
            places = [*places[1:], tuple(self.at("AU17"))]
            time.sleep(0.1)

    def at(self, unit):
        """Where a handle is, in the window."""
        return self.browser.evaluate(
            f"(() => {{ const b = document.querySelector('#map .handle[data-unit={unit}] .hit')"
            ".getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2] })()"
        )

    def pull(self, unit, up):
        """Drag a handle so many pixels up."""
        x, y = self.at(unit)
        self.browser.drag((x, y), (x, y - up))

    def handle(self, unit, attribute):
        return self.browser.evaluate(
            f"document.querySelector('#map .handle[data-unit={unit}]').getAttribute('{attribute}')"
        )

    def value(self, unit):
        return float(self.handle(unit, "aria-valuenow"))

    def slider(self, unit):
        return float(
            self.browser.evaluate(f"document.querySelector('#slider-{unit} input[type=number]').value")
        )

    def both(self, **values):
        """Wait until handles and sliders of these units agree on these values."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            seen = {unit: (self.value(unit), self.slider(unit)) for unit in values}
            if seen == {unit: (value, value) for unit, value in values.items()}:
                return
            time.sleep(0.05)
        self.keep("failed")
        raise AssertionError(f"handles and sliders: {seen}, expected {values}")

    def set_slider(self, unit, value):
        self.browser.evaluate(
            f"(() => {{ const i = document.querySelector('#slider-{unit} input[type=range]'); i.value = {value};"
            " i.dispatchEvent(new Event('input', { bubbles: true })) })()"
        )

    def drawn(self, part):
        return self.browser.evaluate(
            f"[...document.querySelectorAll('#map [data-part={part}]')].map((x) => x.getAttribute('d')).join()"
        )

    def tint(self, unit):
        """How much of a muscle is seen."""
        return self.browser.evaluate(
            f"(() => {{ const m = document.querySelector('#map .muscle[data-unit={unit}]');"
            " return m.getAttribute('visibility') === 'visible' ? Number(m.getAttribute('opacity')) : 0 })()"
        )

    def count(self, name):
        return self.browser.evaluate(f"window.{name} || 0")

    def press(self, selector):
        self.browser.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def keep(self, name):
        """Screenshots are for people; a folder in MIEN_SCREENSHOTS gets them."""
        if folder := os.environ.get("MIEN_SCREENSHOTS"):
            time.sleep(0.4)
            self.browser.screenshot(Path(folder) / f"face_map_{self.name}_{name}.png")


@pytest.fixture(params=WINDOWS)
def page(request, address, tmp_path):
    url, told = address
    told.clear()
    with Chromium(tmp_path / "chromium") as browser:
        browser.resize(*WINDOWS[request.param])
        browser.dark(request.param == "narrow")
        browser.navigate(url)
        page = Page(browser, request.param, told)
        page.settle()
        yield page
        assert browser.complaints() == []
        hosts = {x.split("/")[2] for x in browser.requests() if not x.startswith(("data:", "blob:"))}
        assert hosts == {url.split("/")[2]}


def test_sliders_move_the_face_and_tint_its_muscles(page):
    assert page.value("AU26") == 0.25 and page.tint("AU26L") == page.tint("AU26R") > 0
    for unit, part, muscle, other in (
        ("AU12L", "upper_lip", "AU12L", "AU12R"), ("AU1R", "brow", "AU1R", "AU1L"),
        ("AU43L", "lid", "AU43L", "AU43R"),
    ):  # fmt: skip
        before = page.drawn(part)
        page.set_slider(unit, 0.8)
        page.both(**{unit: 0.8})
        assert page.drawn(part) != before
        assert page.tint(muscle) == pytest.approx(0.8 / STRONGEST, abs=0.001) and page.tint(other) == 0
        page.set_slider(unit, 0)
        page.both(**{unit: 0})
        assert page.drawn(part) == before and page.tint(muscle) == 0
    page.set_slider("AU9", 1.5)
    page.both(AU9=1.5)
    assert page.tint("AU9L") == page.tint("AU9R") == 1
    page.keep("nose")
    assert page.count("inputs") == 0 and page.told == []


def test_dragging_a_handle_moves_its_slider(page):
    page.pull("AU17", 64)
    page.both(AU17=0.8)
    assert "AU17 what AU17 does: 0.80" in page.browser.evaluate(
        "document.querySelector('#map .status').textContent"
    )
    assert page.handle("AU17", "aria-valuetext") == "0.80"
    page.pull("AU17", -20)
    page.both(AU17=0.55)
    page.pull("AU17", 300)
    page.both(AU17=STRONGEST)
    page.pull("AU12R", 40)
    page.both(AU12L=0.5, AU12R=0.5)  # both sides at once
    page.press("#map .link")
    page.pull("AU12L", 40)
    page.both(AU12L=1.0, AU12R=0.5)
    page.keep("dragged")

    browser = page.browser
    browser.click(*page.at("AU17"), clicks=2)
    page.both(AU17=0, AU12L=1.0)
    time.sleep(0.5)
    browser.click(*page.at("AU12L"))  # selects
    assert "AU12L what AU12L does: 1.00" in browser.evaluate(
        "document.querySelector('#map .status').textContent"
    )
    assert browser.evaluate("document.activeElement.dataset.unit") == "AU12L"

    time.sleep(1)
    inputs, changes = page.count("inputs"), page.count("changes")
    assert len(page.told) == 6 and page.told[-1] == {"AU12L": 1.0, "AU12R": 0.5, "AU26": 0.25}
    time.sleep(1)
    assert (page.count("inputs"), page.count("changes")) == (inputs, changes)  # no loop


def test_a_fast_drag_and_the_sliders_agree_in_the_end(page):
    browser = page.browser
    x, y = page.at("AU25")
    browser.mouse("moved", x, y, held=False)
    browser.mouse("pressed", x, y)
    for step in [*range(100), *range(100, 40, -1)]:
        browser.mouse("moved", x, y - step)
    browser.mouse("released", x, y - 48)
    page.both(AU25=0.5)
    page.set_slider("AU25", 0.4)  # a value that was passed on the way
    page.both(AU25=0.4)
    time.sleep(0.5)
    page.both(AU25=0.4)


def test_the_keyboard_is_enough(page):
    browser = page.browser
    browser.evaluate("document.querySelector('#map .handle').focus()")
    browser.key("ArrowUp")
    page.both(AU1L=0.05, AU1R=0.05)
    browser.key("ArrowRight", SHIFT)
    page.both(AU1L=0.3, AU1R=0.3)
    browser.key("ArrowDown")
    browser.key("ArrowLeft")
    page.both(AU1L=0.2)
    assert page.handle("AU1L", "role") == "slider" and page.handle("AU1L", "aria-valuenow") == "0.2"
    assert (page.handle("AU1L", "aria-valuemin"), page.handle("AU1L", "aria-valuemax")) == ("0", "1.5")
    browser.key("Tab")
    assert browser.evaluate("document.activeElement.ariaLabel") == "AU1R what AU1R does"
    page.keep("keyboard")
    browser.key("Delete")
    page.both(AU1L=0, AU1R=0)
    browser.key("ArrowDown")
    for _ in range(8):
        browser.key("ArrowUp", SHIFT)
    page.both(AU1L=STRONGEST, AU1R=STRONGEST)
    for kind in ("rawKeyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key="Home", windowsVirtualKeyCode=36)
    page.both(AU1L=0, AU1R=0)


def test_what_others_set_is_shown_and_not_told(page):
    zeros = dict.fromkeys(UNITS, 0)
    page.press("#to_map")
    page.browser.wait_for("document.querySelector('#map .handle[data-unit=AU4L]').ariaValueNow === '1.3'")
    assert {unit: page.value(unit) for unit in UNITS} == zeros | ANGER
    assert page.slider("AU4L") == 0  # nobody asked the sliders to follow
    page.keep("anger")
    time.sleep(0.5)
    assert page.count("inputs") == 0 and page.told == []

    page.press("#to_all")
    page.both(**(zeros | ANGER))
    page.pull("AU24", -40)
    page.both(**(zeros | ANGER | {"AU24": 0.2}))
    time.sleep(0.5)
    assert page.told == [ANGER | {"AU24": 0.2}]


def test_handles_keep_apart_in_every_expression(page):
    widest = dict.fromkeys(UNITS, STRONGEST)
    faces = [{}, widest, {"AU26": STRONGEST}] + [unit_columns(units) for units in PROTOTYPES.values()]
    width = page.browser.evaluate("document.documentElement.scrollWidth")
    assert width <= WINDOWS[page.name][0]
    for values in faces:
        for unit in UNITS:
            if page.slider(unit) != values.get(unit, 0):
                page.set_slider(unit, values.get(unit, 0))
        page.both(**{unit: values.get(unit, 0) for unit in UNITS})
        places = page.browser.evaluate(
            "[...document.querySelectorAll('#map .hit')].map((x) => x.getBoundingClientRect())"
            ".map((b) => [b.left + b.width / 2, b.top + b.height / 2, b.width, b.height])"
        )
        assert min(min(place[2:]) for place in places) >= LEAST
        nearest = min(
            ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5
            for one, other in combinations(places, 2)
        )
        assert nearest >= LEAST


def test_no_face_has_a_hole_in_its_lines(page):
    """Random faces, sides apart: every path is made of numbers, and no lip or lid crosses the other."""
    static = Path(__file__).parents[2] / "ui" / "static"
    scripts = "\n".join((static / f"face_map_{name}.js").read_text() for name in ("shape", "muscles"))
    probe = """
      let seed = 7;
      const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
      const wrong = [];
      for (let round = 0; round < 400; round += 1) {
        const values = {};
        for (const unit of UNITS) for (const side of SIDES) if (random() < 0.4) values[unit + side] = 1.5 * random();
        for (const unit of [9, 10, 15, 16, 17, 18, 20, 22, 24, 25, 26, 38]) {
          const value = random() < 0.4 ? 1.5 * random() : 0;
          for (const side of SIDES) values[`AU${unit}${side}`] = value;
        }
        const { paths, seen, muscles } = faceOf(values);
        const all = [...Object.values(paths).flat(), ...muscles.flatMap((half) => Object.values(half).flat())];
        if (all.some((path) => !/^M/.test(path) || /NaN|undefined|Infinity/.test(path))) wrong.push(values);
        if (Object.values(seen).flat().some((share) => !(share >= 0 && share <= 1))) wrong.push(values);
        const u = unitsOf(values, SIDES[0]);
        const [mouth, eye] = [mouthOf(u, u), eyeOf(u, browOf(u))];
        const below = (edge, other) => edge.every(([, y], index) => y <= other[index][1] + 0.5);
        const edges = [mouth.top, mouth.upperEdge, mouth.lowerEdge, mouth.bottom];
        if (edges.slice(1).some((edge, index) => !below(edges[index], edge))) wrong.push(values);
        if (!below(eye.crease.slice(0, 3), eye.lid.slice(1, 4)) || !below(eye.lid, eye.lower)) wrong.push(values);
      }
      return wrong;
    """
    source = json.dumps(f"{scripts}\n{probe}")
    assert page.browser.evaluate(f"new Function({source})()") == []


def test_fingers_pull_too(page):
    if page.name != "narrow":
        pytest.skip("a mouse is used in wide windows")
    browser = page.browser
    x, y = page.at("AU12L")
    browser.touch((x, y), (x, y - 20), (x, y - 40), (x, y - 64))
    page.both(AU12L=0.8, AU12R=0.8)
    assert browser.evaluate("window.scrollY") == 0  # the page stayed where it was
    page.keep("touched")
    for _ in range(2):
        browser.touch(tuple(page.at("AU12L")))
    page.both(AU12L=0, AU12R=0)
