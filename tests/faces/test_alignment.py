"""The canonical frame puts eyes and mouth where it says, and every way back undoes it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from faces import alignment


def landmarks_at(centre: tuple[float, float], scale: float, degrees: float, seed: int = 0) -> np.ndarray:
    """68 points whose eyes and outer lips are exactly a turned, scaled canonical face."""
    points = np.random.default_rng(seed).uniform(-0.2, 0.2, (68, 2))
    anchors = alignment.ANCHORS - 0.5
    for part, anchor in zip((range(36, 42), range(42, 48), range(48, 60)), anchors, strict=True):
        ring = np.linspace(0, 2 * np.pi, len(part), endpoint=False)
        points[list(part)] = anchor + 0.03 * np.stack([np.cos(ring), np.sin(ring)], -1)
    angle = np.deg2rad(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return points @ turn.T * scale + centre


def blobs(height: int, width: int, points: np.ndarray, sigma: float) -> np.ndarray:
    """A picture of soft dots at points, centres of pixels at 0.5."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    dots = [np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * sigma**2)) for px, py in points]
    return np.stack(dots, -1).astype(np.float32)


def centre_of_mass(image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[0 : image.shape[0], 0 : image.shape[1]] + 0.5
    return np.stack([(image * axis[..., None]).sum((0, 1)) / image.sum((0, 1)) for axis in (x, y)], -1)


@pytest.mark.parametrize(("scale", "degrees"), [(300, 0), (900, 25), (120, -40), (64, 180)])
def test_eyes_and_mouth_land_on_the_anchors(scale: float, degrees: float) -> None:
    points = landmarks_at((500.25, 610.5), scale, degrees)
    picture = blobs(1200, 1100, alignment.anchor_points(points), 0.03 * scale)
    aligned, matrix = alignment.align(picture, points, 128)
    np.testing.assert_allclose(alignment.scale_of(matrix), 128 / scale, rtol=1e-6)
    np.testing.assert_allclose(centre_of_mass(aligned), alignment.ANCHORS * 128, atol=0.1)


def test_similarity_is_the_least_squares_one() -> None:
    rng = np.random.default_rng(1)
    source, target = rng.normal(size=(68, 2)), rng.normal(size=(68, 2))
    best = alignment.fit_similarity(source, target)
    assert np.linalg.det(best[:, :2]) > 0
    assert np.isclose(best[0, 0], best[1, 1]) and np.isclose(best[0, 1], -best[1, 0])

    def loss(matrix: np.ndarray) -> float:
        return float(((alignment.transform_points(source, matrix) - target) ** 2).sum())

    for a, b, dx, dy in rng.normal(0, 1e-3, (50, 4)):
        assert loss(best) <= loss(best + np.array([[a, -b, dx], [b, a, dy]]))


def test_similarity_never_mirrors() -> None:
    points = landmarks_at((0, 0), 1, 0)
    matrix = alignment.fit_similarity(points, points * (-1, 1))
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("points", [np.ones((68, 2)), np.full((68, 2), np.nan)])
def test_points_without_extent_are_refused(points: np.ndarray) -> None:
    with pytest.raises(ValueError, match="coincide or are not numbers"):
        alignment.frame_matrix(points, 128)


def test_points_and_labels_go_there_and_back() -> None:
    points = landmarks_at((130, 120), 200, 20)
    matrix = alignment.frame_matrix(points, 256)
    there = alignment.transform_points(points, matrix)
    np.testing.assert_allclose(alignment.transform_points(there, alignment.invert(matrix)), points, atol=1e-9)
    labels = np.zeros((240, 260), np.uint8)
    cv2.circle(labels, (130, 120), 60, 17, -1)
    frame = alignment.align_labels(labels, matrix, 256)
    assert set(np.unique(frame)) == {0, 17} and frame.dtype == np.uint8
    back = alignment.unalign_labels(frame, matrix, (240, 260))
    assert (back == labels).mean() > 0.985


def test_pictures_go_there_and_back() -> None:
    y, x = np.mgrid[0:240, 0:260]
    waves = np.stack([np.sin(x / 17), np.cos(y / 13), np.sin((x + y) / 23)], -1)
    picture = np.rint(127.5 + 120 * waves).astype(np.uint8)
    points = landmarks_at((130, 120), 200, 15)
    aligned, matrix = alignment.align(picture, points, 256)
    back = alignment.unalign(aligned, matrix, picture)
    assert np.abs(back.astype(int) - picture).mean() < 1.0
    untouched = alignment.unalign_labels(np.ones((256, 256), np.uint8), matrix, (240, 260)) == 0
    inside = cv2.erode(untouched.astype(np.uint8), np.ones((5, 5))) > 0
    assert inside.any() and (back[inside] == picture[inside]).all()


def test_frames_are_resized_the_same_while_a_network_trains_in_half_precision() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), np.uint8)
    plain = alignment.resize_frame(frames, 32)
    with torch.autocast("cpu", torch.bfloat16):
        np.testing.assert_array_equal(alignment.resize_frame(frames, 32), plain)


