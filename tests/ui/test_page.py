"""The page as programs reach it: every endpoint on a launched server."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from faces import examples, provenance
from tests.pipelines.texture_components import toy_photo
from tests.ui.asking import DRAWN, TASKS, asked, given_file, sent, until
from tests.ui.toy_services import SIDE, SLOW, ToyServices
from ui.endpoints import DESCRIPTIONS
from ui.page import build_app

ENDPOINTS = {
    *(f"/{task}" for task in TASKS), "/expression_preview", "/drag_preview", "/dataset_plan", "/dataset_preview",
    "/dataset", "/results", "/stop", "/models", "/load_model", "/doctor",
}  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_every_task_answers_with_a_file_that_says_how_it_was_made(client, photo, task):
    picture, facts, download, *_ = client.predict(**asked(task, photo))
    assert facts["task"] == task and facts["seed"] == 3
    assert provenance.read(picture).seed == 3
    assert Path(download["value"]).read_bytes() == Path(picture).read_bytes()
    if task != "texture":
        assert Image.open(picture).size == ((96, 96) if task == "drag" else (SIDE, SIDE))
    assert [Path(one["image"]).suffix for one in client.predict(api_name="/results")][:1] == [".png"]


def test_a_head_comes_with_a_file_and_views(client, photo):
    *_, glb, strip, download, seen, origins = client.predict(**asked("texture", photo))
    assert Path(glb).read_bytes()[:4] == b"glTF" == Path(download["value"]).read_bytes()[:4]
    assert Image.open(strip).width > Image.open(strip).height
    assert Image.open(seen).size == Image.open(origins).size and provenance.read(seen).seed == 3


def test_a_drag_says_what_it_did_and_what_it_left(client, photo):
    words = client.predict(**asked("drag", photo))[-1]
    assert (
        words.startswith("The flow ends 1.5 px from its target at most.")
        and "100% of the pixels may" in words
    )


def test_previews_are_pictures_with_records_and_no_results(client, photo):
    glance = client.predict(**asked("expression", photo, live=True) | {"api_name": "/expression_preview"})
    moved = client.predict(**asked("drag", photo, live=True) | {"api_name": "/drag_preview"})[1]
    assert provenance.read(glance).steps == 6
    assert np.array_equal(Image.open(moved), toy_photo(0)[:, ::-1])
    assert provenance.read(moved).digital_source_type == provenance.COMPOSITE
    assert client.predict(api_name="/results") == []


def test_models_and_the_doctor_tell_what_is_there(client, photo):
    client.predict(**asked("makeup", photo))
    rows = {row[0]: row for row in client.predict(api_name="/models")["data"]}
    assert rows["makeup"][1:3] == ["mini", True] and set(rows) == set(TASKS)
    assert client.predict(api_name="/doctor")["data"] == [["machine", "cores", "ok", "2", ""]]
    with pytest.raises(AppError, match="--model"):
        client.predict("only drag", "drag", "cpu", "native", api_name="/load_model")


@pytest.mark.parametrize("task", TASKS)
def test_no_consent_is_said_in_plain_words(client, photo, task):
    with pytest.raises(AppError, match="consent"):
        client.predict(**asked(task, photo, consented=False))


def test_a_dataset_is_planned_without_a_model(client):
    text = client.predict("textures", 3, 0, api_name="/dataset_plan")
    assert "15 pictures" in text and "seed 0" in text
    with pytest.raises(AppError, match="recipe 'poems'"):
        client.predict("poems", 3, 0, api_name="/dataset_plan")


def test_a_canvas_that_no_browser_sends_is_refused(client, photo):
    for broken in ({}, {"drags": [[0, 0, "far", 1]]}, "drags", {**DRAWN, "drags": [[2, 2, 3, 3]]}):
        with pytest.raises(AppError):
            client.predict(**asked("drag", photo, drawn=broken))


def test_bad_numbers_and_files_are_refused_and_the_server_lives(client, photo, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    for wrong, message in (
        ({"photo": handle_file(str(broken))}, "photograph: not a picture"),
        ({"photo": None}, "photograph: none yet"),
        ({"style": "oil"}, "style 'oil'"),
        ({"temperature": 7.5}, "temperature 7.5"),
        ({"seed": -3}, "seed -3"),
        ({"steps": "many"}, "steps 'many': expected a number"),
        ({"photo": handle_file("/etc/hosts")}, "photograph: not a picture"),
    ):
        with pytest.raises(AppError, match=message) as caught:
            client.predict(**asked("texture", photo, **wrong))
        assert "broken.png" not in str(caught.value)
    assert client.predict(**asked("texture", photo))


def test_stop_ends_what_a_visitor_waits_for_and_nothing_else(client, server, photo):
    other = Client(server[0], verbose=False)
    job = client.submit(**asked("makeup", photo, steps=SLOW))
    waiting = other.submit(**asked("makeup", photo))
    until(lambda: any(one.desc for one in job.status().progress_data or ()))
    client.predict(api_name="/stop")
    begun = time.monotonic()
    with pytest.raises(AppError, match="Stopped"):
        job.result(timeout=20)
    assert waiting.result(timeout=20)[1]["seed"] == 3
    assert time.monotonic() - begun < 5, "ninety-nine steps would take longer"
    other.close()


def test_many_visitors_at_once_get_what_they_asked_for(server, photo):
    seeds, answers = list(range(8)), {}

    def visit(seed):
        visitor = Client(server[0], verbose=False)
        picture = visitor.predict(**asked("makeup", photo, seed=seed))[0]
        answers[seed] = np.asarray(Image.open(picture)), visitor.predict(api_name="/results")
        visitor.close()

    threads = [threading.Thread(target=visit, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for seed in seeds:
        picture, results = answers[seed]
        expected = np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3)).astype(np.uint8)
        assert np.array_equal(picture, expected) and [one["caption"] for one in results] == [
            f"makeup, seed {seed}"
        ]


def test_every_event_that_computes_has_a_name(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == ENDPOINTS


def test_every_endpoint_says_what_it_does_and_is_a_tool_of_that_name(server):
    page = build_app(ToyServices(), server[1])
    public = [one for one in page.fns.values() if one.api_name and one.api_visibility == "public"]
    assert {f"/{one.api_name}" for one in public} == ENDPOINTS == {f"/{name}" for name in DESCRIPTIONS}
    assert all(one.fn.__name__ == one.api_name for one in public)
    assert all(one.api_description == DESCRIPTIONS[one.api_name] for one in public)
    takes_photographs = [one.api_name for one in public if one.api_name in TASKS]
    assert all("consented" in DESCRIPTIONS[name] for name in takes_photographs)


@pytest.mark.parametrize("count", [0, 6, 8, 100])
def test_too_few_and_too_many_values_are_counted(server, count):
    said = sent(server, "texture", [None] * count)
    assert f"{count} values, expected 7: photo, consented, style" in said and "object at" not in said


def test_what_is_not_there_is_not_found(server):
    base = f"{server[0]}gradio_api/"
    for body in ({"fn_index": 9999, "session_hash": "a"}, {"fn_index": 0, "session_hash": ""}):
        answer = httpx.post(f"{base}queue/join", json={"data": []} | body)
        assert answer.status_code == 404 and "not found" in answer.text
    assert httpx.post(f"{base}call/nothing", json={"data": []}).status_code == 404
    assert httpx.get(f"{base}file=/etc/hosts").status_code == 403


def test_example_heads_are_served_where_they_lie(server):
    head = given_file(str(examples.heads()[0]))
    assert '"seed":3' in sent(
        server, "makeup", [head, False, "remove", None, None, None, None, None, [], 1, 3, 2]
    )
