import numpy as np
import pytest

from faces.head.morph import euler_rotation
from pipelines.texture.camera import HeadCamera
from pipelines.texture.fitting import _Problem, _State, fit
from pipelines.texture.rasterizer import rasterize
from pipelines.texture.silhouette import Silhouette
from tests.pipelines.texture_ellipsoid import ellipsoid

BASIS = np.concatenate([ellipsoid().shape_basis, ellipsoid().expression_basis])


def seen(yaw=0.0, seed=0, size=128, amount=1.0):
    """Coefficients, vertices, camera and landmarks (68, 2) of a head."""
    coefficients = amount * np.random.default_rng(seed).normal(0, 1, len(BASIS))
    vertices = ellipsoid().mean + np.tensordot(coefficients, BASIS, 1)
    camera = HeadCamera.portrait(vertices, size, yaw=yaw, pitch=6)
    return coefficients, vertices, camera, camera.project(ellipsoid().landmarks_of(vertices[None])[0])[0]


@pytest.mark.parametrize("yaw", [0, 35, -60])
def test_the_head_of_exact_landmarks_is_found(yaw):
    coefficients, vertices, camera, landmarks = seen(yaw, seed=3)
    found = fit(ellipsoid(), landmarks, 128, noise=0.002)
    assert found.residual < 1e-3
    assert np.allclose(np.concatenate([found.shape, found.expression]), coefficients, atol=0.15)
    assert found.camera.angles[0] == pytest.approx(camera.angles[0], abs=3)
    assert np.abs(found.vertices - vertices).max() < 0.03
    assert np.allclose(found.camera.project(found.vertices)[0], camera.project(vertices)[0], atol=0.6)


def test_landmarks_of_the_result_are_those_that_its_camera_sees():
    found = fit(ellipsoid(), seen(20, seed=1)[3], (128, 128))
    points = ellipsoid().landmarks_of(found.vertices[None])[0]
    assert np.allclose(found.camera.project(points)[0], found.landmarks, atol=1e-3)
    assert found.camera.size == (128, 128)


def test_derivatives_are_those_of_the_residuals():
    problem = _Problem(ellipsoid(), seen(25, seed=2)[3], 0.02)
    problem.sliding = (
        np.array([500, 700]),
        np.array([[40.0, 60.0], [80.0, 70.0]]),
        np.array([[0.6, 0.8], [1.0, 0.0]]),
    )
    state = _State(
        rotation=euler_rotation(20, 5, 3).astype(np.float64),
        place=np.array([0.1, -0.2]),
        scale=40.0,
        closeness=0.07,
        coefficients=np.linspace(-1, 1, len(BASIS)),
    )
    _, slopes = problem._linearized(state)
    for parameter in range(slopes.shape[1]):
        step = np.zeros(slopes.shape[1])
        step[parameter] = 1e-5
        higher, lower = problem._linearized(state.moved(step))[0], problem._linearized(state.moved(-step))[0]
        assert np.allclose(slopes[:, parameter], (higher - lower) / 2e-5, rtol=1e-3, atol=1e-3)


def test_noise_pulls_towards_the_mean_head():
    landmarks = seen(0, seed=5)[3]
    sure, unsure = (fit(ellipsoid(), landmarks, 128, noise=noise) for noise in (0.005, 0.3))
    assert np.linalg.norm(unsure.shape) < 0.6 * np.linalg.norm(sure.shape)


def test_landmarks_that_went_astray_do_little():
    _, vertices, _, landmarks = seen(10, seed=4)
    spoilt = landmarks.copy()
    spoilt[[3, 20, 50, 60]] += [[40, 0], [0, -40], [-40, 10], [30, 30]]
    found = fit(ellipsoid(), spoilt, 128, noise=0.01)
    assert np.abs(found.landmarks - landmarks).max() < 2.0
    assert np.abs(found.vertices - vertices).max() < 0.12


def test_a_fit_follows_the_picture():
    landmarks = seen(15, seed=6)[3]
    one, two = fit(ellipsoid(), landmarks, 128), fit(ellipsoid(), landmarks * 3 + 50, 500)
    assert np.allclose(one.vertices, two.vertices, atol=2e-3)
    assert np.allclose(one.landmarks * 3 + 50, two.landmarks, atol=0.05)


def outline_of(vertices, camera, landmarks):
    """Jaw landmarks as people annotate them: on the border of what the head covers."""
    mask = rasterize(vertices, ellipsoid().triangles, camera, 512).mask
    middle = landmarks[27:36].mean(0)
    moved = landmarks.copy()
    for index in range(17):
        ray = (landmarks[index] - middle) / np.linalg.norm(landmarks[index] - middle)
        places = middle + ray * np.arange(0, 90, 0.1)[:, None]
        column, row = np.clip(np.floor(places * 4).astype(int), 0, 511).T
        moved[index] = places[np.flatnonzero(mask[row, column])[-1]]
    return moved


def test_outline_landmarks_of_a_turned_head_slide():
    _, vertices, camera, landmarks = seen(40, seed=8)
    drawn = outline_of(vertices, camera, landmarks)
    assert np.abs(drawn - landmarks)[:17].max() > 5
    sliding, fixed = fit(ellipsoid(), drawn, 128, outline=True), fit(ellipsoid(), drawn, 128)
    errors = [np.abs(found.vertices - vertices).mean() for found in (sliding, fixed)]
    turned = [abs(found.camera.angles[0] - camera.angles[0]) for found in (sliding, fixed)]
    assert errors[0] < 0.7 * errors[1]
    assert turned[0] < turned[1]


def test_the_outline_of_a_parsing_counts():
    _, vertices, camera, landmarks = seen(30, seed=9)
    parsing = rasterize(vertices, ellipsoid().triangles, camera).mask.astype(np.uint8)
    noisy = landmarks + np.random.default_rng(0).normal(0, 2.0, landmarks.shape)
    plain, outlined = (
        fit(ellipsoid(), noisy, 128, noise=0.05),
        fit(ellipsoid(), noisy, 128, parsing, noise=0.05),
    )
    errors = [np.abs(found.vertices - vertices).mean() for found in (outlined, plain)]
    assert errors[0] < errors[1]
    # Hair hides the outline: where skin borders on it, nothing is learnt.
    hair = np.where(parsing == 1, 1, 17).astype(np.uint8)
    assert np.array_equal(fit(ellipsoid(), noisy, 128, hair, noise=0.05).vertices, plain.vertices)


def test_the_silhouette_of_a_head_from_the_front_is_its_widest_ring():
    head = ellipsoid()
    camera = HeadCamera.portrait(head.mean, 128, distance=60.0)
    edge = Silhouette(head.mean.astype(float), head.triangles, head.landmarks_of(head.mean[None])[0])
    found = edge.vertices(head.mean, camera)
    assert len(found) > 20
    assert np.abs(head.mean[found, 2]).max() < 0.12


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda points: points[:5], "68 points"),
        (lambda points: points * np.nan, "finite"),
        (lambda points: points * 0, "less than a pixel"),
    ],
)
def test_unusable_landmarks_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        fit(ellipsoid(), change(seen()[3]), 128)


def test_a_parsing_of_another_size_and_no_noise_are_refused():
    with pytest.raises(ValueError, match="parsing"):
        fit(ellipsoid(), seen()[3], 128, np.zeros((64, 64), np.uint8))
    with pytest.raises(ValueError, match="noise"):
        fit(ellipsoid(), seen()[3], 128, noise=0)
