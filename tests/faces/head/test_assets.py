from __future__ import annotations

import shutil

import numpy as np
import pytest

from faces.head.assets import AssetError, _read_proxy, _read_target, find_folder
from faces.head.landmarks import landmark_vertices
from faces.head.obj import read_mesh


def test_missing_folder_names_what_was_expected(tmp_path, monkeypatch):
    monkeypatch.delenv("MIEN_MAKEHUMAN", raising=False)
    with pytest.raises(AssetError, match="--makehuman DIR or set MIEN_MAKEHUMAN"):
        find_folder()
    with pytest.raises(AssetError, match=r"base\.obj: missing; expected MakeHuman's base mesh hm08"):
        find_folder(tmp_path)


def test_damaged_target_names_the_file(tmp_path):
    path = tmp_path / "broken.target"
    path.write_text("# comment\n12 0.1 nonsense 0.2\n")
    with pytest.raises(AssetError, match=r"broken\.target: expected lines 'index dx dy dz'"):
        _read_target(path, np.arange(20))


def test_target_keeps_only_known_vertices(tmp_path):
    path = tmp_path / "some.target"
    path.write_text("# c\n3 .1 -.2 0\n9 1 1 1\n")
    index, offset = _read_target(path, np.array([1, 3, 5]))
    assert index.tolist() == [1]
    np.testing.assert_allclose(offset, [[0.1, -0.2, 0]], atol=1e-6)


def test_obj_reads_quads_triangles_and_groups(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text(
        "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 1\ng a\nf 1/1 2/2 3/2 4/1\ng b\nf 1/1 2/2 3/2\n"
    )
    mesh, groups = read_mesh(path)
    triangles, _ = mesh.triangles()
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 1, 2]]
    assert {name: index.tolist() for name, index in groups.items()} == {"a": [0], "b": [1]}


def test_obj_error_names_the_line(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("v 0 0 0\nv 1 x 0\n")
    with pytest.raises(ValueError, match=r"mesh\.obj:2: expected an \.obj line"):
        read_mesh(path)


def test_proxy_with_too_few_bindings_is_refused(makehuman, tmp_path):
    folder = tmp_path / "tongue01"
    shutil.copytree(f"{makehuman}/tongue/tongue01", folder)
    file = folder / "tongue01.mhclo"
    file.write_text("\n".join(file.read_text().splitlines()[:-5]))
    with pytest.raises(
        AssetError, match=r"tongue01\.mhclo: expected .* one binding for each of the 226 vertices"
    ):
        _read_proxy(file)


def test_landmarks_are_symmetric(assets):
    places = assets.base[landmark_vertices(assets)]
    for left, right in ((36, 45), (39, 42), (31, 35), (48, 54), (60, 64), (17, 26), (0, 16)):
        np.testing.assert_allclose(places[left] * [-1, 1, 1], places[right], atol=0.02)
    assert len(np.unique(landmark_vertices(assets))) == 68
