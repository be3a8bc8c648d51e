"""The canvas of the Drag tab as a person uses it, in a headless Chromium: what is drawn arrives in Python."""

from __future__ import annotations

import importlib.util
import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from tests.ui.chromium import CHROMIUM, CONTROL, MISSING, SHIFT, Chromium
from ui.evaluation.serving import free_port

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
    pytest.mark.skipif(importlib.util.find_spec("gradio") is None, reason="Gradio is not installed"),
]
SIZE = (400, 300)
WINDOWS = {"wide": (1200, 1000, 1.0, False), "narrow": (380, 800, 2.0, True)}


def photo():
    """Hills of colour: something to see arrows on."""
    y, x = np.mgrid[: SIZE[1], : SIZE[0]] / 60
    return np.stack([150 + 60 * np.sin(x), 130 + 50 * np.cos(y), 120 + 40 * np.sin(x + y)], -1).astype(
        np.uint8
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        import gradio as gr

        from ui.canvas import CanvasState, canvas_update, drag_canvas, from_table, to_table

        def shown(value):
            state = CanvasState.parse(value)
            time.sleep(0.2)
            calls.append(state)
            facts = state.to_json() | {"mask": state.mask and float(state.mask_array().mean())}
            return facts | {"calls": len(calls)}, to_table(state), value

        calls = []
        with gr.Blocks(analytics_enabled=False) as app:
            canvas = drag_canvas(photo(), elem_id="canvas")
            table = gr.Textbox("[[10, 20, 30, 40], [50, 60, null, null]]", label="Table", elem_id="table")
            with gr.Row():
                from_python = gr.Button("From the table", elem_id="from_python")
                with_flow = gr.Button("Show a flow", elem_id="with_flow")
                other = gr.Button("Another photograph", elem_id="other")
            seen = gr.JSON(elem_id="seen")
            rows = gr.JSON(visible=False)
            # An echo must not loop, and a late one not undo what was drawn since.
            canvas.input(
                shown, canvas, [seen, rows, canvas], show_progress="hidden", trigger_mode="always_last"
            )
            from_python.click(
                lambda text: from_table(json.loads(text), SIZE).to_json(),
                table,
                canvas,
                show_progress="hidden",
            )
            with_flow.click(
                lambda value: canvas_update(photo(), CanvasState.parse(value), 255 - photo()), canvas, canvas
            )
            other.click(lambda: canvas_update(photo()[:, :200]), None, canvas)
        port = free_port()
        app.launch(
            prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=port, ssr_mode=False
        )
        yield f"http://127.0.0.1:{port}/", calls
        app.close()


class Page:
    """The canvas in a browser, in pixels of the photograph."""

    def __init__(self, browser, calls):
        self.browser, self.calls = browser, calls

    def at(self, x, y):
        box = self.browser.evaluate(
            "(() => { const b = document.querySelector('#canvas .points').getBoundingClientRect();"
            " return [b.left, b.top, b.width, b.height] })()"
        )
        return box[0] + x / SIZE[0] * box[2], box[1] + y / SIZE[1] * box[3]

    def settle(self):
        """Wait until the page is there and nothing in it moves any more."""
        self.browser.wait_for("document.querySelector('#canvas img.photo')?.naturalWidth > 0")
        self.browser.wait_for("document.querySelector('#seen') !== null")
        places = [None] * 5
        while len(set(places)) > 1 or places[0] is None:
            places = [*places[1:], self.at(0, 0) + self.at(*SIZE)]
            time.sleep(0.1)

    def press(self, selector):
        self.browser.evaluate(f"document.querySelector({json.dumps(selector)}).click()")

    def state(self, holds):
        """What Python was told last, once that holds."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if self.calls and holds(self.calls[-1]):
                return self.calls[-1]
            time.sleep(0.05)
        self.keep("failed")
        raise AssertionError(f"last told: {self.calls[-1] if self.calls else None}")

    def drags(self, count):
        return self.state(lambda s: len(s.drags) == count)

    def keep(self, name):
        """Screenshots are for people; a folder in MIEN_SCREENSHOTS gets them."""
        if folder := os.environ.get("MIEN_SCREENSHOTS"):
            time.sleep(0.4)
            self.browser.screenshot(Path(folder) / f"{name}.png")


@pytest.fixture(params=WINDOWS)
def page(request, address, tmp_path):
    url, calls = address
    calls.clear()
    with Chromium(tmp_path / "chromium") as browser:
        browser.resize(*WINDOWS[request.param])
        browser.dark(request.param == "narrow")
        browser.navigate(url)
        page = Page(browser, calls)
        page.name = request.param
        page.settle()
        yield page
        assert browser.complaints() == []
        hosts = {x.split("/")[2] for x in browser.requests() if not x.startswith(("data:", "blob:"))}
        assert hosts == {url.split("/")[2]}


def pixels(shares):
    return np.array(shares).reshape(-1, 2) * SIZE


def test_what_is_drawn_arrives(page):
    browser = page.browser
    browser.drag(page.at(100, 100), page.at(180, 60))
    drawn = page.drags(1)
    assert np.allclose(pixels(drawn.drags), [[100, 100], [180, 60]], atol=1.2)
    assert drawn.size == SIZE and drawn.mask is None

    browser.drag(page.at(180, 60), page.at(220, 140))  # its tip
    moved = page.state(lambda s: s.drags != drawn.drags)
    assert np.allclose(pixels(moved.drags), [[100, 100], [220, 140]], atol=1.5)
    browser.drag(page.at(100, 100), page.at(80, 90))  # its start
    moved = page.state(lambda s: s.drags != moved.drags)
    assert np.allclose(pixels(moved.drags), [[80, 90], [220, 140]], atol=2)

    browser.drag(page.at(300, 200), page.at(300, 260))
    page.drags(2)
    browser.click(*page.at(320, 80), clicks=2)
    pinned = page.state(lambda s: s.pins)
    assert np.allclose(pixels(pinned.pins), [[320, 80]], atol=1.2) and len(pinned.drags) == 2

    page.press("[data-tool=brush]")
    browser.drag(page.at(60, 60), page.at(240, 60), page.at(240, 150), page.at(80, 150))
    painted = page.state(lambda s: s.mask)
    assert painted.mask_array()[58, 150] and not painted.mask_array()[280, 20]
    page.keep(f"{page.name}_drawn")
    page.press("[data-tool=eraser]")
    browser.drag(page.at(130, 60), page.at(170, 60))
    erased = page.state(lambda s: s.mask and s.mask != painted.mask)
    assert not erased.mask_array()[60, 150] and erased.mask_array()[60, 70]

    page.press("[data-tool=arrow]")
    browser.click(*page.at(300, 260))
    page.keep(f"{page.name}_chosen")
    browser.key("Delete")
    assert page.drags(1).drags == moved.drags
    browser.click(*page.at(320, 80), clicks=2)
    page.state(lambda s: not s.pins)
    for _ in range(2):
        browser.key("z", CONTROL)
    undone = page.state(lambda s: s.pins and len(s.drags) == 2)
    browser.key("z", CONTROL | SHIFT)
    page.drags(1)
    page.press("[data-act=undo]")
    assert page.drags(2).drags == undone.drags
    page.press("[data-act=clear]")
    cleared = page.state(lambda s: not s.drags)
    assert not cleared.pins and cleared.mask is None
    page.press("[data-act=undo]")
    assert page.drags(2).mask == erased.mask


def test_the_keyboard_is_enough(page):
    browser = page.browser
    browser.evaluate("document.querySelector('#canvas .points').focus()")
    browser.key("Enter")
    drawn = page.drags(1)
    assert drawn.drags[0][:2] == (0.5, 0.5)
    browser.key("ArrowRight")
    browser.key("ArrowDown", SHIFT)
    moved = page.state(lambda s: s.drags != drawn.drags and s.drags[0][3] > 0.51)
    assert np.allclose(pixels(moved.drags)[1] - pixels(drawn.drags)[1], [1, 10])
    assert moved.drags[0][:2] == (0.5, 0.5)
    page.keep(f"{page.name}_keyboard")
    browser.key("Tab", SHIFT)
    assert "Arrow 1, start: 199.5, 149.5" in browser.evaluate("document.activeElement.ariaLabel")
    browser.key("ArrowLeft")
    page.state(lambda s: np.allclose(pixels(s.drags)[0], [199, 150]))
    browser.key("Escape")
    assert browser.evaluate("document.activeElement.classList.contains('points')")
    assert browser.evaluate("document.querySelector('#canvas .chosen') === null")
    browser.key("p")
    page.state(lambda s: s.pins == ((0.5, 0.5),))
    browser.key("Backspace")
    assert len(page.state(lambda s: not s.pins).drags) == 1


def test_python_changes_it_without_a_loop(page):
    browser = page.browser
    browser.drag(page.at(100, 100), page.at(180, 60))
    page.drags(1)
    page.press("#from_python")
    browser.wait_for("document.querySelectorAll('#canvas .pin').length === 1")
    told = len(page.calls)
    browser.drag(page.at(200, 200), page.at(240, 240))
    both = page.drags(2)
    assert np.allclose(pixels(both.drags)[:2], [[10.5, 20.5], [30.5, 40.5]])
    assert np.allclose(pixels(both.pins), [[50.5, 60.5]])
    page.press("#with_flow")
    browser.wait_for("document.querySelector('#canvas img.flow').hidden === false")
    browser.wait_for("document.querySelector('#canvas img.flow').naturalWidth === 400")
    page.keep(f"{page.name}_flow")
    page.press("[data-layer=flow]")
    assert page.state(lambda s: not s.show_flow).drags == both.drags
    assert browser.evaluate("document.querySelector('#canvas img.flow').hidden")
    time.sleep(1)
    assert len(page.calls) == told + 2  # the arrow and the toggle: Python's own changes are not told

    page.press("#other")
    browser.wait_for("document.querySelectorAll('#canvas .arrow').length === 0")
    ratio = browser.wait_for(
        "(() => { const p = document.querySelector('#canvas img.photo'); const s = p.getBoundingClientRect();"
        " return p.naturalWidth === 200 && s.width / s.height })()"
    )
    assert abs(ratio - 200 / 300) < 0.02


def test_a_late_answer_undoes_nothing(page):
    browser = page.browser
    for x in (60, 160, 260, 360):
        browser.drag(page.at(x, 100), page.at(x, 200))
    page.drags(4)
    time.sleep(1)
    assert browser.evaluate("document.querySelectorAll('#canvas .arrow').length") == 4
    page.press("[data-act=undo]")
    page.drags(3)
    browser.wait_for("document.querySelector('#seen').textContent.includes('drags')")


def test_fingers_draw_too(page):
    if page.name != "narrow":
        pytest.skip("a mouse is used in wide windows")
    browser = page.browser
    browser.touch(page.at(100, 100), page.at(140, 120), page.at(180, 160))
    assert np.allclose(pixels(page.drags(1).drags), [[100, 100], [180, 160]], atol=1.5)
    for _ in range(2):
        browser.touch(page.at(300, 80))
    assert np.allclose(pixels(page.state(lambda s: s.pins).pins), [[300, 80]], atol=1.5)
    width = browser.evaluate("document.documentElement.scrollWidth")
    assert width <= 380
