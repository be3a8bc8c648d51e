"""Bars, their JSON and the registry."""

from __future__ import annotations

import io
import json
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from gen.evaluation import bars
from gen.evaluation.bars import Bar


def line(**changes) -> Bar:
    given = {
        "name": "a",
        "value": 0.5,
        "bar": 0.4,
        "direction": ">=",
        "n": 7,
        "ci95": (0.3, 0.6),
        "control": 0.1,
    }
    return Bar(**(given | changes))


def test_a_line_passes_on_the_right_side_of_its_bar():
    assert line().passed
    assert line(value=0.4).passed
    assert not line(value=0.39).passed
    assert line(value=0.4, direction="<=").passed
    assert not line(value=0.41, direction="<=").passed
    assert not line(value=None).passed
    assert not line(value=math.nan, direction="<=").passed


def test_json_has_exactly_the_agreed_fields_and_no_nan():
    stored = line(value=math.nan, ci95=(0.1, math.inf), control=None).to_json()
    assert list(stored) == ["name", "value", "bar", "passed", "n", "ci95", "control", "domain"]
    assert stored["value"] is None and stored["ci95"] is None and stored["passed"] is False
    assert line().to_json()["ci95"] == [0.3, 0.6]


def test_evaluate_runs_the_registered_module_and_writes_json(tmp_path, monkeypatch):
    seen = []
    module = SimpleNamespace(measure=lambda settings: seen.append(settings) or [line(), line(value=0.1)])
    monkeypatch.setattr(bars.importlib, "import_module", lambda name: module)
    path = tmp_path / "deep" / "bars.json"
    result = bars.evaluate(
        "portrait", quick=True, json_path=path, model="folder", device="cpu", data=tmp_path
    )
    assert [bar.passed for bar in result] == [True, False]
    assert (seen[0].quick, seen[0].model, seen[0].data) == (True, "folder", tmp_path)
    assert [entry["passed"] for entry in json.loads(path.read_text())] == [True, False]
    assert [child.name for child in path.parent.iterdir()] == ["bars.json"]


def test_an_unknown_task_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match="unknown evaluation 'hats': choose one of perception, portrait"):
        bars.evaluate("hats")


def test_the_table_shows_every_line():
    console = Console(file=io.StringIO(), width=160)
    console.print(
        bars.as_table([line(name="good"), line(name="bad", value=None, domain="not measured: x")], "t")
    )
    text = console.file.getvalue()
    assert "pass" in text and "FAIL" in text and "not measured: x" in text and "0.3 .. 0.6" in text
