"""Gestures on a face, and how drags and flow are drawn on a photograph."""

from __future__ import annotations

import numpy as np
import pytest

from faces.flow import flow_colours
from pipelines.drag.drawing import draw_drags, draw_flow
from pipelines.drag.gestures import EXAMPLES, Gesture

GREY = np.full((256, 256, 3), 120, np.uint8)
RED, BLUE, WHITE = (225, 20, 60), (20, 90, 230), (255, 255, 255)


def face(turn: float = 0.0) -> np.ndarray:
    """68 points whose eyes lie 50 px apart, turned about (100, 100) by degrees."""
    points = np.random.default_rng(3).uniform(60, 140, (68, 2))
    points[36:42] += (75, 90) - points[36:42].mean(axis=0)
    points[42:48] += (125, 90) - points[42:48].mean(axis=0)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return (points - 100) @ np.array([[c, s], [-s, c]]) + 100


def test_a_gesture_is_measured_in_distances_between_the_eyes():
    gesture = Gesture(drags=(((30,), (0.4, 0.0)), ((8, 57), (0.0, -0.2))), pins=((48,), (54, 48)))
    points = face()
    drags, pins = gesture.on(points, (256, 256))
    assert np.allclose(drags[:, 0], [points[30], (points[8] + points[57]) / 2])
    assert np.allclose(drags[:, 1] - drags[:, 0], [[20, 0], [0, -10]])
    assert np.allclose(pins, [points[48], (points[48] + points[54]) / 2])
    assert np.allclose(gesture.on(points, (256, 256), 0.5)[0][:, 1], drags.mean(axis=1))


def test_a_gesture_turns_with_the_head():
    gesture = Gesture(drags=(((30,), (0.4, 0.2)),))
    (level,), _ = gesture.on(face(), (256, 256))
    (turned,), pins = gesture.on(face(90), (256, 256))
    assert np.allclose(level[1] - level[0], [20, 10])
    assert np.allclose(turned[1] - turned[0], [-10, 20])  # right becomes down
    assert pins.shape == (0, 2)


@pytest.mark.parametrize("gesture", EXAMPLES.values(), ids=list(EXAMPLES))
def test_points_of_a_gesture_stay_inside_the_picture(gesture):
    drags, pins = gesture.on(face() * 3 - 150, (160, 120))
    for points in (drags.reshape(-1, 2), pins):
        assert (points >= 0).all() and (points <= (160, 120)).all()
    inside, _ = gesture.on(face(), (256, 256))
    assert (np.linalg.norm(inside[:, 1] - inside[:, 0], axis=1) > 5).all()


def test_an_arrow_leads_from_source_to_target_and_no_further():
    drawn = draw_drags(GREY, np.array([[(60.5, 80.5), (90.5, 80.5)]]), np.empty((0, 2)))
    assert [tuple(drawn[80, column]) for column in (61, 70, 80, 88)] == [RED] * 4
    red = (np.abs(drawn.astype(int) - RED).max(axis=-1) < 60).nonzero()
    assert abs(red[1].min() - 60) <= 1 and abs(red[1].max() - 90) <= 1
    heights = [np.ptp(red[0][red[1] == column]) for column in (65, 84)]
    assert heights[0] <= 3 and heights[1] >= 5  # a line, and its head
    assert tuple(drawn[80, 94]) == (120, 120, 120) and tuple(drawn[80, 56]) == (120, 120, 120)
    assert (GREY == 120).all()


def test_the_head_points_to_the_target():
    ends = np.array([[(60.5, 80.5), (90.5, 80.5)], [(90.5, 160.5), (60.5, 160.5)]])
    drawn = draw_drags(GREY, ends, np.empty((0, 2)))
    assert np.abs(drawn[60:101, 50:101].astype(int) - drawn[140:181, 100:49:-1]).mean() < 2


def test_a_rim_keeps_lines_apart_from_any_photograph():
    drawn = draw_drags(np.full_like(GREY, RED), np.array([[(60.5, 80.5), (90.5, 80.5)]]), np.empty((0, 2)))
    assert tuple(drawn[80, 70]) == RED and (drawn[76:80, 70] == WHITE).all(axis=-1).any()


def test_a_pin_is_a_ring_around_its_point():
    drawn = draw_drags(GREY, np.empty((0, 2, 2)), np.array([(100.5, 50.5)]))
    blue = (np.abs(drawn.astype(int) - BLUE).max(axis=-1) < 40).nonzero()
    assert (blue[0].mean(), blue[1].mean()) == pytest.approx((50, 100), abs=0.2)
    assert np.hypot(blue[0] - 50, blue[1] - 100).min() > 2 and tuple(drawn[50, 100]) != BLUE


def test_a_drag_of_no_length_draws_nothing():
    assert np.array_equal(draw_drags(GREY, np.array([[(9.5, 9.5), (9.5, 9.5)]]), np.empty((0, 2))), GREY)


@pytest.mark.parametrize(("size", "width"), [(256, 2), (512, 4), (1024, 8)])
def test_lines_grow_with_the_picture(size, width):
    ends = np.array([[(0.2, 0.3), (0.6, 0.3)]]) * size
    drawn = draw_drags(np.full((size, size, 3), 120, np.uint8), ends, np.empty((0, 2)))
    column = drawn[:, round(0.3 * size)].astype(int)
    assert abs((np.abs(column - RED).max(axis=-1) < 60).sum() - width) <= 1


def test_flow_lies_over_the_photograph_where_the_frame_does():
    """A frame of 20 px that is turned by 90 degrees and covers columns 40 to 80 of the photograph."""
    matrix = np.array([[0.0, 0.5, 0.0], [-0.5, 0.0, 40.0]])
    flow = np.zeros((2, 20, 20), np.float32)
    flow[1] = -6.0  # up in the frame is 12 px to the right in the photograph
    white = np.full((60, 120, 3), 255, np.uint8)
    drawn = draw_flow(flow, white, matrix, 12.0)
    hue = flow_colours(np.array([[[12.0, 0.0]]]), 12.0)[0, 0]
    assert np.abs(drawn[20, 60] - (0.2 * 255 + 0.8 * hue)).max() <= 1
    assert (drawn[20, 100] == 255).all() and (drawn[20, 20] == 255).all()
    short = draw_flow(flow, white, matrix, 12 / 0.2875)  # a quarter between the shortest and the longest
    assert np.abs(short[20, 60] - (0.6 * 255 + 0.4 * hue)).max() <= 1
    assert np.array_equal(draw_flow(flow, white, matrix, 12 / 0.05), white), "too short to be drawn"


def test_where_nothing_moves_the_photograph_is_as_it_was():
    photo = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    flow = np.zeros((2, 32, 32), np.float32)
    flow[0, :, 20:] = 3.0
    drawn = draw_flow(flow, photo, np.eye(2, 3), 3.0)
    assert np.array_equal(drawn[:, :19], photo[:, :19]) and (drawn[:, 22:, 0] >= 0.8 * 255 - 1).all()
