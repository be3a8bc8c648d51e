"""Visitors: apart from one another, and gone with all that they brought."""

from __future__ import annotations

import time

import pytest

from ui.given import Given, uploads_in
from ui.sessions import Sessions


@pytest.fixture
def sessions(tmp_path):
    return Sessions(tmp_path / "page", grace=0.05, unclaimed=0.4)


@pytest.fixture
def uploads(sessions):
    sessions.folder.mkdir()
    return sessions.folder


def upload(folder, name, content=b"x"):
    path = folder / name / "photo.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    return path


def again(photo):
    """Upload the same bytes again, as the server does it."""
    new = photo.parent.parent / "tmp_new"
    new.write_bytes(photo.read_bytes())
    return new.rename(photo)


def end(key, sessions):
    sessions.leave(key)
    time.sleep(0.1)
    sessions.sweep()


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
    sessions.sweep()
    assert own.exists() and mine.folder.exists(), "who has just left may come back"
    time.sleep(0.1)
    sessions.sweep()
    assert not own.exists() and not own.parent.exists() and not mine.folder.exists()
    assert shared.exists() and elsewhere.exists() and len(sessions) == 1
    sessions.close_all()
    assert not sessions.folder.exists() and elsewhere.exists() and not len(sessions)


def test_what_somebody_uploads_again_waits_for_them(sessions, uploads):
    photo = upload(uploads, "photo")
    sessions.note("a", [photo])
    sessions.leave("a")
    time.sleep(0.1)
    photo = again(photo)
    sessions.sweep()
    assert len(sessions) == 0 and photo.exists(), "the second visitor's event is still on its way"
    sessions.note("b", [photo])
    time.sleep(0.5)
    sessions.sweep()
    assert photo.exists(), "it is claimed"
    end("b", sessions)
    assert not photo.exists()


def test_what_nobody_claims_goes_after_its_time(sessions, uploads):
    forgotten, cut = upload(uploads, "forgotten"), uploads / "tmp_half"
    cut.write_bytes(b"the connection broke here")
    sessions.note("a", [])
    sessions.sweep()
    assert forgotten.exists() and cut.exists()
    time.sleep(0.5)
    young = upload(uploads, "young")
    sessions.sweep()
    assert not forgotten.exists() and not cut.exists() and young.exists() and len(sessions) == 1


@pytest.mark.parametrize(
    "way", ["../victim.txt", "photo/../../victim.txt", "photo/../.././victim.txt", "photo"]
)
def test_what_is_no_upload_is_never_deleted(sessions, uploads, way):
    upload(uploads, "photo")
    victim = sessions.folder.parent / "victim.txt"
    victim.write_text("precious")
    given = {"path": f"{uploads}/{way}", "meta": {"_type": "gradio.FileData"}}
    sessions.note("a", uploads_in([given]))
    end("a", sessions)
    assert victim.exists() and (uploads / "photo" / "photo.png").exists()


def test_a_detour_through_a_folder_of_mine_is_not_mine(sessions, uploads):
    photo, mine = upload(uploads, "photo"), sessions.of("a")
    theirs = sessions.of("b").path("portrait", ".png")
    for way in (
        f"{mine.folder}/../../photo/{photo.name}",
        f"{mine.folder}/../{theirs.parent.name}/x.png",
    ):
        assert not mine.owns(way)
    assert mine.owns(f"{mine.folder}/x.png")


def test_an_event_that_was_sent_before_its_page_was_closed_does_not_bring_it_back(sessions):
    sessions.note("a", [])
    sessions.leave("a")
    assert sessions.note("a", []).left
    sessions.back("a")
    assert not sessions.of("a").left


def test_who_comes_back_in_time_finds_everything(sessions):
    mine = sessions.of("a")
    sessions.leave("a")
    assert sessions.of("a") is mine
    sessions.back("a")
    time.sleep(0.1)
    sessions.sweep()
    assert mine.folder.exists() and sessions.of("a") is mine


def test_the_last_page_that_is_closed_ends_what_is_computed(sessions):
    with sessions.page("a"):
        mine = sessions.of("a")
        run = mine.run("portrait")
        with sessions.page("a"):
            pass  # a connection that broke, and is noticed late
        assert not mine.left and not run.stopping.is_set()
    assert mine.left and run.stopping.is_set()
    with sessions.page("a"):
        assert not mine.left, "it is open again, though nothing was asked yet"
    with sessions.page("never asked"):
        assert len(sessions) == 1


def test_leaving_ends_what_is_computed(sessions):
    run = sessions.of("a").run("portrait")
    sessions.leave("a")
    sessions.leave("never seen")
    assert run.stopping.is_set()


def test_who_does_nothing_for_long_is_gone(tmp_path):
    sessions = Sessions(tmp_path, idle=0.05)
    idle = sessions.of("a")
    time.sleep(0.1)
    sessions.of("b")
    sessions.sweep()
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
    given = [photo, 3, None, [other, "x"], {"url": "u", "inner": [other]}]
    assert [str(path) for path in uploads_in(given)] == ["/tmp/a.png", "/tmp/b.png", "/tmp/b.png"]
    deep = [photo]
    for _ in range(5000):
        deep = [deep]
    assert len(list(uploads_in(deep))) == 1
    given = Given({"one": photo, "none": None, "all": [photo, other], "words": None})
    assert given.file("one") == "/tmp/a.png" and given.file("none") is None
    assert given.files("all") == ("/tmp/a.png", "/tmp/b.png") and given.files("none") == ()
    assert given.text("words") == "" and given.texts("words") == ()
