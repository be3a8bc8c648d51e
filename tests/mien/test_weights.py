"""Where bundled weights are found."""

import pytest

import weights


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("mini", "judge", "__pycache__", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


def test_available_lists_folders_of_weights_only(folder):
    assert weights.available() == {"judge": folder / "judge", "mini": folder / "mini"}


def test_bundled_is_the_folder(folder):
    assert weights.bundled("mini") == folder / "mini"


@pytest.mark.parametrize("name", ["", "mimi", "file", "..", "mini/..", "__pycache__", ".hidden", "../judge"])
def test_anything_else_names_what_there_is(folder, name):
    with pytest.raises(FileNotFoundError, match="bundled are: judge, mini"):
        weights.bundled(name)


def test_nothing_bundled_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match="bundled are: none"):
        weights.bundled("mini")
