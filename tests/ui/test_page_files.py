"""Files of visitors on a launched server: apart, used with consent alone, and gone in time."""

from __future__ import annotations

import time

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from tests.pipelines.texture_components import toy_photo
from tests.ui.asking import TASKS, asked, given_file, sent, until


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
    until(lambda: not upload.exists() and not mine.folder.exists())


def test_closing_the_page_ends_the_session(server, photo):
    url, sessions = server
    visitor = Client(url, verbose=False)
    visitor.predict(**asked("makeup", photo))
    mine = sessions.of(visitor.session_hash)
    visitor.close()
    until(lambda: mine.left)


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
    until(lambda: mine.left)
    until(lambda: not mine.folder.exists())


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
    until(lambda: mine.left)
    with both.open("rb") as file:
        answer = httpx.post(f"{url}gradio_api/upload", files={"files": (both.name, file)})
    assert answer.json() == [str(upload)], "the same bytes and name are one file"
    until(lambda: not mine.folder.exists())
    values = [given_file(str(upload)), True, "remove", None, None, None, None, None, [], 1, 3, 2]
    assert '"seed":3' in sent(server, "makeup", values, second.session_hash)
    second.close()
    until(lambda: not upload.exists())


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
    until(lambda: uploads_of(sessions) <= before)


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
    until(lambda: not upload.exists())
