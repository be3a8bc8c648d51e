"""The part of a canonical frame that is denoised: a window around the face, as wide as the denoiser's own sample.

All makeup lies within it, and a third of a frame takes a third of the time.
"""

from __future__ import annotations

import numpy as np
import torch

_LIFT = 0.04
"""How far above the middle of the landmarks, which end at the brows, its middle lies, as a share of the frame."""
_EDGE = 0.03
"""Depth of a window's edge, as a share of the frame."""


def face_corner(landmarks: np.ndarray, frame: int, side: int, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """Left and top of a window around a face, (2,) int64; the window lies within the frame.

    Args:
        landmarks: (68, 2) pixels of the frame.
        frame: side of the frame in pixels.
        side: of the window, at most the frame's.
        shift: (2,) added to the middle, in pixels.
    """
    middle = (landmarks.min(axis=0) + landmarks.max(axis=0)) / 2 - (0, _LIFT * frame) + shift
    return (middle - side / 2).round().clip(0, frame - side).astype(np.int64)


def cut_out(pictures: torch.Tensor, corners: torch.Tensor, side: int) -> torch.Tensor:
    """A window of each picture.

    Args:
        pictures: (n, c, S, S).
        corners: (n, 2) left and top.
        side: of the windows.

    Returns:
        (n, c, side, side).
    """
    if pictures.shape[-1] == side:
        return pictures
    count, channels = pictures.shape[:2]
    places = torch.arange(side, device=pictures.device)
    columns, rows = (corners[:, axis, None] + places for axis in range(2))
    one = torch.arange(count, device=pictures.device).view(-1, 1, 1, 1)
    channel = torch.arange(channels, device=pictures.device).view(1, -1, 1, 1)
    return pictures[one, channel, rows[:, None, :, None], columns[:, None, None, :]]


def put_back(frame: np.ndarray, window: np.ndarray, corner: np.ndarray) -> np.ndarray:
    """Return a copy of a frame (S, S, 3) with a window (side, side, 3) of the same kind in its place."""
    made = frame.copy()
    left, top = corner
    made[top : top + len(window), left : left + len(window)] = window
    return made


def fade(frame: int, side: int, corner: np.ndarray) -> np.ndarray:
    """How much of a window counts, (S, S) float32: it fades to 0 at its edge, so that none shows in the frame."""
    if side == frame:
        return np.ones((frame, frame), np.float32)
    depth = np.minimum(np.arange(side), np.arange(side)[::-1]) / (_EDGE * frame)
    ramp = np.zeros((2, frame))
    for axis, start in enumerate(corner):
        ramp[axis, start : start + side] = np.clip(depth, 0, 1)
    return (ramp[1][:, None] * ramp[0][None]).astype(np.float32)
