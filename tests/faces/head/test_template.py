"""The grid over the assets' head, and textures drawn in its layout: each measured on real renders."""

from __future__ import annotations

import numpy as np
import pytest

from faces.head.camera import project
from faces.head.morph import MorphModel
from faces.head.scene import Shading
from faces.head.spec import Camera, State
from faces.head.template import (
    GridSampler,
    build_grid,
    grid_corners,
    grid_mirror,
    grid_triangles,
    grid_uv,
    head_chart,
)
from faces.head.textures import (
    MOST_MARKS,
    TexturePainter,
    draw_texture,
    visible_mark_vertices,
    with_marks,
)
from faces.rasterizer import cover

CELLS, SIZE = 64, 128
VIEWS = ((0, 0), (-35, 0), (35, 0), (0, 18), (0, -18))
HELD_OUT = 4321


@pytest.fixture(scope="module")
def chart(assets):
    return head_chart(assets, MorphModel(assets))


@pytest.fixture(scope="module")
def grid(assets):
    return build_grid(assets, people=60)


def plain(collection, number, **look):
    """A bald head at rest: what its texture shows, its picture shows."""
    spec = collection.sampler.spec(number)
    worn = spec.look.model_copy(update={"hair_style": "bald", "glasses": 0.0} | look)
    return spec.model_copy(update={"look": worn, "state": State(), "camera": Camera(distance=16)})


def views(renderer, spec):
    """Albedo pictures from all sides without lashes, which stand off the skin, and what was posed for them."""
    for yaw, pitch in VIEWS:
        turned = spec.model_copy(update={"state": State(yaw=yaw, pitch=pitch)})
        scene = renderer._scene(turned, open_mouth=False)
        scene.names.remove(("lashes", "lashes"))
        shading = Shading(albedo_only=True)
        with renderer._gl.gl:
            rgba = renderer._gl.draw_colour(scene, 1024, shading)
            truth = renderer._gl.draw_truth(scene, scene, 1024)
        yield scene, rgba, truth


def texel_points(chart, scene):
    """Where the template's texels are in a posed head, with their normals."""
    posed = np.concatenate([scene.shape.base, scene.shape.proxies["eyes"]])
    corners = grid_corners(chart, CELLS) @ posed
    triangles = grid_triangles(CELLS)
    ids, weights = cover(grid_uv(CELLS)[triangles] * SIZE, (SIZE, SIZE))
    a, b, c = np.moveaxis(corners[triangles], 1, 0)
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    return (corners[triangles[ids]] * weights[..., None]).sum(axis=2), normals[ids]


def seen_well(points, normals, scene, truth):
    """Texels that face the camera and that nothing hides, and their pixels."""
    ahead = scene.eye - points
    distance = np.linalg.norm(ahead, axis=-1)
    facing = (normals * ahead).sum(axis=-1) / distance
    pixels = project(scene.camera, points.reshape(-1, 3), 1024).reshape(*points.shape[:2], 2)
    column, row = np.clip(np.floor(pixels), 0, 1023).astype(int).transpose(2, 0, 1)
    inside = ((pixels > 1) & (pixels < 1023)).all(axis=-1)
    return inside & (facing > 0.7) & (np.abs(truth[0][row, column, 3] - distance) < 0.03), row, column


def test_pictures_show_what_the_texture_holds(collection, chart):
    """Bar: 28 dB on texels that are seen well, from five views and for heads of every kind."""
    renderer = collection.renderer
    vertices = visible_mark_vertices(renderer)
    for number in (1, 2, 5):
        spec = with_marks(plain(collection, number), np.random.default_rng(number), 4, vertices)
        texture = draw_texture(renderer, spec, SIZE).astype(np.float32)
        covered = np.zeros((SIZE, SIZE), bool)
        for scene, rgba, truth in views(renderer, spec):
            seen, row, column = seen_well(*texel_points(chart, scene), scene, truth)
            error = ((rgba[row, column, :3] - texture)[seen] ** 2).mean()
            covered |= seen
            assert 10 * np.log10(255**2 / error) >= 28
        assert covered.mean() > 0.5


def test_texture_is_that_of_one_head(collection):
    """Control of the bar above: the texture of somebody else is far off."""
    first, second = (
        draw_texture(collection.renderer, plain(collection, number), SIZE).astype(float) for number in (1, 5)
    )
    assert 10 * np.log10(255**2 / ((first - second) ** 2).mean()) < 24


def test_pose_lights_hair_and_glasses_leave_the_texture_alone(collection):
    spec = collection.sampler.spec(3)
    other = plain(collection, 3, glasses=0.0)
    assert spec.look.hair_style != "bald"
    painter = TexturePainter(collection.renderer, 32)
    np.testing.assert_array_equal(painter.draw(spec), painter.draw(other))


def test_every_mark_shows_on_one_side_alone(collection):
    renderer = collection.renderer
    spec = plain(collection, 1, makeup=(), beard=0.0)
    bare = spec.model_copy(update={"identity": spec.identity.model_copy(update={"marks": ()})})
    painter = TexturePainter(renderer, SIZE)
    clean = painter.draw(bare).astype(int)
    vertices = visible_mark_vertices(renderer)
    for seed in range(12):
        marked = with_marks(bare, np.random.default_rng(seed), 1, vertices)
        changed = np.abs(painter.draw(marked).astype(int) - clean).max(axis=2) > 12
        assert changed.sum() >= 2
        assert not (changed & changed[:, ::-1]).any()


