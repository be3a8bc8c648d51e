"""The page as programs reach it: every endpoint on a launched server."""

from __future__ import annotations

import json

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from faces import provenance
from tests.pipelines.texture_components import toy_photo
from tests.ui.toy_services import SIDE, ToyServices
from ui.canvas_state import CanvasState
from ui.page import build_app

TASKS = ["portrait", "expression", "makeup", "drag", "texture"]
DRAWN = CanvasState.at_places([((10.5, 10.5), (20.5, 12.5))], [], (96, 96)).to_json()
COLOURS = ["#b0203a", None, None, None]
UNITS = [0.0] * 13


@pytest.fixture(scope="module")
def address():
    app = build_app(ToyServices())
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    yield url
    app.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "face.png"
    Image.fromarray(toy_photo(0)).save(path)
    return handle_file(str(path))


@pytest.fixture
def client(address):
    return Client(address, verbose=False)


def asked(task, photo, consented=True):
    return {
        "portrait": [[photo], consented, "a person", 2, 1.0, 2.5, 3, 2],
        "expression": [photo, consented, "a person", "happy", 1.0, *UNITS, 3, 2],
        "makeup": [photo, consented, "colours", None, *COLOURS, ["lips"], 1.0, 3, 2],
        "drag": [photo, consented, DRAWN, 3, 2],
        "texture": [photo, consented, "photoreal", False, 0.3, 3, 2],
    }[task]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers_with_a_file_that_says_how_it_was_made(client, photo, task):
    answer = client.predict(*asked(task, photo), api_name=f"/{task}")
    facts = next(one for one in answer if isinstance(one, dict) and one.get("task") == task)
    pictures = [one for one in answer if isinstance(one, str) and one.endswith(".png")]
    assert facts["seed"] == 3 and provenance.read(pictures[-1]).seed == 3
    if task != "texture":
        assert Image.open(pictures[0]).size == (SIDE, SIDE)


def test_models_tells_what_is_loaded(client, photo):
    client.predict(*asked("makeup", photo), api_name="/makeup")
    assert {"task": "makeup"} in client.predict(api_name="/models")


@pytest.mark.parametrize("task", TASKS)
def test_no_consent_is_said_in_plain_words(client, photo, task):
    with pytest.raises(AppError, match="consent"):
        client.predict(*asked(task, photo, consented=False), api_name=f"/{task}")


def test_a_dataset_is_planned_without_a_model(client):
    text = client.predict("textures", 3, 0, api_name="/dataset_plan")
    assert "15 pictures" in text and "seed 0" in text


def test_a_canvas_that_no_browser_sends_is_refused(client, photo):
    for broken in ({}, {"drags": [[0, 0, "far", 1]]}, "drags", {**DRAWN, "drags": [[2, 2, 3, 3]]}):
        with pytest.raises(AppError):
            client.predict(photo, True, broken, 0, 2, api_name="/drag")


def test_bad_numbers_and_files_are_refused_and_the_server_lives(client, photo, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    arguments = asked("texture", photo)
    for place, value in ((0, handle_file(str(broken))), (0, None), (2, "oil"), (4, 7.5), (6, -3)):
        wrong = [*arguments[:place], value, *arguments[place + 1 :]]
        with pytest.raises(AppError):
            client.predict(*wrong, api_name="/texture")
    assert client.predict(*arguments, api_name="/texture")


def test_visitors_have_folders_of_their_own(address, photo):
    ones = [
        Client(address, verbose=False).predict(*asked("makeup", photo), api_name="/makeup") for _ in range(2)
    ]
    files = [json.dumps(one) for one in ones]
    assert files[0] != files[1]


def test_every_event_that_computes_has_a_name(client):
    names = client.view_api(return_format="dict")["named_endpoints"]
    assert set(names) == {
        *(f"/{task}" for task in TASKS),
        "/drag_preview",
        "/dataset_plan",
        "/dataset",
        "/models",
    }
