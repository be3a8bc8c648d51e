"""Every tab of the real page, with the bundled model, as a person uses it in a headless Chromium.

MIEN_SCREENSHOTS=docs/images pytest -m slow tests/ui/test_page_browser.py     also takes the documentation's pictures
"""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from PIL import Image

from faces import examples, provenance
from tests.ui.chromium import CHROMIUM, MISSING, Chromium
from tests.ui.page_driver import Page, picture
from ui.evaluation import serving
from ui.uploads import CONSENT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=MISSING),
]
TASKS = {
    "portrait": "Portrait",
    "expression": "Expression",
    "makeup": "Makeup",
    "drag": "Drag",
    "texture": "Texture",
}
INTERACTIVE, FIRST_PORTRAIT = 5.0, 15.0
"""Seconds, the bars of the page."""
SLACK = 2.0
"""Factor on them here: tests run beside others; `mien evaluate page` measures the bars themselves."""


@pytest.fixture(scope="module")
def server():
    with serving.app("mini", None) as server:
        yield f"{server.address}/", server.seconds
        server.process.terminate()
        server.process.wait(30)
        assert not serving.files(server.folder), "the page took its files along"


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("chromium"), 1280, 900) as chromium:
        page = Page(chromium, server[0])
        page.open()
        yield page
        # Gradio's viewer tries WebGPU first, which a machine without a GPU lacks, and says so.
        assert [line for line in chromium.complaints() if "WebGPU" not in line] == []
        others = {
            address for address in chromium.requests()
            if not address.startswith((server[0], "data:", "blob:", "about:"))
        }  # fmt: skip
        assert not others, "nothing is fetched from elsewhere"


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "me.png"
    Image.open(examples.heads()[4]).convert("RGB").save(path)
    return path


def is_picture(pixels):
    return pixels.std() > 15 and len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


def give(page, task, photo):
    """Upload a photograph in a tab, with consent."""
    page.tab(TASKS[task])
    page.consent(task)
    before = page.source(f"#{task}-photo")
    page.chromium.upload(f"#{task}-photo input[type=file]", photo)
    page.next_picture(f"#{task}-photo", before)
    return picture(photo.read_bytes())


def test_the_first_portrait_comes_soon(server, page, photo):
    page.tab("Portrait")
    panel = "document.querySelector('#portrait-run').closest('[role=tabpanel]')"
    assert CONSENT[:40] in page.evaluate(f"{panel}.innerText")
    page.chromium.upload("#portrait-photos input[type=file]", photo)
    page.wait_for(f"{panel}.innerText.includes('me.png') || {panel}.innerText.includes('me')")
    page.click("#portrait-run")
    page.hears("consent")
    page.consent("portrait")
    begun = time.monotonic()
    made = page.run("portrait")
    seconds = time.monotonic() - begun
    assert is_picture(made) and server[1] < INTERACTIVE * SLACK and seconds < FIRST_PORTRAIT * SLACK
    assert (
        page.evaluate("getComputedStyle(document.querySelector('#portrait-result'), '::after').content")
        == '"synthetic"'
    )
    page.screenshot("portrait")


def test_a_file_that_is_downloaded_says_how_it_was_made(page, tmp_path):
    file = tmp_path / "portrait.png"
    file.write_bytes(page.bytes_of(page.source("#portrait-result")))
    record = provenance.read(file)
    assert record.pipeline == "PortraitPipeline" and record.seed == 0 and record.steps == 20
    assert record.digital_source_type == "trainedAlgorithmicMedia" and len(record.model_sha256) == 64


def test_units_move_the_map_and_the_preview(page, photo):
    given = give(page, "expression", photo)
    page.wait_for("!!document.querySelector('#face-map svg')")
    page.evaluate(
        "[...document.querySelectorAll('button')].find(x => x.innerText.includes('as sliders')).click()"
    )
    page.wait_for("!!document.querySelector('#slider-AU12L input[type=range]')")
    drawn = page.evaluate("document.querySelector('#face-map svg').innerHTML")
    for unit, value in (("AU12L", 1.0), ("AU12R", 1.0), ("AU25", 0.9)):
        page.set_range(f"#slider-{unit}", value)
    page.wait_for(f"document.querySelector('#face-map svg').innerHTML != {drawn!r}")
    glance = page.next_picture("#expression-preview")
    smiling = page.run("expression")
    assert is_picture(glance) and is_picture(smiling) and smiling.shape != given.shape
    page.evaluate(
        "[...document.querySelectorAll('button')].find(x => x.innerText.includes('as sliders')).click()"
    )
    time.sleep(2)
    page.screenshot("expression")
    page.evaluate(
        "[...document.querySelectorAll('button')].find(x => x.innerText.includes('as sliders')).click()"
    )
    for unit in ("AU12L", "AU12R", "AU25"):
        page.set_range(f"#slider-{unit}", 0.0)
    for unit in ("AU1L", "AU1R", "AU15"):
        page.set_range(f"#slider-{unit}", 1.2)
    sad = page.run("expression")
    assert np.abs(sad.astype(int) - smiling).mean() > 1, "another expression is another picture"


