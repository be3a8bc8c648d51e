"""Drags that are drawn from a flow: where they start, what they say, and the masks beside them."""

from __future__ import annotations

import numpy as np
import pytest

from gen import handles
from gen.evaluation.flow_errors import flow_at
from gen.record import DRAG_COUNTS

SIDE = 128


@pytest.fixture
def flow() -> np.ndarray:
    """A square that moves, faster to the right, partly hidden afterwards, in a head that stays."""
    made = np.zeros((SIDE, SIDE, 3), np.float32)
    made[10:118, 10:118, 2] = 1
    made[30:70, 30:80, 0] = np.linspace(0.25, 12, 50)
    made[30:70, 30:80, 1] = -3
    made[30:40, 30:80, 2] = 0
    return made


@pytest.fixture
def shown() -> np.ndarray:
    """Landmarks in the square, beside it, hidden ones, and two in one pixel."""
    made = np.full((68, 2), -1)
    made[10:30, 0], made[10:30, 1] = np.arange(35, 75, 2), 50
    made[40:48, 0], made[40:48, 1] = np.arange(20, 100, 10), 90
    made[60] = made[20]
    return made


def drawn(flow: np.ndarray, shown: np.ndarray, number: int) -> handles.Handles:
    return handles.draw(flow, shown, np.random.default_rng(number))


def test_drags_follow_the_flow_of_points_that_move_and_are_seen(flow, shown):
    for number in range(40):
        found = drawn(flow, shown, number)
        for count in DRAG_COUNTS[:-1]:
            sources, targets = found.drags[count].swapaxes(0, 1)
            assert len(np.unique(sources, axis=0)) == count
            np.testing.assert_array_equal(sources % 1, 0.5)
            np.testing.assert_allclose(targets - sources, flow_at(flow[..., :2], sources), atol=1e-6)
            columns, rows = np.floor(sources).astype(int).T
            assert flow[rows, columns, 2].all()
            assert (np.linalg.norm(targets - sources, axis=1) >= SIDE * handles.MOVES).all()
            np.testing.assert_array_equal(found.drags[count], found.drags[10][:count])


def test_the_last_drags_take_every_landmark_that_is_shown_once(flow, shown):
    found = drawn(flow, shown, 0)
    assert found.landmarks.tolist() == [*range(10, 30), *range(40, 48)]
    np.testing.assert_array_equal(found.drags[68][:, 0], shown[found.landmarks] + 0.5)
    moved = np.linalg.norm(found.drags[68][:, 1] - found.drags[68][:, 0], axis=1)
    assert (moved[:20] > 3).all() and not moved[20:].any()
    nothing = drawn(flow, np.full((68, 2), -1), 0)
    assert nothing.drags[68].shape == (0, 2, 2) and nothing.columns()["drags_68"] == []


def test_drags_start_where_they_say(flow, shown):
    length = handles.lengths(flow)
    fast = np.quantile(length[handles.moving(flow)], 0.7)
    seen = set()
    for number in range(60):
        found = drawn(flow, shown, number)
        columns, rows = np.floor(found.drags[10][:, 0]).astype(int).T
        own = {tuple(cell) for cell in shown[10:30].tolist()}
        if found.places == "landmarks":
            assert all(cell in own for cell in zip(columns.tolist(), rows.tolist(), strict=True))
        elif found.places == "fastest":
            assert (length[rows, columns] >= fast).all()
        seen.add(found.places)
    assert seen == set(handles.PLACES)
    hidden = {drawn(flow, np.full((68, 2), -1), number).places for number in range(30)}
    assert hidden == {"fastest", "anywhere"}


def test_drags_that_spread_are_apart(flow, shown):
    spread = [drawn(flow, shown, number) for number in range(30)]
    apart = {"fastest": [], "anywhere": []}
    for found in spread:
        sources = found.drags[10][:, 0]
        gaps = np.linalg.norm(sources[:, None] - sources, axis=-1)[~np.eye(10, dtype=bool)]
        apart.setdefault(found.places, []).append(gaps.min())
    assert min(apart["fastest"]) >= 5 > min(apart["anywhere"])


def test_as_few_points_as_there_are_drags_are_enough(shown):
    still = np.zeros((SIDE, SIDE, 3), np.float32)
    still[..., 2] = 1
    still[5, 5 : 5 + handles.LEAST_POINTS, 0] = 4
    for number in range(20):
        found = drawn(still, shown, number)
        assert sorted(found.drags[10][:, 0, 0].tolist()) == [5.5 + step for step in range(10)]


def test_pins_stay_are_apart_and_no_landmarks(flow, shown):
    for number in range(20):
        found = drawn(flow, shown, number)
        assert len(found.pins) == 5
        columns, rows = np.floor(found.pins).astype(int).T
        assert (flow[rows, columns, 2] == 1).all() and (
            handles.lengths(flow)[rows, columns] < SIDE / 512
        ).all()
        gaps = np.linalg.norm(found.pins[:, None] - found.pins, axis=-1)[~np.eye(5, dtype=bool)]
        assert gaps.min() >= SIDE / 16
    small = np.zeros_like(flow)
    small[40:44, 40:44, 2], small[60:70, 60:70] = 1, (5, 0, 1)
    assert len(drawn(small, shown, 0).pins) == 1
    only = np.full((68, 2), -1)
    only[:16] = np.stack(np.meshgrid(range(40, 44), range(40, 44)), -1).reshape(-1, 2)
    assert len(drawn(small, only, 0).pins) == 0


def test_equal_seeds_draw_equal_drags(flow, shown):
    first, again, other = (drawn(flow, shown, number).columns() for number in (3, 3, 4))
    assert first == again != other


def test_masks_mark_what_is_seen_moves_and_stays(flow):
    head = np.zeros((SIDE, SIDE), bool)
    head[10:118, 10:118] = True
    there = head.copy()
    there[10:118, 118:122] = True
    made = handles.masks(flow, head, there)
    assert made.dtype == np.uint8 and set(np.unique(made)) == {0, 255}
    seen, moves, stays = np.moveaxis(made > 0, -1, 0)
    np.testing.assert_array_equal(seen, flow[..., 2] > 0)
    assert moves[30:70, 30:80].all() and moves.sum() == 40 * 50  # what is hidden afterwards moves too
    assert stays[90, 64] and stays[3, 3] and stays[60, 125]
    assert not stays[60, 120] and not stays[50, 50] and not (stays & moves).any()
    assert not stays[70, 50] and stays[71, 50], "a pixel beside what moves mixes both"
