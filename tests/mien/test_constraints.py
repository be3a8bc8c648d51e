"""The tested versions: exact, complete for what is installed here, and without torchvision."""

import importlib.util
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = [
    line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


PINNED = {normalised(line.split("==")[0]): line.split("==")[1] for line in LINES}


def test_every_line_pins_one_version():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line) for line in LINES)
    assert len(PINNED) == len(LINES)


def test_torch_is_pinned_without_a_build():
    assert PINNED["torch"] == "2.13.0"


def test_torchvision_is_neither_pinned_nor_present():
    assert "torchvision" not in PINNED
    assert importlib.util.find_spec("torchvision") is None


def test_default_and_test_dependencies_are_pinned():
    wanted = PROJECT["dependencies"] + [
        line for extra in ("render", "test") for line in PROJECT["optional-dependencies"][extra]
    ]
    names = {normalised(re.match(r"[A-Za-z0-9._-]+", line).group()) for line in wanted}
    assert names - PINNED.keys() == set()


@pytest.mark.parametrize(
    "name", ["torch", "diffusers", "transformers", "accelerate", "numpy", "gradio", "peft"]
)
def test_this_environment_is_the_tested_one(name):
    assert metadata.version(name).split("+")[0] == PINNED[name]


def test_no_default_dependency_is_what_only_extras_need():
    default = {normalised(re.match(r"[A-Za-z0-9._-]+", line).group()) for line in PROJECT["dependencies"]}
    assert not default & {
        "moderngl",
        "xformers",
        "ray",
        "insightface",
        "mediapipe",
        "onnxruntime",
        "torchvision",
    }