def test_makeup_changes_the_face_and_little_else(page, photo):
    given = give(page, "makeup", photo)
    made = page.run("makeup")
    change = np.abs(made.astype(int) - given).max(axis=-1)
    assert made.shape == given.shape and (change > 25).mean() > 0.001 and (change > 8).mean() < 0.2
    page.wait_for("document.querySelectorAll('#makeup-before-after img').length == 2")
    page.screenshot("makeup")


def test_a_drag_that_is_drawn_moves_the_face(page, photo):
    given = give(page, "drag", photo)
    page.wait_for("!document.querySelector('#drag-canvas .photo').hidden && "
                  "document.querySelector('#drag-canvas .photo').naturalWidth == 256")  # fmt: skip
    x, y, width, height = page.place("#drag-canvas .points")
    page.chromium.drag((x, y + 0.2 * height), (x, y + 0.28 * height))
    page.chromium.click(x - 0.15 * width, y - 0.03 * height, 2)
    page.wait_for("document.querySelector('#drag-canvas .status').innerText.includes('Pin 1')")
    moved = page.next_picture("#drag-preview")
    page.wait_for("document.querySelector('#drag-canvas .flow').naturalWidth > 0")
    made = page.run("drag")
    for edited in (moved, made):
        change = np.abs(edited.astype(int) - given).max(axis=-1)
        assert edited.shape == given.shape and (change > 12).mean() > 0.005
        assert (change[:40] == 0).mean() > 0.95, "far from the arrow nothing moves"
    assert "The flow ends" in page.evaluate("document.querySelector('#drag-measured').innerText")
    page.screenshot("drag")


def test_arrows_can_be_made_without_drawing(page):
    page.tab("Drag")
    page.evaluate("document.querySelector('#drag-canvas [data-act=clear]').click()")
    page.wait_for("!document.querySelector('#drag-canvas .status').innerText.includes('arrow,')")
    page.evaluate(
        "[...document.querySelectorAll('button')].find(x => x.innerText.includes('Without drawing')).click()"
    )
    page.wait_for("document.querySelector('#drag-clicks img')?.naturalWidth > 0")
    x, y, width, height = page.place("#drag-clicks img")
    page.chromium.click(x, y + 0.2 * height)
    time.sleep(1.0)
    page.place("#drag-clicks img")
    page.chromium.click(x, y + 0.32 * height)
    page.wait_for("document.querySelector('#drag-canvas .status').innerText.includes('1 arrow')")
    page.wait_for("document.querySelector('#drag-table').innerText.length > 40")
    text = "document.querySelector('#drag-json textarea')"
    page.wait_for(f"JSON.parse({text}.value || '{{}}').drags?.length == 1")
    wanted = {"drags": [[0.5, 0.5, 0.5, 0.6], [0.4, 0.4, 0.4, 0.45]], "pins": [[0.2, 0.2]]}
    page.evaluate(
        f"({text}).value = {json.dumps(json.dumps(wanted))}; ({text}).dispatchEvent(new Event('input'))"
    )
    page.click("#drag-json-read")
    page.wait_for("document.querySelector('#drag-canvas .status').innerText.includes('2 arrows')")
    page.wait_for(f"{text}.value.includes('size')")


def test_a_head_comes_out_of_a_photograph(page, photo):
    give(page, "texture", photo)
    assert is_picture(page.run("texture"))
    for part in ("turntable", "seen", "origins"):
        assert page.next_picture(f"#texture-{part}").std() > 15
    page.wait_for("!!document.querySelector('#texture-head canvas')")
    time.sleep(3)
    page.screenshot("texture")


