"""Errors of flows worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation.flow_errors import drag_errors, end_point_error, flow_at, leakage


def test_a_linear_flow_is_sampled_exactly_between_centres_and_held_beyond_the_edge():
    rows, columns = np.mgrid[:6, :8] + 0.5
    flow = np.stack([2 * columns + rows, -rows], axis=-1).astype(np.float32)
    places = np.array([[3.25, 2.75], [0.5, 5.5], [7.5, 0.5], [0.0, 3.0], [99.0, 3.0]])
    expected = [[9.25, -2.75], [6.5, -5.5], [15.5, -0.5], [4.0, -3.0], [18.0, -3.0]]
    np.testing.assert_allclose(flow_at(flow, places), expected, atol=1e-6)


def test_end_point_error_looks_at_the_mask_alone():
    truth = np.zeros((4, 4, 2), np.float32)
    flow = np.full((4, 4, 2), 100, np.float32)
    flow[0, 0], flow[1, 2] = (3, 4), (0, -1)
    where = np.zeros((4, 4), bool)
    where[0, 0] = where[1, 2] = True
    assert end_point_error(flow, truth, where) == pytest.approx(3)
    assert end_point_error(truth, truth, where) == 0
    assert np.isnan(end_point_error(flow, truth, ~np.ones((4, 4), bool)))


def test_drag_errors_are_shares_of_the_length_and_short_drags_are_left_out():
    flow = np.broadcast_to(np.float32([6, 0]), (128, 128, 2))
    sources = np.array([[20.0, 20], [40, 40], [60, 60], [80, 80]])
    targets = sources + [[6, 0], [0, 8], [1.9, 0], [2, 0]]
    errors = drag_errors(flow, sources, targets)
    np.testing.assert_allclose(errors, [0, 10 / 8, np.nan, 2])
    assert np.isfinite(drag_errors(flow[:64, :64], sources[:3], targets[:3])).all()  # 1.9 px of 64 are long


def test_leakage_is_a_share_of_the_width():
    head = np.zeros((4, 8), bool)
    head[:, :4] = True
    flow = np.full((4, 8, 2), 50.0, np.float32)
    flow[~head] = 0
    assert leakage(flow, head) == 0
    flow[0, 4] = (3, 4)
    assert leakage(flow, head) == pytest.approx(5 / 16 / 8)
    assert np.isnan(leakage(flow, np.ones((4, 8), bool)))
