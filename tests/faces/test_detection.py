"""The cascades find the face of a photograph however it lies, and no face where there is none."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from faces.detection import Detection, FaceDetector, overlap

CENTRE, SIDE = np.array([225.0, 113.0]), 97.0
"""The face of scikit-image's `data.astronaut()` (NASA, public domain)."""


@pytest.fixture(scope="module")
def detector() -> FaceDetector:
    return FaceDetector()


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image (extra test) for a NASA photograph")
    return data.astronaut()


def centre(face: Detection) -> np.ndarray:
    return (face.box[:2] + face.box[2:]) / 2


def test_a_photograph_has_one_face(detector: FaceDetector, photograph: np.ndarray) -> None:
    (face,) = detector(photograph)
    assert np.abs(centre(face) - CENTRE).max() < 8 and abs(face.side - SIDE) < 12
    assert face.score > 0.9 and face.tilt == 0


def test_the_mirror_image_has_the_mirrored_face(detector: FaceDetector, photograph: np.ndarray) -> None:
    (face,) = detector(np.ascontiguousarray(photograph[:, ::-1]))
    assert np.abs(centre(face) - (512 - CENTRE[0], CENTRE[1])).max() < 8


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_turned_picture_says_how_it_lies(
    detector: FaceDetector, photograph: np.ndarray, quarters: int
) -> None:
    crop = photograph[20:276, 90:346]
    (face,) = detector(np.ascontiguousarray(np.rot90(crop, quarters)))  # rot90 turns anticlockwise
    assert face.tilt == {1: -90.0, 2: 180.0, 3: 90.0}[quarters]
    x, y = CENTRE - (90, 20)
    expected = {1: (y, 256 - x), 2: (256 - x, 256 - y), 3: (256 - y, x)}[quarters]
    assert np.abs(centre(face) - expected).max() < 10


def test_a_tilted_head_is_found(detector: FaceDetector, photograph: np.ndarray) -> None:
    turn = cv2.getRotationMatrix2D(CENTRE.tolist(), -38, 1)
    tilted = cv2.warpAffine(photograph, turn, (512, 512), borderMode=cv2.BORDER_REFLECT)[:300, :400]
    (face,) = detector(np.ascontiguousarray(tilted))
    assert face.tilt == 30 and np.abs(centre(face) - CENTRE).max() < 10


def test_a_face_that_fills_the_picture_is_found(detector: FaceDetector, photograph: np.ndarray) -> None:
    (face,) = detector(np.ascontiguousarray(photograph[80:165, 180:272]))
    assert np.abs(centre(face) - (CENTRE - (180, 80))).max() < 8 and face.box[1] < 0


def test_a_small_face_in_a_large_picture_is_found(detector: FaceDetector, photograph: np.ndarray) -> None:
    wide = np.full((1200, 1800, 3), 120, np.uint8)
    wide[300:500, 500:700] = cv2.resize(photograph, (200, 200), interpolation=cv2.INTER_AREA)
    (face,) = detector(wide)
    assert np.abs(centre(face) - ((500, 300) + CENTRE * 200 / 512)).max() < 6


def test_faces_come_largest_first(detector: FaceDetector, photograph: np.ndarray) -> None:
    head = photograph[10:266, 100:356]
    group = np.full((300, 620, 3), 110, np.uint8)
    group[60:220, 10:170] = cv2.resize(head, (160, 160), interpolation=cv2.INTER_AREA)
    group[20:276, 180:436] = head[:, ::-1]
    group[80:280, 415:615] = cv2.resize(head, (200, 200), interpolation=cv2.INTER_AREA)
    faces = detector(group)
    assert [int(centre(face)[0] > 170) + int(centre(face)[0] > 420) for face in faces] == [1, 2, 0]
    assert faces[0].side > faces[1].side > faces[2].side


def test_smallest_face_is_a_promise(photograph: np.ndarray) -> None:
    small = cv2.resize(
        photograph[20:276, 90:346], (128, 128), interpolation=cv2.INTER_AREA
    )  # a face of 48 px
    assert len(FaceDetector(min_face=32)(small)) == 1
    assert FaceDetector(min_face=72)(small) == []


@pytest.mark.parametrize("kind", ["grey", "noise", "stripes", "clouds"])
def test_patterns_have_no_face(detector: FaceDetector, kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (160, 200, 3), np.uint8)
    pattern = {
        "grey": np.full((160, 200, 3), 128, np.uint8),
        "noise": noise,
        "stripes": np.repeat((np.arange(200) // 7 % 2 * 255).astype(np.uint8)[None, :, None], 160, 0).repeat(
            3, 2
        ),
        "clouds": cv2.resize(noise[:12, :15], (200, 160), interpolation=cv2.INTER_CUBIC),
    }[kind]
    assert detector(pattern) == []


def test_things_have_no_face(detector: FaceDetector) -> None:
    data = pytest.importorskip("skimage.data", reason="needs scikit-image (extra test) for its pictures")
    for picture in (data.coffee(), data.chelsea()):
        assert detector(cv2.resize(picture, (160, 120), interpolation=cv2.INTER_AREA)) == []


def test_the_same_picture_gives_the_same_faces(detector: FaceDetector, photograph: np.ndarray) -> None:
    crop = np.ascontiguousarray(photograph[:256, 90:346])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detector, [crop] * 4))
    for faces in found:
        np.testing.assert_array_equal(faces[0].box, found[0][0].box)
        assert faces[0].score == found[0][0].score


def test_very_narrow_pictures_are_looked_at(detector: FaceDetector) -> None:
    assert detector(np.zeros((32, 3000, 3), np.uint8)) == []


def test_missing_cascades_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"haarcascade_frontalface_default\.xml: no Haar cascade"):
        FaceDetector(cascades=tmp_path)


def test_overlap_is_a_share_of_the_smaller_box() -> None:
    box = np.array([0.0, 0, 10, 10])
    assert overlap(box, box) == 1 and overlap(box, box + 20) == 0
    assert overlap(box, np.array([5.0, 0, 105, 100])) == 0.5