def test_results_are_run_again_to_the_byte_and_used_elsewhere(page):
    first = page.next_picture("#makeup-result")
    page.tab("Results")
    page.wait_for("document.querySelectorAll('#results .thumbnail-item').length >= 6")
    page.screenshot("results")
    captions = page.evaluate(
        "[...document.querySelectorAll('#results .thumbnail-item')].map(x => x.innerText.trim())"
    )
    page.evaluate(
        f"document.querySelectorAll('#results .thumbnail-item')[{captions.index('makeup, seed 0')}].click()"
    )
    page.wait_for("document.body.innerText.includes('\"makeup\"')")
    before = page.source("#makeup-result")
    page.click("#run-again")
    again = page.next_picture("#makeup-result", before)
    assert np.array_equal(first, again) and page.open_tab() == "Makeup"
    shown = page.source("#texture-photo")
    page.evaluate(
        "[...document.querySelector('#makeup-run').closest('[role=tabpanel]').querySelectorAll('button')]"
        ".find(x => x.innerText.includes('in Texture')).click()"
    )
    assert np.array_equal(page.next_picture("#texture-photo", shown), again) and page.open_tab() == "Texture"


def test_one_click_on_an_example_makes_a_picture(page):
    for task, title in TASKS.items():
        page.tab(title)
        before = page.source(f"#{task}-result")
        page.click(f"#{task}-examples .thumbnail-item")
        assert is_picture(page.next_picture(f"#{task}-result", before))


def test_stop_stops(page):
    page.tab("Portrait")
    page.evaluate("document.querySelectorAll('.toast-close').forEach(x => x.click())")
    panel = "document.querySelector('#portrait-run').closest('[role=tabpanel]')"
    for label, value in (("Portraits", 4), ("Steps", 100)):
        page.evaluate(
            f"[...{panel}.querySelectorAll('input[type=range]')]"
            f".find(x => x.ariaLabel?.includes('{label}')).id = 'slow-{label}'"
        )
        page.evaluate(
            f"""(slider => {{
              Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(slider, {value});
              slider.dispatchEvent(new Event('input', {{bubbles: true}}));
            }})(document.querySelector('#slow-{label}'))"""
        )
    before = page.source("#portrait-result")
    page.click("#portrait-run")
    page.wait_for("/\\d+\\/100/.test(document.querySelector('#portrait-result').innerText)")
    page.click("#portrait-stop")
    time.sleep(2)
    assert page.source("#portrait-result") == before
    begun = time.monotonic()
    page.tab("Makeup")
    page.run("makeup")
    assert time.monotonic() - begun < 15, "the lane is free again"


def test_a_dataset_is_planned_tried_and_made(page):
    page.tab("Dataset")
    page.click("#dataset-plan")
    page.wait_for("document.querySelector('#dataset-text textarea').value.includes('16 pictures')")
    page.click("#dataset-preview")
    assert is_picture(page.next_picture("#dataset-sheet"))
    page.screenshot("dataset")
    page.evaluate("document.querySelector('#dataset-run').click()")
    page.chromium.timeout = 180
    page.wait_for("document.querySelector('#dataset-text textarea').value == 'finished'")
    page.chromium.timeout = 60
    assert is_picture(page.next_picture("#dataset-sheet"))
    page.wait_for("(document.querySelector('iframe.report')?.srcdoc ?? '').length > 2000")


def test_models_and_the_doctor(page):
    page.tab("Models")
    page.wait_for("document.querySelector('#models-table').innerText.includes('TexturePipeline')")
    page.click("#models-doctor")
    page.wait_for("document.querySelector('#models-found').innerText.includes('torch')")
    page.screenshot("models", tallest=1300)


@pytest.mark.parametrize("is_dark", [False, True])
def test_a_narrow_screen_scrolls_down_only(page, is_dark):
    page.chromium.dark(is_dark)
    page.chromium.resize(380, 800, 1.0, True)
    page.open()
    for title in ("Portrait", "Expression", "Makeup", "Drag", "Texture", "Results", "Dataset", "Models"):
        page.evaluate("document.querySelector('.overflow-menu > button')?.click()")
        page.evaluate(
            "[...document.querySelectorAll('button[role=tab], .overflow-dropdown button')]"
            f".find(x => x.textContent.trim() == '{title}').click()"
        )
        time.sleep(0.4)
        assert page.evaluate("document.documentElement.scrollWidth") <= 380, title
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, back[back.index("(") + 1 : -1].split(",")[:3])) < 200) == is_dark
    page.chromium.resize(1280, 900)
    page.chromium.dark(False)
