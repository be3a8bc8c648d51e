"""Visitors: apart from one another, and gone with all that they brought."""

from __future__ import annotations

import time

import pytest

from ui.given import Given, uploads_in
from ui.sessions import Sessions


@pytest.fixture
def uploads(tmp_path):
    folder = tmp_path / "gradio"
    folder.mkdir()
    return folder


@pytest.fixture
def sessions(uploads):
    return Sessions(uploads / "sessions", uploads, grace=0.05)


def upload(folder, name, content=b"x"):
    path = folder / name / "photo.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_visitor_is_known_by_the_hash_alone(sessions):
    mine = sessions.of("a")
    assert sessions.of("a") is mine and sessions.of("b") is not mine
    assert sessions.of("b").folder != mine.folder
    for nobody in (None, ""):
        with pytest.raises(ValueError, match="session"):
            sessions.of(nobody)


def test_what_a_visitor_brought_goes_and_what_another_brought_too_stays(sessions, uploads, tmp_path):
    own, shared = upload(uploads, "own"), upload(uploads, "shared")
    elsewhere = upload(tmp_path, "elsewhere")
    mine = sessions.note("a", [own, shared, elsewhere])
    sessions.note("b", [shared])
    made = mine.path("portrait", ".png")
    made.write_bytes(b"picture")
    sessions.note("a", [made])
    assert made not in mine.uploads and mine.owns(made) and not sessions.of("b").owns(made)
    sessions.leave("a")
    time.sleep(0.3)
    assert not own.exists() and not own.parent.exists() and not mine.folder.exists()
    assert shared.exists() and elsewhere.exists() and len(sessions) == 1
    sessions.close_all()
    assert not shared.exists() and elsewhere.exists() and not len(sessions)


def test_who_comes_back_in_time_finds_everything(sessions):
    mine = sessions.of("a")
    sessions.leave("a")
    assert sessions.of("a") is mine
    time.sleep(0.2)
    assert mine.folder.exists() and sessions.of("a") is mine


def test_leaving_ends_what_is_computed(sessions):
    run = sessions.of("a").run("portrait")
    sessions.leave("a")
    sessions.leave("never seen")
    assert run.stopping.is_set()


def test_who_does_nothing_for_long_is_gone(uploads):
    sessions = Sessions(uploads / "sessions", uploads, idle=0.05)
    idle = sessions.of("a")
    time.sleep(0.1)
    sessions.of("b")
    assert not idle.folder.exists() and len(sessions) == 1


def test_stop_ends_one_task_or_all(sessions):
    visitor = sessions.of("a")
    one, other = visitor.run("portrait"), visitor.run("drag")
    visitor.stop("drag")
    assert other.stopping.is_set() and not one.stopping.is_set()
    visitor.stop()
    assert one.stopping.is_set()
    assert not visitor.run("drag").stopping.is_set(), "the next one is not stopped by what came before"


@pytest.mark.parametrize("value", ["3", None, True, float("nan"), float("inf"), [1], {"value": 1}])
def test_what_is_no_number_is_named(value):
    with pytest.raises(ValueError, match="^steps"):
        Given({"steps": value}).whole("steps")


def test_whole_numbers_may_come_as_floats(sessions):
    assert Given({"steps": 3.0}).whole("steps") == 3
    with pytest.raises(ValueError, match="steps 2.5: expected a whole number"):
        Given({"steps": 2.5}).whole("steps")


@pytest.mark.parametrize(
    ("read", "value"),
    [
        ("text", 5), ("text", ["a"]), ("text", "a" * 5000), ("flag", "true"), ("flag", 1), ("flag", None),
        ("file", "photo.png"), ("file", {"url": "http://host"}), ("file", ["a"]), ("files", "photo.png"),
        ("files", [{"path": "a"}] * 20), ("files", {"path": "a"}), ("texts", "lips"), ("texts", [1]),
    ],
)  # fmt: skip
def test_what_has_another_type_is_named(read, value):
    with pytest.raises(ValueError, match="^it"):
        getattr(Given({"it": value}), read)("it")


def test_files_are_found_wherever_they_are():
    photo, other = {"path": "/tmp/a.png", "meta": {}}, {"path": "/tmp/b.png"}
    assert [str(path) for path in uploads_in([photo, 3, None, [other, "x"], {"url": "u"}])] == [
        "/tmp/a.png",
        "/tmp/b.png",
    ]
    given = Given({"one": photo, "none": None, "all": [photo, other], "words": None})
    assert given.file("one") == "/tmp/a.png" and given.file("none") is None
    assert given.files("all") == ("/tmp/a.png", "/tmp/b.png") and given.files("none") == ()
    assert given.text("words") == "" and given.texts("words") == ()
