import numpy as np
import pytest

from pipelines.texture.camera import HeadCamera
from pipelines.texture.rasterizer import rasterize, render, sample_bilinear, vertex_normals
from tests.pipelines.texture_ellipsoid import ellipsoid, smooth_texture

# A camera at which a point (x, y) of the plane z = 0 is at pixel (x, -y).
FLAT = HeadCamera(
    rotation=np.eye(3), translation=np.array([0.0, 0.0, -10.0]), focal=10.0, centre=(0.0, 0.0), size=(8, 8)
)


def test_a_triangle_covers_the_centres_inside_it():
    vertices = np.array([[0.0, 0.0, 0.0], [0.0, -6.0, 0.0], [6.0, 0.0, 0.0]])
    raster = rasterize(vertices, np.array([[0, 1, 2]]), FLAT)
    x, y = np.meshgrid(np.arange(8) + 0.5, np.arange(8) + 0.5)
    assert np.array_equal(raster.mask, x + y <= 6)
    inside = raster.mask
    assert np.allclose(raster.weights[inside][:, 2], x[inside] / 6, atol=1e-6)
    assert np.allclose(raster.weights[inside][:, 1], y[inside] / 6, atol=1e-6)
    assert np.allclose(raster.depth[inside], 10) and np.isinf(raster.depth[~inside]).all()


def test_triangles_that_turn_away_are_left_out_unless_asked_for():
    vertices = np.array([[0.0, 0.0, 0.0], [0.0, -6.0, 0.0], [6.0, 0.0, 0.0]])
    away = np.array([[0, 2, 1]])
    assert not rasterize(vertices, away, FLAT).mask.any()
    assert rasterize(vertices, away, FLAT, cull=False).mask.sum() == 21


def test_weights_are_those_of_space_and_not_of_the_picture():
    # A strip that recedes: its far end is at twice the depth, where the middle of the picture is a third of the way.
    vertices = np.array([[0.0, 0.0, 0.0], [0.0, -8.0, 0.0], [16.0, 0.0, -10.0], [16.0, -16.0, -10.0]])
    triangles = np.array([[0, 1, 2], [1, 3, 2]])
    raster = rasterize(vertices, triangles, FLAT)
    depth = raster.interpolate(10.0 - vertices[:, 2:], triangles)[:, 0]
    assert np.allclose(depth, raster.depth[raster.mask], rtol=1e-5)
    along = raster.interpolate(vertices[:, :1] / 16, triangles)[:, 0].reshape(-1, 8)
    picture = (np.arange(8) + 0.5) / 8
    assert np.allclose(along, picture / (2 - picture), atol=1e-5)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_nearest_of_two_surfaces_is_seen(order):
    square = np.array([[0.0, 0.0, 0.0], [0.0, -8.0, 0.0], [8.0, 0.0, 0.0], [8.0, -8.0, 0.0]])
    near = square * [0.3, 0.5, 1] + [0, 0, 2.0]
    triangles = np.array([[0, 1, 2], [1, 3, 2], [4, 5, 6], [5, 7, 6]])
    parts = [triangles[:2], triangles[2:]]
    raster = rasterize(np.concatenate([square, near]), np.concatenate([parts[i] for i in order]), FLAT)
    x, y = np.meshgrid(np.arange(8) + 0.5, np.arange(8) + 0.5)
    hidden = (x < 3) & (y < 5)
    assert np.allclose(raster.depth, np.where(hidden, 8, 10))


def test_a_closed_surface_has_no_gaps_between_its_triangles():
    head = ellipsoid()
    camera = HeadCamera.portrait(head.mean, 96, yaw=33)
    raster = rasterize(head.mean, head.triangles, camera)
    rows = np.flatnonzero(raster.mask.any(1))
    for row in raster.mask[rows]:
        assert row[row.argmax() : len(row) - row[::-1].argmax()].all()
    assert np.allclose(raster.weights[raster.mask].sum(1), 1, atol=1e-5)
    points = raster.interpolate(head.mean, head.triangles)
    pixels, _ = camera.project(points)
    row, column = np.nonzero(raster.mask)
    assert np.allclose(pixels, np.column_stack([column, row]) + 0.5, atol=1e-3)


def test_triangles_at_and_behind_the_camera_are_left_out():
    vertices = np.array([[0.0, 0.0, 9.0], [0.0, -6.0, 12.0], [6.0, 0.0, 10.0]])
    assert not rasterize(vertices, np.array([[0, 1, 2]]), FLAT, cull=False).mask.any()


def test_the_texture_stands_upright_and_unlit_colours_are_its_own():
    vertices = np.array([[0.0, 0.0, 0.0], [0.0, -8.0, 0.0], [8.0, 0.0, 0.0], [8.0, -8.0, 0.0]])
    uv = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    texture = smooth_texture(8)
    drawn = render(vertices, np.array([[0, 1, 2], [1, 3, 2]]), uv, texture, FLAT, samples=1)
    assert np.allclose(drawn.picture, texture, atol=1e-5)
    assert (drawn.mask == 1).all()


def test_light_darkens_what_faces_away_and_nothing_else():
    head = ellipsoid()
    camera = HeadCamera.portrait(head.mean, 64)
    white = np.ones((4, 4, 3), np.float32)
    lit = render(head.mean, head.triangles, head.uv, white, camera, light=(1, 0, 0.2))
    assert lit.picture[32, 44, 0] > lit.picture[32, 20, 0] + 0.2
    plain = render(head.mean, head.triangles, head.uv, white, camera)
    assert np.allclose(plain.picture[plain.mask == 1], 1)
    assert ((plain.mask > 0) & (plain.mask < 1)).any()


def test_bilinear_reading_hits_centres_and_repeats_edges():
    image = np.arange(12, dtype=np.float32).reshape(3, 4, 1)
    points = np.array([[0.5, 0.5], [1.0, 0.5], [3.5, 2.5], [-3.0, 9.0], [2.0, 1.0]])
    assert sample_bilinear(image, points)[:, 0].tolist() == [0, 0.5, 11, 8, 3.5]


def test_normals_point_outwards_and_agree_across_a_seam():
    head = ellipsoid()
    sphere = head.mean / [0.75, 1.1, 0.9]
    normals = vertex_normals(head.mean, head.triangles)
    assert ((normals * sphere).sum(1) > 0).all()
    first = np.arange(len(head.mean))
    last_column = first.reshape(-1, 65)[:, -1].copy()
    first[last_column] -= 64
    joined = vertex_normals(head.mean, head.triangles, first)
    assert np.allclose(joined[last_column], joined[last_column - 64])
    assert not np.allclose(normals[last_column], normals[last_column - 64], atol=1e-3)
