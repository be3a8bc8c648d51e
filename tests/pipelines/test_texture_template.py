"""The template: blending, landmarks, texels, the layout it makes, and what a folder keeps of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from faces.head.template import HeadGrid, grid_mirror, grid_triangles, grid_uv
from pipelines.texture import build
from pipelines.texture.layout import LayoutMismatch
from pipelines.texture.template import HeadTemplate

CELLS, SHAPES, EXPRESSIONS = 8, 3, 2


def toy_grid(**changed):
    """A cap of a sphere, wider than high."""
    uv, random = grid_uv(CELLS), np.random.default_rng(0)
    turn, tilt = (uv[:, 0] - 0.5) * 2, (0.5 - uv[:, 1]) * 2
    mean = np.column_stack([np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)])
    count = len(uv)
    content = {
        "mesh_id": "toy-cap",
        "mean": mean.astype(np.float32),
        "shape_basis": (random.normal(0, 0.1, (SHAPES, count, 3))).astype(np.float32),
        "expression_basis": (random.normal(0, 0.1, (EXPRESSIONS, count, 3))).astype(np.float32),
        "triangles": grid_triangles(CELLS),
        "uv": uv,
        "landmark_vertices": random.integers(0, count, (68, 3)),
        "landmark_weights": np.tile(np.float32([0.5, 0.25, 0.25]), (68, 1)),
        "mirror_vertices": grid_mirror(CELLS),
        "shape_share": 1.0,
        "expression_share": 1.0,
    }
    return HeadGrid(**content | changed)


@pytest.fixture
def template():
    return HeadTemplate.from_grid(toy_grid(), size=16)


def test_coefficients_blend_the_bases(template):
    grid = toy_grid()
    shape, expression = torch.tensor([[0.0, 0, 0], [0, 2, 0]]), torch.tensor([[0.0, 0], [0, -1]])
    vertices = template.vertices(shape, expression)
    assert vertices.shape == (2, (CELLS + 1) ** 2, 3)
    np.testing.assert_allclose(vertices[0], grid.mean)
    expected = grid.mean + 2 * grid.shape_basis[1] - grid.expression_basis[1]
    np.testing.assert_allclose(vertices[1], expected, atol=1e-6)


def test_half_precision_is_computed_in_full(template):
    half = template.half()
    vertices = half.vertices(torch.ones(1, SHAPES).half(), torch.ones(1, EXPRESSIONS).half())
    assert vertices.dtype == torch.float32 and half.landmarks_of(vertices).dtype == torch.float32
    exact = toy_grid().mean + toy_grid().shape_basis.sum(0) + toy_grid().expression_basis.sum(0)
    np.testing.assert_allclose(vertices[0], exact, atol=2e-3)


@pytest.mark.parametrize(
    "wrong", [(torch.zeros(1, 2), torch.zeros(1, 2)), (torch.zeros(1, 3), torch.zeros(2))]
)
def test_other_counts_of_coefficients_are_refused(template, wrong):
    with pytest.raises(ValueError, match="coefficients"):
        template.vertices(*wrong)


def test_landmarks_are_shares_of_vertices(template):
    grid = toy_grid()
    vertices = torch.from_numpy(np.stack([grid.mean, grid.mean + 1]))
    landmarks = template.landmarks_of(vertices)
    expected = (grid.mean[grid.landmark_vertices] * [[[0.5], [0.25], [0.25]]]).sum(axis=1)
    np.testing.assert_allclose(landmarks[0], expected, atol=1e-6)
    np.testing.assert_allclose(landmarks[1], expected + 1, atol=1e-6)


def test_gradients_reach_the_coefficients(template):
    shape = torch.zeros(1, SHAPES, requires_grad=True)
    template.landmarks_of(template.vertices(shape, torch.zeros(1, EXPRESSIONS))).sum().backward()
    assert shape.grad is not None and (shape.grad != 0).all()
    assert not any(parameter.requires_grad for parameter in template.parameters())


@pytest.mark.parametrize("size", [16, 17])
def test_a_point_of_a_texel_has_its_texture_place(template, size):
    places = np.column_stack([toy_grid().uv, np.zeros(len(toy_grid().uv))]).astype(np.float32)
    points = template.texel_points(torch.from_numpy(places[None]), size)
    centres = (np.arange(size) + 0.5) / size
    np.testing.assert_allclose(points[0, :, :, 0], np.tile(centres, (size, 1)), atol=1e-5)
    np.testing.assert_allclose(points[0, :, :, 1].T, np.tile(centres, (size, 1)), atol=1e-5)


def test_a_symmetric_layout_mirrors_by_a_flip(template):
    layout = template.layout()
    assert layout.size == 16 and layout.valid.all() and layout.v_down and layout.mesh_id == "toy-cap"
    assert set(np.unique(layout.charts)) == {1}
    texture = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    np.testing.assert_allclose(layout.mirrored(texture), texture[:, ::-1], atol=1e-5)


def test_an_asymmetric_layout_mirrors_by_its_vertices():
    """The right half is squeezed: a flip would be wrong there, and the mirror image of a mirror image is the place."""
    uv = grid_uv(CELLS)
    uv[:, 0] = np.where(uv[:, 0] > 0.5, 0.8 * uv[:, 0] ** 2 - 0.2 * uv[:, 0] + 0.4, uv[:, 0])
    layout = HeadTemplate.from_grid(toy_grid(uv=uv)).layout(64)
    x = np.tile(np.arange(64) + 0.5, (64, 1))
    assert np.abs(layout.mirror[..., 0] - (64 - x)).max() > 2
    twice = layout.mirrored(layout.mirror)
    inner = np.s_[2:-2, 2:-2]
    np.testing.assert_allclose(twice[..., 0][inner], x[inner], atol=0.2)


def test_texels_beyond_the_mesh_are_invalid_and_charts_are_told_apart():
    uv = grid_uv(CELLS) * [0.5, 1] + [0.25, 0]
    grid = toy_grid(uv=uv.astype(np.float32))
    cut = grid.uv[grid.triangles].mean(axis=1)
    halves = grid.triangles[np.abs(cut[:, 0] - 0.5) > 0.0625]
    layout = HeadTemplate.from_grid(toy_grid(uv=grid.uv, triangles=halves)).layout(32)
    assert not layout.valid[:, :8].any() and not layout.valid[:, 24:].any()
    assert set(np.unique(layout.charts)) == {0, 1, 2}
    assert len(set(layout.charts[:, 9])) == 1 and layout.charts[0, 9] != layout.charts[0, 22]
    np.testing.assert_array_equal(layout.mirror[0, 0], [0.5, 0.5])


def test_a_folder_keeps_everything_in_fp16(template, tmp_path):
    template.half().save_pretrained(tmp_path)
    loaded = HeadTemplate.from_pretrained(tmp_path)
    assert loaded.config.mesh_id == "toy-cap" and loaded.config.size == 16
    for name in ("triangles", "landmark_vertices", "mirror_vertices"):
        found, expected = getattr(loaded, name), getattr(template, name)
        assert found.dtype == torch.int64 and torch.equal(found, expected)
    torch.testing.assert_close(loaded.mean, template.mean.float())
    np.testing.assert_array_equal(loaded.uv, toy_grid().uv)  # eighths are exact in fp16
    loaded.layout().require(template.layout())


def test_another_mesh_is_refused(template):
    other = HeadTemplate.from_grid(toy_grid(mesh_id="hifi3d"), size=16)
    with pytest.raises(LayoutMismatch, match="mesh_id is 'hifi3d', expected 'toy-cap'"):
        template.layout().require(other.layout())


def test_more_vertices_than_a_number_counts_are_refused():
    with pytest.raises(ValueError, match="at most 32767"):
        HeadTemplate(vertex_count=40_000, triangle_count=1)


def test_the_command_writes_what_loads(monkeypatch, tmp_path):
    asked = {}

    def build_grid(assets, *, people, seed):
        asked.update(assets=assets, people=people, seed=seed)
        return toy_grid()

    monkeypatch.setattr(build, "load_assets", lambda folder: f"assets of {folder}")
    monkeypatch.setattr(build, "build_grid", build_grid)
    build.main([str(tmp_path), "--makehuman", "there", "--people", "30", "--seed", "4", "--size", "32"])
    assert asked == {"assets": "assets of there", "people": 30, "seed": 4}
    assert HeadTemplate.from_pretrained(tmp_path).config.size == 32
