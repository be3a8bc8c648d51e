"""What the way back into a photograph of a finer grid must not leave: old edges, and specks where holes open."""

from __future__ import annotations

import numpy as np
import torch

from pipelines.drag.canvas import Canvas
from pipelines.drag.warping import splat

SIZE, SCALE = 32, 4
MATRIX = np.array([[1 / SCALE, 0.003, 0.3], [-0.003, 1 / SCALE, 0.2]])


def pasted(photo: np.ndarray, flow: torch.Tensor) -> np.ndarray:
    """The photograph after an edit that only moves pixels."""
    from faces import alignment

    frame = alignment.warp(photo, MATRIX, (SIZE, SIZE))
    source = torch.from_numpy(frame).movedim(-1, 0)[None] / 255
    moved, holes = splat(source, flow[None])
    edited = torch.where(holes < 1, moved, source)[0].movedim(0, -1).numpy()
    return Canvas(photo=photo, frame=frame, matrix=MATRIX).paste(edited, flow, None)[0]


def test_edges_do_not_stay_where_they_were():
    photo = np.zeros((SIZE * SCALE, SIZE * SCALE, 3), np.uint8)
    photo[:, 60:62] = 255
    result = pasted(photo, torch.tensor([4.0, 0.0]).view(2, 1, 1).expand(2, SIZE, SIZE))
    assert result[30:100, 55:67].max() < 0.02
    assert result[30:100, 74:81].sum(axis=1).mean() > 1.5  # the line, 16 px further


def test_a_plain_picture_stays_plain_where_holes_open():
    photo = np.full((SIZE * SCALE, SIZE * SCALE, 3), 128, np.uint8)
    flow = torch.zeros(2, SIZE, SIZE)
    flow[1, 16:24, 8:24] = torch.linspace(2, 8, 16)  # a gap opens below row 16
    assert np.abs(pasted(photo, flow) - 128 / 255).max() < 1e-3