def test_marks_are_added_to_those_there_are(collection):
    spec = plain(collection, 1)
    few = with_marks(spec, np.random.default_rng(0), 3, np.arange(5))
    many = with_marks(few, np.random.default_rng(1), MOST_MARKS, np.arange(5))
    assert many.identity.marks[:3] == few.identity.marks and len(many.identity.marks) == MOST_MARKS
    assert with_marks(many, np.random.default_rng(2), 1, np.arange(5)) == many
    with pytest.raises(ValueError, match="at most 8"):
        with_marks(spec, np.random.default_rng(0), MOST_MARKS + 1, np.arange(5))


def test_eyes_close_the_surface_and_the_mouth_is_no_part_of_it(chart):
    hits = chart.texels(256)
    assert 0.005 < chart.is_eye[hits.triangle].mean() < 0.02
    points = (chart.mean[chart.triangles[hits.triangle]] * hits.weights[..., None]).sum(axis=2)
    x, y, z = np.moveaxis(points, -1, 0)
    lips = (np.abs(x) < 0.2) & (np.abs(y - 6.61) < 0.06) & (z > 0)
    assert lips.sum() > 100 and z[lips].min() > 1.35


def test_a_place_of_the_chart_is_where_its_point_lies(chart):
    hits = chart.texels(64)
    points = (chart.mean[chart.triangles[hits.triangle]] * hits.weights[..., None]).sum(axis=2)
    places, _ = chart.place(points[16:56, 8:56].reshape(-1, 3))
    expected = np.stack(np.meshgrid(np.arange(8, 56) + 0.5, np.arange(16, 56) + 0.5), axis=-1) / 64
    assert np.abs(places - expected.reshape(-1, 2)).max() < 0.01


def test_both_sides_of_the_grid_follow_the_same_surface(assets, chart):
    """Else the two corners of the mouth would part in different ways."""
    corners = grid_corners(chart, CELLS)
    np.testing.assert_allclose(np.asarray(corners.sum(axis=1)).ravel(), 1, atol=1e-5)
    moved = np.zeros_like(assets.base)
    for race in ("african", "asian", "caucasian"):
        index, offset = assets.targets[f"expression/units/{race}/mouth-open"]
        moved[index] += offset / 3
    for base in (assets.base, assets.base + moved):
        vertices = corners @ chart.vertices(base)
        np.testing.assert_allclose(vertices[grid_mirror(CELLS)] * [-1, 1, 1], vertices, atol=2e-3)


def test_the_mean_head_is_symmetric_and_closed_at_the_back(grid):
    np.testing.assert_array_equal(grid.mean[grid.mirror_vertices] * [-1, 1, 1], grid.mean)
    rows = grid.mean.reshape(CELLS + 1, CELLS + 1, 3)
    np.testing.assert_array_equal(rows[:, 0], rows[:, -1])
    corners = grid.mean[grid.triangles]
    outward = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing = (outward * corners.mean(axis=1)).sum(axis=1) > 0
    assert facing.mean() > 0.97  # folds of the ears look back
    face = corners[..., 2].min(axis=1) > 0.6
    assert facing[face].mean() > 0.995


def test_held_out_heads_are_spanned(assets):
    """Bars for 200 sampled heads: 2 mm at rest, landmarks within 3 % of the distance of the outer eye corners."""
    grid = build_grid(assets, people=200)
    assert grid.shape_share > 0.96 and grid.expression_share > 0.98
    model = MorphModel(assets)
    sampler = GridSampler(assets, model, head_chart(assets, model), CELLS, HELD_OUT)
    errors, shares, plainly = [], [], []
    for number in range(12):
        vertices, landmarks = sampler.rest(number)
        spanned = grid.mean + spanned_by(grid.shape_basis, vertices - grid.mean)
        moved, moved_landmarks = sampler.moved(number)
        both = spanned + spanned_by(grid.expression_basis, moved)
        followed = (both[grid.landmark_vertices] * grid.landmark_weights[..., None]).sum(axis=1)
        away = np.linalg.norm(followed - landmarks - moved_landmarks, axis=1)
        errors.append(100 * np.sqrt(((spanned - vertices) ** 2).sum(axis=1).mean()))
        plainly.append(100 * np.sqrt(((grid.mean - vertices) ** 2).sum(axis=1).mean()))
        shares.append(away.mean() / np.linalg.norm(landmarks[36] - landmarks[45]))
    assert np.mean(errors) < 2 and np.mean(errors) < 0.4 * np.mean(plainly)
    assert np.mean(shares) < 0.03


def test_fewer_people_than_components_are_refused(assets):
    with pytest.raises(ValueError, match="more than 24"):
        build_grid(assets, people=20)


def test_the_mirror_of_a_lattice_undoes_itself():
    mirror = grid_mirror(6)
    np.testing.assert_array_equal(mirror[mirror], np.arange(49))
    np.testing.assert_allclose(
        grid_uv(6)[mirror] + grid_uv(6) * [1, -1], np.tile([1.0, 0.0], (49, 1)), atol=1e-6
    )


def spanned_by(basis, offsets):
    flat = basis.reshape(len(basis), -1)
    coefficients = np.linalg.lstsq(flat.T, offsets.ravel(), rcond=None)[0]
    return (coefficients @ flat).reshape(offsets.shape)