def test_identity_matrix_changes_nothing() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    np.testing.assert_array_equal(alignment.warp(picture, np.eye(2, 3), (48, 64)), picture)
    np.testing.assert_array_equal(alignment.resize_frame(picture[:48], 48), picture[:48])


@pytest.mark.parametrize("shrink", [2.3, 3.0, 7.7, 24.0])
def test_shrinking_does_not_alias(shrink: float) -> None:
    side = int(64 * shrink)
    stripes = np.repeat((np.arange(side) % 2 * 255).astype(np.uint8)[None], side, 0)
    small = alignment.warp(stripes, np.eye(2, 3) / shrink, (64, 64))
    assert np.abs(small[2:-2, 2:-2].astype(float) - 127.5).max() < 45
    plain = cv2.warpAffine(stripes, np.eye(2, 3) / shrink, (64, 64))  # the control: nearest pixels alone
    assert np.abs(plain[2:-2, 2:-2].astype(float) - 127.5).max() > 100


def test_only_the_part_that_is_seen_counts() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (40, 40_000, 3), np.uint8)
    for start in (0, 17_000, 39_960):
        there = np.array([[1.0, 0, -start], [0, 1, 0]])
        np.testing.assert_array_equal(
            alignment.warp(picture, there, (40, 40)), picture[:, start : start + 40]
        )
    beyond = alignment.warp(picture, np.array([[1.0, 0, 500], [0, 1, 0]]), (40, 40))
    np.testing.assert_array_equal(beyond, np.repeat(picture[:, :1], 40, 1))


def test_edge_pixels_are_repeated_beyond_the_picture() -> None:
    picture = np.full((40, 40, 3), 200, np.uint8)
    shifted = np.array([[1.0, 0, 25], [0, 1, 0]])
    assert (alignment.warp(picture, shifted, (40, 40)) == 200).all()
    assert (alignment.warp(picture, shifted, (40, 40), outside=0)[:, :20] == 0).all()


@pytest.mark.parametrize("size", [128, 200, 512])
def test_face_crop_is_the_same_for_arrays_and_tensors(size: int) -> None:
    frames = np.random.default_rng(size).integers(0, 256, (2, size, size, 3), np.uint8)
    crop = alignment.crop_face(frames)
    tensor = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    other = alignment.crop_face_tensor(tensor).permute(0, 2, 3, 1).numpy()
    assert crop.shape == (2, 112, 112, 3) and crop.dtype == np.uint8
    assert np.abs(crop / 255 - other).max() <= 1 / 255


def test_face_crop_shows_the_stated_box() -> None:
    points = np.array(alignment.ANCHORS) * 128
    crop = alignment.crop_face(blobs(128, 128, points, 2.0), 112)
    left, top, right, bottom = alignment.FACE_BOX
    expected = (alignment.ANCHORS - (left, top)) / (right - left, bottom - top) * 112
    np.testing.assert_allclose(centre_of_mass(crop), expected, atol=0.02)


def test_resampling_equals_torch_antialias() -> None:
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    for size in (32, 50, 96, 130):
        ours = alignment.crop_box_tensor(image, (0, 0, 1, 1), size)
        theirs = torch.nn.functional.interpolate(image, size=(size, size), mode="bilinear", antialias=True)
        torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=0)


def test_face_crop_passes_gradients() -> None:
    image = torch.zeros(1, 3, 128, 128, requires_grad=True)
    alignment.crop_face_tensor(image).sum().backward()
    assert image.grad is not None and image.grad[0, 0, 64, 64] > 0 and image.grad[0, 0, 0, 0] == 0
