"""Baseline flows against motions that are known everywhere."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation.flow_baselines import BASELINES, GAUSSIAN_WIDTH, baseline_flow, gaussian

SHAPE = (96, 128)
MATRIX, SHIFT = np.array([[1.1, -0.2], [0.15, 0.9]]), np.array([-6.0, 4.0])


def centres(shape=SHAPE):
    height, width = shape
    return np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), axis=-1)


def points(count, seed=0):
    """Distinct pixel centres in the middle of the frame."""
    chosen = np.random.default_rng(seed).choice(64 * 48, count, replace=False)
    return np.stack([chosen % 64 + 32.5, chosen // 64 + 24.5], axis=-1)


def at(flow, places):
    column, row = np.floor(places).astype(int).T
    return flow[row, column]


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("count", [1, 3, 68])
def test_every_baseline_takes_any_number_of_drags(name, count):
    sources = points(count)
    drags = np.random.default_rng(1).normal(size=(count, 2)) * 4
    flow = baseline_flow(name, sources, sources + drags, SHAPE)
    assert flow.shape == (*SHAPE, 2) and flow.dtype == np.float32 and np.isfinite(flow).all()
    assert (flow == 0).all() == (name == "zero")
    twice = np.concatenate([sources, sources]), np.concatenate([sources + drags, sources + drags])
    repeated = baseline_flow(name, *twice, SHAPE)
    assert np.isfinite(repeated).all()
    if name in ("zero", "affine") and count > 2:
        np.testing.assert_allclose(repeated, flow, atol=1e-4)


@pytest.mark.parametrize("name", BASELINES)
def test_background_stays_when_the_head_is_known(name):
    head = np.zeros(SHAPE, bool)
    head[20:70, 30:90] = True
    sources = points(5)
    free, known = (baseline_flow(name, sources, sources + [3, -2], SHAPE, head=mask) for mask in (None, head))
    assert (known[~head] == 0).all() and (known[head] == free[head]).all() and known.dtype == np.float32


@pytest.mark.parametrize("count", [3, 5, 68])
def test_affine_recovers_an_affine_motion_everywhere(count):
    sources = points(count)
    flow = baseline_flow("affine", sources, sources @ MATRIX.T + SHIFT, SHAPE)
    np.testing.assert_allclose(flow, centres() @ MATRIX.T + SHIFT - centres(), atol=1e-4)


def test_affine_of_two_drags_is_a_similarity_and_of_one_a_translation():
    turn = 1.3 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    sources = points(2)
    flow = baseline_flow("affine", sources, sources @ turn.T + SHIFT, SHAPE)
    np.testing.assert_allclose(flow, centres() @ turn.T + SHIFT - centres(), atol=1e-4)
    flow = baseline_flow("affine", sources[:1], sources[:1] + [3, -2], SHAPE)
    np.testing.assert_allclose(flow, np.broadcast_to([3, -2], flow.shape), atol=1e-6)


def test_affine_of_a_line_does_not_deform_across_it():
    sources = np.array([[30.0, 40.5], [60, 40.5], [90, 40.5]])
    flow = baseline_flow("affine", sources, sources + [[-3, 1], [0, 1], [3, 1]], SHAPE)
    expected = np.stack([(centres()[..., 0] - 60) / 10, np.ones(SHAPE)], axis=-1)
    np.testing.assert_allclose(flow, expected, atol=1e-5)
    opposed = baseline_flow("affine", sources[[0, 0]], sources[[0, 0]] + [[0, 4], [0, 0]], SHAPE)
    np.testing.assert_allclose(opposed, np.broadcast_to([0, 2], opposed.shape), atol=1e-6)


def test_nearest_takes_the_drag_of_the_nearest_source():
    sources = np.array([[20.5, 48.5], [100.5, 48.5]])
    flow = baseline_flow("nearest", sources, sources + [[5, 1], [-2, 3]], SHAPE)
    assert (flow[:, :60] == (5, 1)).all() and (flow[:, 61:] == (-2, 3)).all()


def test_gaussian_by_hand_and_away_from_drags():
    width = GAUSSIAN_WIDTH * SHAPE[1]
    source = np.array([[64.5, 48.5]])
    flow = baseline_flow("gaussian", source, source + [8, -4], SHAPE)
    np.testing.assert_allclose(flow[48, 64], [8, -4])
    np.testing.assert_allclose(flow[48, 74], np.exp(-50 / width**2) * np.array([8, -4]), rtol=1e-5)
    narrow = gaussian(source, source + [8, -4], SHAPE, width=0.02)
    assert np.abs(narrow[48, 84:]).max() < 1e-5 and np.abs(narrow[48, 64]).max() == 8
    pair = np.array([[60.5, 48.5], [68.5, 48.5]])
    agreeing = baseline_flow("gaussian", pair, pair + [8, -4], SHAPE)
    assert np.abs(agreeing).max() == 8
    differing = baseline_flow("gaussian", pair, pair + [[8, 0], [0, 0]], SHAPE)
    own, other = np.exp(-(4.0**2) / (2 * width**2)), np.exp(-(12.0**2) / (2 * width**2))
    np.testing.assert_allclose(differing[48, 56, 0], 8 * own / (own + other), rtol=1e-5)


def test_thin_plate_meets_drags_and_its_corners_are_pinned():
    sources = np.array([[40.5, 30.5], [80.5, 30.5], [64.5, 48.5], [50.5, 66.5], [78.5, 66.5]])
    drags = np.array([[4, 0], [-3, 2], [0, 5], [2, -3], [1, 1]])
    flow = baseline_flow("thin plate", sources, sources + drags, SHAPE)
    np.testing.assert_allclose(at(flow, sources), drags, atol=0.2)
    corners = flow[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.abs(corners).max() < 0.2 < np.abs(flow[1, 64]).max()


def test_thin_plate_recovers_an_affine_motion_between_drags():
    lattice = np.stack(np.meshgrid(np.linspace(32, 96, 9), np.linspace(24, 72, 9)), axis=-1).reshape(-1, 2)
    flow = baseline_flow("thin plate", lattice, lattice @ MATRIX.T + SHIFT, SHAPE)
    truth = centres() @ MATRIX.T + SHIFT - centres()
    np.testing.assert_allclose(flow[30:66, 40:88], truth[30:66, 40:88], atol=0.1)


def test_thin_plate_does_not_tear_where_lips_part():
    line = np.linspace(52, 76, 5)
    upper, lower = (np.stack([line, np.full(5, row)], axis=1) for row in (60.0, 60.01))
    sources = np.concatenate([upper, lower])
    targets = np.concatenate([upper, lower + [0, 6]])
    flow = baseline_flow("thin plate", sources, targets, SHAPE)
    assert flow[..., 1].min() > -3 and flow[..., 1].max() < 9
    np.testing.assert_allclose(flow[60, 64], [0, 3], atol=0.5)


def test_flows_scale_with_the_frame():
    sources, drags = points(6), np.random.default_rng(2).normal(size=(6, 2)) * 5
    for name in BASELINES:
        large = baseline_flow(name, 2 * sources, 2 * (sources + drags), (192, 256))
        small = baseline_flow(name, sources, sources + drags, SHAPE)
        middle = large.reshape(96, 2, 128, 2, 2).mean(axis=(1, 3)) / 2
        np.testing.assert_allclose(np.median(np.abs(middle - small)), 0, atol=0.01, err_msg=name)


def test_bad_drags_are_named():
    one = np.array([[1.0, 2.0]])
    with pytest.raises(ValueError, match="unknown flow baseline 'spline': choose one of zero, nearest"):
        baseline_flow("spline", one, one, SHAPE)
    with pytest.raises(ValueError, match=r"sources \(1, 2\) and targets \(2, 2\)"):
        baseline_flow("zero", one, np.zeros((2, 2)), SHAPE)
    with pytest.raises(ValueError, match=r"sources \(0, 2\)"):
        baseline_flow("nearest", one[:0], one[:0], SHAPE)
    with pytest.raises(ValueError, match="finite"):
        baseline_flow("affine", one, one * np.nan, SHAPE)
