"""What is said of an edit without knowing the right one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.drag.measures import flow_on_photograph, measure
from pipelines.drag.pipeline import DragOutput

MATRIX = np.array([[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]])
"""A frame of half the photograph's resolution."""


@pytest.fixture
def photo():
    return np.full((64, 64, 3), 100, np.uint8)


def output(edit, flow, matrix=MATRIX):
    mask = np.zeros(edit.shape[:2], np.float32)
    mask[:, 32:] = 0.5
    return DragOutput(
        images=[Image.fromarray(edit)], flow=torch.from_numpy(flow)[None], residual=[np.array([1.0, 0.25])],
        masks=[mask], matrices=[matrix],
    )  # fmt: skip


def half_moves():
    flow = np.zeros((2, 32, 32), np.float32)
    flow[0, :, 16:] = 4.0
    return flow


def test_lengths_are_those_of_the_photograph(photo):
    assert measure(output(photo, half_moves()), photo).missed.tolist() == [2.0, 0.5]
    alone = output(photo, np.zeros((2, 64, 64), np.float32), matrix=None)
    assert measure(alone, photo).missed.tolist() == [1.0, 0.25]
    moved = flow_on_photograph(half_moves(), MATRIX, (64, 64))
    assert moved[32, 50].tolist() == [8.0, 0.0] and moved[32, 10].tolist() == [0.0, 0.0]


def test_only_what_stays_is_compared(photo):
    edit = photo.copy()
    edit[:, 40:] = 200  # where the flow moves
    assert measure(output(edit, half_moves()), photo).still_difference == 0
    edit[:, :10] = 110
    measured = measure(output(edit, half_moves()), photo)
    assert 2.5 < measured.still_difference < 3.5, "10 levels on 10 of some 31 columns"
    assert measured.may_change == 0.5


def test_where_everything_moves_nothing_is_compared(photo):
    everywhere = np.full((2, 32, 32), 4.0, np.float32)
    assert measure(output(photo // 2, everywhere), photo).still_difference == 0
