"""Flow files of the KITTI format, and colours of directions."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from faces.flow import decode_flow, encode_flow, flow_colours


def test_files_keep_flow_to_a_hundredth_of_a_pixel():
    rng = np.random.default_rng(0)
    flow, valid = rng.uniform(-40, 40, (9, 7, 2)).astype(np.float32), rng.random((9, 7)) < 0.5
    read, mask = decode_flow(encode_flow(flow, valid))
    assert read.shape == (9, 7, 2) and np.abs(read - flow).max() <= 1 / 128
    assert np.array_equal(mask, valid)


def test_files_are_what_the_benchmark_defines():
    flow = np.zeros((1, 2, 2), np.float32)
    flow[0, 1] = (1.0, -2.0)
    stored = cv2.imdecode(
        np.frombuffer(encode_flow(flow, np.array([[False, True]])), np.uint8), cv2.IMREAD_UNCHANGED
    )
    assert stored.dtype == np.uint16
    # Blue, green, red as OpenCV reads them: valid, v, u.
    assert stored[0, 1].tolist() == [1, 32768 - 128, 32768 + 64]
    assert stored[0, 0].tolist() == [0, 32768, 32768]


@pytest.mark.parametrize("value", [600.0, np.nan])
def test_flow_that_does_not_fit_is_refused(value):
    with pytest.raises(ValueError, match="finite and at most 511"):
        encode_flow(np.full((2, 2, 2), value, np.float32), np.ones((2, 2), bool))


def test_other_pictures_are_no_flow():
    plain = cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    with pytest.raises(ValueError, match="16 bits"):
        decode_flow(plain)
    with pytest.raises(ValueError, match="16 bits"):
        decode_flow(b"nothing")


def test_colours_tell_direction_and_length():
    flow = np.array([[[0, 0], [2, 0], [-2, 0], [1, 0]]], np.float32)
    still, right, left, half = flow_colours(flow)[0]
    assert still.tolist() == [255, 255, 255]
    assert right.tolist() == [255, 0, 0] and left.tolist() == [0, 255, 255]
    assert half.tolist() == [255, 128, 128]
    assert flow_colours(flow, longest=4)[0, 1].tolist() == half.tolist()
