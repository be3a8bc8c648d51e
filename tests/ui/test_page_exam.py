"""The exam of the page: it finds what it looks for, on a page of stand-ins and on pages that behave badly."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.ui.toy_services import Painter, ToyServices
from ui.evaluation import load, malformed, refusals, serving, valid
from ui.evaluation.load import Asked, Visit
from ui.evaluation.visitor import Answer, Page, Visitor
from ui.page import build_app, sessions_of_a_page
from ui.server import launch_options

PLAIN = "steps 'many': expected a number"


@dataclass
class Here:
    """A server in this process."""

    folder: Path

    def memory(self):
        return psutil.Process().memory_info().rss / 1e6

    def collect(self):
        gc.collect()


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        patch.setenv("GRADIO_IS_E2E_TEST", "1")
        app = build_app(ToyServices(), sessions_of_a_page(grace=0.2, unclaimed=0.2))
        _, url, _ = app.launch(
            prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **launch_options()
        )
        yield Here(folder), Page.open(url)
        app.close()


def by_name(bars, start):
    return next(bar for bar in bars if bar.name.startswith(start))


def unseen(case):
    """Whether it needs no eyes, which the stand-ins lack, to be refused."""
    return not case.name.startswith("texture") and not any(
        word in case.name for word in ("one colour", "animated")
    )


def test_malformed_requests_are_refused_and_nothing_of_them_stays(here):
    server, page = here
    photo = valid.photos(1)[0]
    every = malformed.cases(photo)
    assert len(every) >= 200 and len({case.name for case in every}) == len(every)
    bars = malformed.measure(server, page, photo, malformed.some(list(filter(unseen, every)), 30))
    refused, left = by_name(bars, "malformed"), by_name(bars, "files left")
    assert refused.passed and refused.n == 30 and refused.control == 0, refused.domain
    assert by_name(bars, "valid").passed and left.passed and left.control > 0


def test_no_two_visitors_of_the_exam_upload_the_same_file(here, monkeypatch):
    server, page = here
    uploads = []

    class Recorded(Visitor):
        def __exit__(self, *reason):
            uploads.append(set(self.uploads))
            super().__exit__(*reason)

    monkeypatch.setattr(malformed, "Visitor", Recorded)
    photo = valid.photos(1)[0]
    malformed.measure(server, page, photo, malformed.some(list(filter(unseen, malformed.cases(photo))), 60))
    assert len(uploads) >= 6 and len(set().union(*uploads)) == sum(map(len, uploads))


def test_a_page_that_answers_with_its_insides_is_noticed(here, monkeypatch):
    server, page = here

    def broken(self, *_, **__):
        raise TypeError("'NoneType' object is not subscriptable")

    monkeypatch.setattr(Painter, "__call__", broken)
    photo = valid.photos(1)[0]
    with Visitor(page) as visitor:
        answer = valid.request("makeup", photo).ask(visitor)
    assert "internals" in refusals.fault(answer, "photo")
    bars = malformed.measure(server, page, photo, malformed.cases(photo)[:2])
    assert not by_name(bars, "valid").passed


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(message=PLAIN), None),
        (Answer(values=[1]), "it was answered"),
        (Answer(message="guidance 7: expected a number"), "does not name steps"),
        (Answer(message=f"{PLAIN}\nand more"), "several lines"),
        (Answer(message="steps: no such file /srv/someone/secret.png"), "a path"),
        (Answer(message="steps: KeyError"), "internals"),
        (Answer(message="steps: Internal Server Error", status=500), "HTTP 500, internals"),
        (Answer(message="steps of my-wedding.png: expected a number"), "it shows 'my-wedding.png'"),
        (Answer(message=PLAIN + "x" * 400), "more than 400 characters"),
        (Answer(message="", status=0), "no answer"),
        (Answer(message="Not Found", status=404), None),
        (Answer(message="Traceback (most recent call last)", status=404), "internals"),
    ],
)
def test_plain_words_are_told_from_others(answer, reason):
    found = refusals.fault(answer, "steps", ["my-wedding.png"])
    assert found is None if reason is None else reason in str(found)


def visit(seed, folder, results=None):
    path = f"{folder}/a.png"
    asked = Asked(
        request=valid.request("makeup", valid.photos(1)[0], seed), seconds=1.0, answer=Answer(values=[{"path": path}]),
        picture=np.random.default_rng(seed).integers(0, 255, (4, 4, 3)),
    )  # fmt: skip
    return Visit(asked=[asked], results=frozenset([path] if results is None else results))


def test_crossings_are_counted():
    mine, theirs = visit(1, "/a"), visit(2, "/b")
    assert load.crossed([mine, theirs], [mine, theirs]) == 0
    assert load.crossed([mine, theirs], [theirs, mine]) == 2, "each got the other's picture"
    assert load.crossed([mine, visit(2, "/b", ["/a/a.png"])], [mine, theirs]) >= 1, (
        "one sees the other's results"
    )
    assert load.crossed([mine, visit(2, "/a")], [mine, theirs]) >= 1, "both share a folder"


def test_visitors_of_the_stand_ins_do_not_cross(here, monkeypatch):
    server, page = here
    monkeypatch.setattr(valid, "TASKS", ("portrait", "makeup", "drag"))
    bars = load.measure(server, page, valid.photos(3))
    assert by_name(bars, "requests of many").passed and by_name(bars, "crossed").passed
    assert by_name(bars, "crossed").control > 0 and by_name(bars, "requests of many").control == 0


def test_files_of_a_server_are_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.png").write_bytes(b"")
    assert serving.files(tmp_path) == {"a/b.png"} and serving.free_port() > 1000
