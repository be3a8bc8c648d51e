"""The page as programs reach it: every endpoint on a launched server."""

from __future__ import annotations

import threading
import time
import uuid
from pathlib import Path

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from faces import examples, provenance
from tests.pipelines.texture_components import toy_photo
from tests.ui.toy_services import SIDE, SLOW, ToyServices
from ui.canvas_state import CanvasState
from ui.endpoints import DESCRIPTIONS
from ui.page import build_app, sessions_of_a_page
from ui.server import launch_options

TASKS = ["portrait", "expression", "makeup", "drag", "texture"]
DRAWN = CanvasState.at_places([((10.5, 10.5), (20.5, 12.5))], [], (96, 96)).to_json()
ENDPOINTS = {
    *(f"/{task}" for task in TASKS), "/expression_preview", "/drag_preview", "/dataset_plan", "/dataset_preview",
    "/dataset", "/results", "/stop", "/models", "/load_model", "/doctor",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        patch.setenv("GRADIO_IS_E2E_TEST", "1")  # heartbeats every quarter of a second
        sessions = sessions_of_a_page(grace=1.0, unclaimed=3.0)
        services = ToyServices(
            examine=lambda: [{"group": "machine", "name": "cores", "status": "ok", "detail": "2"}]
        )
        app = build_app(services, sessions)
        options = launch_options()
        _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **options)
        yield url, sessions
        app.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "face.png"
    Image.fromarray(toy_photo(0)).save(path)
    return handle_file(str(path))


@pytest.fixture
def client(server):
    client = Client(server[0], verbose=False)
    yield client
    client.close()


def asked(task, given, consented=True, **others):
    common = {"consented": consented, "seed": 3, "steps": 2, "api_name": f"/{task}"}
    own = {
        "portrait": {"photos": [given], "prompt": "a person", "negative_prompt": "", "count": 2},
        "expression": {"photo": given, "expression": "happy"},
        "makeup": {
            "photo": given, "reference": None, "lips": "#b0203a", "shadow": None, "liner": None, "blush": None,
            "regions": ["lips"],
        },
        "drag": {"photo": given, "drawn": DRAWN},
        "texture": {"photo": given},
    }[task]  # fmt: skip
    return common | own | others


def given_file(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


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
    _until(lambda: any(one.desc for one in job.status().progress_data or ()))
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


def test_a_visitor_who_leaves_takes_files_along(server, tmp_path):
    url, sessions = server
    own = tmp_path / "own.png"
    Image.fromarray(toy_photo(5)).save(own)
    visitor = Client(url, verbose=False)
    visitor.predict(**asked("makeup", handle_file(str(own))))
    mine = sessions.of(visitor.session_hash)
    (upload,) = mine.uploads
    assert upload.exists() and any(mine.folder.iterdir())
    visitor.close()
    _until(lambda: not upload.exists() and not mine.folder.exists())


def test_closing_the_page_ends_the_session(server, photo):
    url, sessions = server
    visitor = Client(url, verbose=False)
    visitor.predict(**asked("makeup", photo))
    mine = sessions.of(visitor.session_hash)
    visitor.close()
    _until(lambda: mine.left)


def test_a_page_that_is_opened_again_keeps_its_session(server):
    url, sessions = server
    mine = sessions.of("phone")
    heart = f"{url}gradio_api/heartbeat/phone"
    with httpx.stream("GET", heart, timeout=20) as new:
        beats = new.iter_lines()
        next(beats)
        with httpx.stream("GET", heart, timeout=20) as lost:
            next(lost.iter_lines())
        time.sleep(1.5)
        assert not mine.left and mine.folder.exists()
    _until(lambda: mine.left)
    _until(lambda: not mine.folder.exists())


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


def _until(is_true, seconds=20):
    end = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < end, "never true"
        time.sleep(0.05)


def sent(server, task, values, session=None):
    """What the page says to values that gradio_client would not send."""
    config = httpx.get(f"{server[0]}config").json()
    event = next(one for one in config["dependencies"] if one["api_name"] == task)
    body = {"data": values, "fn_index": event["id"], "session_hash": session or uuid.uuid4().hex}
    assert httpx.post(f"{server[0]}gradio_api/queue/join", json=body).is_success
    asked = {"session_hash": body["session_hash"]}
    with httpx.stream("GET", f"{server[0]}gradio_api/queue/data", params=asked, timeout=30) as answer:
        return next(line for line in answer.iter_lines() if "process_completed" in line)


@pytest.mark.parametrize("count", [0, 6, 8, 100])
def test_too_few_and_too_many_values_are_counted(server, count):
    said = sent(server, "texture", [None] * count)
    assert f"{count} values, expected 7: photo, consented, style" in said and "object at" not in said


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        ("face.png", "photo: str, expected an uploaded file"),
        ([given_file("face.png")], "photo: list, expected an uploaded file"),
        (given_file("/etc/hosts"), "photograph: not a file that was uploaded here"),
        (given_file("../../../../etc/hosts"), "photograph: not a file that was uploaded here"),
        (given_file("http://127.0.0.1/a.png"), "photo: an address, expected an uploaded file"),
        ({"path": 5, "meta": {"_type": "gradio.FileData"}}, "photograph: not an upload"),
    ],
)
def test_what_is_no_upload_is_not_opened(server, photo, message):
    assert message in sent(server, "texture", [photo, True, "photoreal", False, 0.3, 0, 2])


