"""Rules of the house that a reader of the repository would otherwise have to remember."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("faces", "gen", "mien", "pipelines", "train", "ui", "weights")
FORBIDDEN = {
    "faces": {"gen", "train", "pipelines", "ui", "mien", "app", "diffusers"},
    "pipelines": {"gen", "train", "ui", "mien", "app"},
    "gen": {"train", "ui", "mien", "app"},
    "train": {"gen", "ui", "mien", "app"},
    "ui": {"mien", "app"},
    "mien": {"app"},
    "weights": {"faces", "gen", "train", "pipelines", "ui", "mien", "app"},
}
"""Package -> what it must not import: imports go one way."""
DEVICE_MODULE = Path("pipelines/device.py")
MAX_LINES = 400
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc"}


def tracked(*suffixes: str) -> list[Path]:
    """Files that git knows, or in an unpacked source archive all files of the packages and tests."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    names = [Path(line) for line in listed.splitlines()]
    if not names:
        names = [path.relative_to(ROOT) for top in (*PACKAGES, "tests") for path in (ROOT / top).rglob("*")]
    return [path for path in names if path.suffix in suffixes and (ROOT / path).is_file()]


PYTHON = tracked(".py")
SOURCES = [path for path in PYTHON if path.parts[0] in (*PACKAGES, "bench") or path == Path("app.py")]


def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_the_search_finds_the_sources():
    assert {path.parts[0] for path in SOURCES} >= {"faces", "gen", "mien", "pipelines", "train"}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_go_one_way(package):
    wrong = {
        str(path): sorted(found)
        for path in SOURCES
        if path.parts[0] == package and (found := imports(path) & FORBIDDEN[package])
    }
    assert wrong == {}


def test_nothing_imports_torchvision():
    assert [str(path) for path in PYTHON if "torchvision" in imports(path)] == []


def test_device_names_stand_in_one_module():
    """A string that is, or starts with, the name of an accelerator; prose in docstrings is free."""
    name = re.compile(r"cuda(:\d+)?")
    wrong = []
    for path in SOURCES:
        if path == DEVICE_MODULE:
            continue
        for node in ast.walk(tree(path)):
            is_text = (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and name.fullmatch(node.value)
            )
            is_call = isinstance(node, ast.Attribute) and node.attr == "cuda"
            if is_text or is_call:
                wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


def test_no_file_edits_the_search_path():
    edit = re.compile(r"sys\.path\s*(\[|=|\+=|\.(insert|append|extend))")
    own = Path(__file__).relative_to(ROOT)
    assert [str(path) for path in PYTHON if path != own and edit.search((ROOT / path).read_text())] == []


def test_no_file_is_too_long():
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in PYTHON}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_module_is_a_drawer_of_leftovers():
    assert [str(path) for path in SOURCES if path.stem in DRAWERS] == []


def test_nothing_is_left_unfinished():
    mark = re.compile(r"raise NotImplementedError|\b(TODO|FIXME)\b")
    assert [str(path) for path in SOURCES if mark.search((ROOT / path).read_text())] == []


def test_no_path_of_one_machine():
    private = re.compile(r"(?<![\w.])/(?:root|home|mnt|work)/\w")
    own = Path(__file__).relative_to(ROOT)
    texts = tracked(".py", ".md", ".toml", ".yaml", ".yml", ".txt", ".json")
    assert [str(path) for path in texts if path != own and private.search((ROOT / path).read_text())] == []


def test_every_package_is_installed_with_its_modules():
    """A folder with modules but without __init__.py is silently left out of the wheel."""
    folders = {path.parent for path in SOURCES if path.parts[0] in PACKAGES}
    assert [str(folder) for folder in folders if not (ROOT / folder / "__init__.py").is_file()] == []


def test_names_of_test_modules_are_unique():
    """Test folders are not packages, so two modules of one name would hide each other."""
    names = Counter(path.stem for path in PYTHON if path.parts[0] == "tests" and path.stem != "conftest")
    assert [name for name, count in names.items() if count > 1 and name != "__init__"] == []


def test_weights_fit_the_budget():
    sizes = [(ROOT / path).stat().st_size for path in tracked(".safetensors", ".json", ".txt", ".npz", ".parquet")
             if path.parts[0] == "weights"]  # fmt: skip
    assert sum(sizes) <= 64 * 2**20
