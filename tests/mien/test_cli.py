"""The command line: what reaches the packages, exit statuses, one-line errors, start-up time."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mien
from gen.evaluation.bars import Bar
from mien.cli import app

COMMANDS = (
    "doctor",
    "demo",
    "heads",
    "train",
    "portrait",
    "makeup",
    "drag",
    "texture",
    "generate",
    "evaluate",
)


@pytest.fixture
def run():
    runner = CliRunner(env={"COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1"})

    def invoke(*arguments):
        return runner.invoke(app, [str(argument) for argument in arguments], prog_name="mien")

    return invoke


def refuse(error):
    def raising(*_, **__):
        raise error

    return raising


def test_help_names_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    assert all(re.search(rf"\b{command}\b", result.output) for command in COMMANDS)


def test_version(run):
    result = run("--version")
    assert (result.exit_code, result.output.strip()) == (0, mien.__version__)


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"], ["heads", "--count", "8"], ["heads", "--count", "0", "--out", "x"], ["portrait"],
        ["generate", "identities"], ["evaluate"], ["portrait", "x.jpg", "--count", "many"],
        ["heads", "--count", "1", "--out", "x", "--size", "8"], ["demo", "--colour"],
        ["generate", "identities", "--out", "x", "--format", "zip"], ["generate", "faces"],
        ["generate", "expressions"], ["generate", "expressions", "--out", "x", "--per-class", "0"],
        ["generate", "makeup"], ["generate", "makeup", "--out", "x", "--styles", "0"],
        ["drag"], ["drag", "x.jpg", "--steps", "0"],
        ["texture"], ["texture", "x.jpg", "--mode", "mix"],
    ],
)  # fmt: skip
def test_wrong_usage_is_2(run, arguments):
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize(
    "error",
    [
        ValueError("photo.jpg: two\n  lines"), FileNotFoundError("photo.jpg: two lines"),
        ImportError("photo.jpg: two lines"), RuntimeError("photo.jpg: two lines"),
    ],
)  # fmt: skip
def test_expected_errors_are_1_and_one_line(run, monkeypatch, error):
    monkeypatch.setattr("faces.head.dataset.write_heads", refuse(error))
    result = run("heads", "--count", 1, "--out", "x")
    assert result.exit_code == 1
    lines = [line for line in result.stderr.splitlines() if "photo.jpg" in line]
    assert lines == ["mien: photo.jpg: two lines"]
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_debug_shows_the_error_itself(run, monkeypatch):
    error = ValueError("photo.jpg: too small")
    monkeypatch.setattr("faces.head.dataset.write_heads", refuse(error))
    result = run("--debug", "heads", "--count", 1, "--out", "x")
    assert result.exit_code == 1
    assert result.exception is error


def test_a_bug_is_not_disguised(run, monkeypatch):
    error = KeyError("yaw")
    monkeypatch.setattr("faces.head.dataset.write_heads", refuse(error))
    assert run("heads", "--count", 1, "--out", "x").exception is error


def test_an_error_without_words_has_a_name(run, monkeypatch):
    monkeypatch.setattr("faces.head.dataset.write_heads", refuse(ValueError()))
    assert "mien: ValueError" in run("heads", "--count", 1, "--out", "x").stderr


def test_heads_passes_everything_on(run, monkeypatch, tmp_path):
    seen = {}

    def write_heads(**given):
        seen.update(given)
        given["progress"](given["count"])
        return Path(given["out"])

    monkeypatch.setattr("faces.head.dataset.write_heads", write_heads)
    arguments = [
        "--count",
        6,
        "--size",
        64,
        "--seed",
        3,
        "--workers",
        2,
        "--makehuman",
        tmp_path,
        "--out",
        "o",
    ]
    arguments += ["--states", "units", "--materials", "seen", "--makeup", "shared", "--motion"]
    result = run("heads", *arguments, "--pictures-per-identity", 2, "--look", "second", "--calm", 0.8)
    assert result.exit_code == 0
    del seen["progress"]
    assert seen == {
        "count": 6, "size": 64, "seed": 3, "workers": 2, "makehuman": tmp_path, "out": Path("o"),
        "pictures_per_identity": 2, "look": "second", "calm": 0.8, "states": "units", "materials": "seen",
        "makeup": "shared", "motion": True,
    }  # fmt: skip
    assert result.stdout.strip() == "6 heads in o"


def test_heads_reads_the_assets_folder_from_the_environment(run, monkeypatch, tmp_path):
    monkeypatch.setenv("MIEN_MAKEHUMAN", str(tmp_path))
    result = run("heads", "--count", 1, "--out", tmp_path / "o")
    assert result.exit_code == 1
    assert "base.obj: missing" in result.stderr


@pytest.mark.parametrize("status", [0, 2])
def test_train_passes_words_and_status_through(run, monkeypatch, status):
    seen = []

    def main(arguments):
        seen.extend(arguments)
        return status

    monkeypatch.setattr("train.__main__.main", main)
    result = run("train", "vae", "steps=3", "--resume", "optimizer.lr=1e-4", "--help")
    assert result.exit_code == status
    assert seen == ["vae", "steps=3", "--resume", "optimizer.lr=1e-4", "--help"]


def line(name: str, passed: bool) -> Bar:
    return Bar(name=name, value=float(passed), bar=0.5, direction=">=", n=9)


@pytest.fixture
def evaluation(monkeypatch):
    seen = {}

    def install(*lines):
        def evaluate(*given, **named):
            seen["given"], seen["named"] = given, named
            named["progress"]("renders", 0.5)
            return list(lines)

        monkeypatch.setattr("gen.evaluation.bars.evaluate", evaluate)
        monkeypatch.setattr(
            "gen.evaluation.bars.as_table", lambda lines, title: f"{title}: {len(lines)} bars"
        )
        return seen

    return install


def test_evaluate_is_0_when_all_pass(run, evaluation, tmp_path):
    seen = evaluation(line("identity", True), line("pose", True))
    result = run("evaluate", "portrait", "--quick", "--json", tmp_path / "bars.json")
    assert result.exit_code == 0
    assert result.stdout.strip() == "portrait, quick: 2 bars"
    assert seen["given"] == ("portrait", True, tmp_path / "bars.json", "mini", None)


def test_evaluate_is_1_when_one_fails_and_names_it(run, evaluation):
    evaluation(line("identity", True), line("pose", False))
    result = run("evaluate", "portrait")
    assert result.exit_code == 1
    assert "1 of 2 bars hold; missed: pose" in result.stdout


def test_evaluate_writes_a_page_beside_its_plots(run, evaluation, monkeypatch, tmp_path):
    evaluation(line("identity", True))
    written = {}
    monkeypatch.setattr(
        "mien.page.write_evaluation", lambda *given: written.update(given=given) or tmp_path / "index.html"
    )
    assert run("evaluate", "portrait", "--plots", tmp_path).exit_code == 0
    assert written["given"] == ("portrait", [line("identity", True)], "mien evaluate portrait", tmp_path)


def test_evaluate_refuses_an_unknown_task(run):
    result = run("evaluate", "hands")
    assert result.exit_code == 1
    assert "portrait, identities" in result.stderr


def test_doctor_prints_json_for_programs(run, monkeypatch):
    from mien.doctor import Finding

    finding = Finding(group="machine", name="python", status="ok", detail="3.11")
    monkeypatch.setattr("mien.doctor.examine", lambda: [finding])
    result = run("doctor", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == [
        {"group": "machine", "name": "python", "status": "ok", "detail": "3.11", "fix": ""}
    ]


def test_doctor_is_1_when_something_is_broken(run, monkeypatch):
    from mien.doctor import Finding

    finding = Finding(
        group="packages", name="torch", status="broken", detail="not installed", fix="pip install torch"
    )
    monkeypatch.setattr("mien.doctor.examine", lambda: [finding])
    result = run("doctor")
    assert result.exit_code == 1
    assert "pip install torch" in result.stdout


def test_demo_hands_its_settings_over(run, monkeypatch, tmp_path):
    seen = []

    def demo(settings):
        seen.append(settings)
        return settings.out / "index.html"

    monkeypatch.setattr("mien.demo.run", demo)
    result = run("demo", "--reference", "me.jpg", "--out", tmp_path, "--identities", 8)
    assert result.exit_code == 0
    assert result.stdout.strip() == f"Open {tmp_path / 'index.html'}"
    assert (seen[0].photo, seen[0].identities) == (Path("me.jpg"), 8)


def test_start_up_is_fast_and_light():
    """`mien --help` takes less than a second; work is counted, not the clock, because tests share the machine."""
    code = (
        "import sys, time; import mien.cli; took = time.process_time();"
        "heavy = {'torch', 'numpy', 'diffusers', 'transformers', 'PIL', 'pydantic', 'matplotlib'} & set(sys.modules);"
        "sys.stdout.write(f'{took} {sorted(heavy)}')"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    took, heavy = out.split(" ", 1)
    assert heavy == "[]"
    assert float(took) < 1.5
