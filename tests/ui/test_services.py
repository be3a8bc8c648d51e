"""Models of the page: loaded when asked, changed where they can be, and not by strangers."""

from __future__ import annotations

import threading
import time

import pytest

from tests.ui.toy_services import ToyServices
from ui import models
from ui.models import ModelRequest
from ui.running import Stopped
from ui.services import PIPELINES, Choice, Services
from ui.session import Session


@pytest.fixture
def run(tmp_path):
    return Session.start(tmp_path).run("models")


def test_nothing_is_loaded_before_it_is_asked_for(run):
    services = ToyServices()
    assert not any(facts["loaded"] for facts in services.loaded())
    with services.pipeline("makeup", run) as pipe, services.pipeline("makeup") as same:
        assert same is pipe
    assert [facts["task"] for facts in services.loaded() if facts["loaded"]] == ["makeup"]
    services.preload(*PIPELINES).join(30)
    assert all(facts["loaded"] for facts in services.loaded()) and len(models.table(services)) == 5


def test_a_model_serves_the_tasks_that_it_has_weights_for(run):
    services = ToyServices(open_to_choice=True)
    with services.pipeline("portrait") as before:
        pass
    told = services.choose(Choice(model="only drag"), PIPELINES, run)
    assert told["drag"] == "loaded" and "no weights for portrait" in told["portrait"]
    with services.pipeline("portrait") as after:
        assert after is before
    chosen = {facts["task"]: facts["model"] for facts in services.loaded()}
    assert chosen["drag"] == "only drag" and chosen["portrait"] == "mini"


def test_strangers_choose_no_models(run):
    with pytest.raises(PermissionError, match="--model"):
        ToyServices().choose(Choice(model="only drag"), PIPELINES, run)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": " "}, "model"),
        ({"model": "mini", "task": "singing"}, "task 'singing'"),
        ({"model": "mini", "device": "abacus"}, "device 'abacus'"),
        ({"model": "mini", "attention": "none"}, "attention 'none'"),
    ],
)
def test_what_no_control_gives_is_not_loaded(fields, message):
    with pytest.raises(ValueError, match=message):
        ModelRequest(**fields)


def test_the_doctor_is_asked_where_there_is_one():
    services = Services(
        examine=lambda: [{"group": "machine", "name": "cores", "status": "ok", "detail": "2"}]
    )
    assert models.diagnosis(services) == [["machine", "cores", "ok", "2", ""]]
    with pytest.raises(ValueError, match="mien doctor"):
        models.diagnosis(Services())


def test_the_bundled_model_is_loaded_with_a_hash_that_is_made_once(run):
    services = Services()
    with services.pipeline("drag", run) as pipe:
        first = pipe.weights_sha256()
        assert pipe.weights_sha256() is first and len(first) == 64
    facts = next(facts for facts in services.loaded() if facts["task"] == "drag")
    assert facts["pipeline"] == "DragPipeline" and facts["device"] == "cpu" and facts["parameters_m"] > 0.1


def test_nobody_loads_while_another_computes(run):
    services, seen = ToyServices(), []

    def other():
        with services.pipeline("drag"):
            seen.append("other")

    with services.pipeline("makeup", run):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.2)
        seen.append("mine")
    thread.join(10)
    assert seen == ["mine", "other"]


def test_who_is_stopped_while_waiting_gets_no_pipeline(run):
    services = ToyServices()
    run.stopping.set()
    with pytest.raises(Stopped), services.pipeline("makeup", run):
        pass
    assert not any(facts["loaded"] for facts in services.loaded())