def test_what_another_has_made_is_theirs(server, photo):
    owner = Client(server[0], verbose=False)
    owner.predict(**asked("makeup", photo))
    made = given_file(str(next(server[1].of(owner.session_hash).folder.iterdir())))
    values = [made, True, "remove", None, None, None, None, None, [], 1, 3, 2]
    assert "photo: not a file that was uploaded here" in sent(server, "makeup", values)
    owner.close()


def test_what_is_not_there_is_not_found(server):
    base = f"{server[0]}gradio_api/"
    for body in ({"fn_index": 9999, "session_hash": "a"}, {"fn_index": 0, "session_hash": ""}):
        answer = httpx.post(f"{base}queue/join", json={"data": []} | body)
        assert answer.status_code == 404 and "not found" in answer.text
    assert httpx.post(f"{base}call/nothing", json={"data": []}).status_code == 404
    assert httpx.get(f"{base}file=/etc/hosts").status_code == 403


def test_a_detour_through_own_results_needs_consent_as_well(client, server, photo):
    client.predict(**asked("makeup", photo))
    mine = server[1].of(client.session_hash)
    (upload,) = mine.uploads
    detour = given_file(f"{mine.folder}/../../{upload.relative_to(server[1].folder)}")
    values = [detour, False, "remove", None, None, None, None, None, [], 1, 3, 2]
    assert "consent" in sent(server, "makeup", values, client.session_hash)


def test_a_photograph_of_two_stays_until_both_have_left(server, tmp_path):
    url, sessions = server
    both = tmp_path / "both.png"
    Image.fromarray(toy_photo(7)).save(both)
    first, second = Client(url, verbose=False), Client(url, verbose=False)
    first.predict(**asked("makeup", handle_file(str(both))))
    mine = sessions.of(first.session_hash)
    (upload,) = mine.uploads
    first.close()
    _until(lambda: mine.left)
    with both.open("rb") as file:
        answer = httpx.post(f"{url}gradio_api/upload", files={"files": (both.name, file)})
    assert answer.json() == [str(upload)], "the same bytes and name are one file"
    _until(lambda: not mine.folder.exists())
    values = [given_file(str(upload)), True, "remove", None, None, None, None, None, [], 1, 3, 2]
    assert '"seed":3' in sent(server, "makeup", values, second.session_hash)
    second.close()
    _until(lambda: not upload.exists())


def test_uploads_that_break_off_or_are_none_stay_nowhere(server):
    url, sessions = server
    before = uploads_of(sessions)

    def cut():
        yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nhalf of it'
        raise httpx.WriteError("hung up")

    with pytest.raises(httpx.WriteError):
        httpx.post(
            f"{url}gradio_api/upload",
            content=cut(),
            headers={"content-type": "multipart/form-data; boundary=b"},
        )
    assert httpx.post(f"{url}gradio_api/upload", files={"other": ("a.png", b"x")}).json() == []
    text = httpx.post(f"{url}gradio_api/upload", files={"files": (None, b"text")})
    assert text.status_code == 400 and "expected files" in text.text
    assert uploads_of(sessions) > before
    _until(lambda: uploads_of(sessions) <= before)


def uploads_of(sessions):
    return {
        path for path in sessions.folder.rglob("*") if path.is_file() and sessions.made not in path.parents
    }


def test_whatever_is_chosen_is_the_visitors_at_once(server):
    config = httpx.get(f"{server[0]}config").json()
    heard = {
        target[0] for one in config["dependencies"] for target in one["targets"] if target[1] == "upload"
    }
    inputs = {
        one["id"]: one["props"]
        for one in config["components"]
        if one["type"] in ("image", "file") and one["props"].get("interactive") is not False
    }
    used = {number for one in config["dependencies"] if one["api_name"] in TASKS for number in one["inputs"]}
    assert len(used & set(inputs)) >= 6 and used & set(inputs) <= heard


@pytest.mark.parametrize(
    "way",
    [
        "file=http://a.example/b",
        "file=HTTPS://a.example/b",
        "file=%68ttp://a.example/b",
        "proxy=https://a.example/b",
    ],
)
def test_nothing_is_fetched_from_elsewhere(server, monkeypatch, way):
    fetched = []
    monkeypatch.setattr("gradio.routes.secure_url_stream_response", lambda *given: fetched.append(given))
    answer = httpx.get(f"{server[0]}gradio_api/{way}")
    assert answer.status_code == 403 and "nothing is fetched" in answer.text and not fetched


def test_example_heads_are_served_where_they_lie(server):
    head = given_file(str(examples.heads()[0]))
    assert '"seed":3' in sent(
        server, "makeup", [head, False, "remove", None, None, None, None, None, [], 1, 3, 2]
    )


def test_what_is_refused_is_deleted_with_the_rest(server, tmp_path):
    url, sessions = server
    broken = tmp_path / "refused.png"
    broken.write_bytes(b"no picture, and nobody else's")
    visitor = Client(url, verbose=False)
    for wrong in ({}, {"style": "oil"}, {"consented": False}):
        with pytest.raises(AppError):
            visitor.predict(**asked("texture", handle_file(str(broken)), **wrong))
    (upload,) = sessions.of(visitor.session_hash).uploads
    assert upload.exists()
    visitor.close()
    _until(lambda: not upload.exists())
