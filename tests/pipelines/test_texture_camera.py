import numpy as np
import pytest
import torch

from faces.alignment import transform_points
from faces.head.morph import euler_rotation
from pipelines.texture.camera import HeadCamera, as_array, as_size
from tests.pipelines.texture_ellipsoid import ellipsoid


def camera(**changes):
    given = {
        "rotation": np.eye(3),
        "translation": np.array([0.0, 0.0, -10.0]),
        "focal": 500.0,
        "centre": (64.0, 60.0),
        "size": (128, 120),
    }
    return HeadCamera(**(given | changes))


def test_a_point_is_seen_right_of_and_above_the_middle_by_focal_over_depth():
    pixels, depth = camera().project(np.array([1.0, 0.5, 2.0]))
    assert depth == 8.0
    assert np.allclose(pixels, [64 + 500 / 8, 60 - 250 / 8])


def test_points_behind_the_camera_have_no_positive_depth():
    _, depth = camera().project(np.array([[0.0, 0.0, 10.0], [0.0, 0.0, 12.0]]))
    assert depth.tolist() == [0.0, -2.0]


def test_positive_yaw_turns_the_nose_to_the_right_and_positive_pitch_up():
    nose = np.array([0.0, 0.0, 1.0])
    right, _ = camera(rotation=euler_rotation(20, 0, 0)).project(nose)
    up, _ = camera(rotation=euler_rotation(0, 20, 0)).project(nose)
    assert right[0] > 70 and right[1] == pytest.approx(60)
    assert up[1] < 54 and up[0] == pytest.approx(64)


@pytest.mark.parametrize("angles", [(20, 10, -7), (-70, -20, 30), (0, 0, 0)])
def test_angles_invert_the_rotation_of_rendered_heads(angles):
    assert camera(rotation=euler_rotation(*angles)).angles == pytest.approx(angles, abs=1e-4)


def test_view_directions_end_at_the_camera():
    turned = camera(rotation=euler_rotation(30, 10, 5).astype(np.float64))
    points = np.array([[0.3, -0.2, 0.9], [0.0, 0.0, 0.0]])
    distance = np.linalg.norm(turned.position - points, axis=1, keepdims=True)
    assert np.allclose(points + turned.view_directions(points) * distance, turned.position)
    assert np.allclose(turned.position @ turned.rotation.T + turned.translation, 0, atol=1e-6)


def test_scaling_the_picture_scales_pixels():
    points = np.random.default_rng(0).normal(0, 1, (9, 3))
    assert np.allclose(camera().scaled((256, 240)).project(points)[0], camera().project(points)[0] * 2)
    with pytest.raises(ValueError, match="128 x 120"):
        camera().scaled(256)


def test_a_similarity_of_the_picture_moves_all_points_by_it():
    matrix = np.array([[1.2, -0.9, 30.0], [0.9, 1.2, -12.0]])
    points = np.random.default_rng(1).normal(0, 1, (9, 3))
    moved = camera(rotation=euler_rotation(25, -8, 3)).transformed(matrix, (400, 300))
    wanted = transform_points(camera(rotation=euler_rotation(25, -8, 3)).project(points)[0], matrix)
    assert np.allclose(moved.project(points)[0], wanted, atol=1e-4)
    assert moved.size == (400, 300)


@pytest.mark.parametrize("yaw", [0, 70, 180])
def test_a_portrait_holds_the_whole_head_at_any_angle(yaw):
    vertices = ellipsoid().mean
    seen = HeadCamera.portrait(vertices, (100, 160), yaw=yaw, pitch=15)
    pixels, depth = seen.project(vertices)
    assert (pixels > 0).all() and (pixels < (100, 160)).all() and (depth > 0).all()
    assert np.ptp(pixels[:, 1]) > 70


def test_unusable_cameras_are_refused():
    with pytest.raises(ValueError, match="orthonormal"):
        camera(rotation=np.ones((3, 3)))
    with pytest.raises(ValueError, match="focal"):
        camera(focal=-1.0)
    with pytest.raises(ValueError, match="inside the head"):
        HeadCamera.portrait(ellipsoid().mean, 64, distance=0.5)
    with pytest.raises(ValueError, match="expected a side"):
        as_size((3, 4, 5))


def test_tensors_become_arrays_and_halves_singles():
    assert as_array(torch.ones(2, dtype=torch.float16)).dtype == np.float32
    assert as_array(torch.ones(2, dtype=torch.int16)).dtype == np.int16
    assert as_array(torch.nn.Parameter(torch.arange(3.0))).tolist() == [0, 1, 2]
