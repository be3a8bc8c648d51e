"""Draws what a drag edit is asked for, as arrows on the photograph, and the flow that is predicted from it."""

from __future__ import annotations

import cv2
import numpy as np

from faces.flow import flow_colours
from pipelines.drag.measures import flow_on_photograph

_DRAG = (225, 20, 60)
_PIN = (20, 90, 230)
_RIM = (255, 255, 255)
_SIDE = 256.0
"""Side in pixels of a picture on which lines are two pixels wide."""
_SHIFT = 4
"""Fractional bits of the coordinates that OpenCV draws at."""
_OPAQUE = 0.8
"""How much the longest flow covers of a photograph."""
_SHORTEST = 0.05
"""Share of the longest flow that is not drawn: what is predicted for still places is never quite nothing."""


def draw_drags(photo: np.ndarray, drags: np.ndarray, pins: np.ndarray) -> np.ndarray:
    """Draw arrows from where drags start to where they end, and rings around pins.

    Args:
        photo: (h, w, 3) uint8; it is not changed.
        drags: (k, 2, 2), source and target (x, y) in pixels, the centre of the first one at 0.5.
        pins: (m, 2), likewise.

    Returns:
        (h, w, 3) uint8.
    """
    drawn = photo.copy()
    unit = max(photo.shape[:2]) / _SIDE
    for pin in np.asarray(pins, np.float64).reshape(-1, 2):
        for colour, width in ((_RIM, 4.6 * unit), (_PIN, 2.2 * unit)):
            radius = round(4.5 * unit * 2**_SHIFT)
            cv2.circle(drawn, _fixed(pin), radius, colour, max(1, round(width)), cv2.LINE_AA, _SHIFT)
    for rim in (True, False):  # all rims first, so that none covers a line
        for source, target in np.asarray(drags, np.float64).reshape(-1, 2, 2):
            _arrow(drawn, source, target, unit, rim)
    return drawn


def draw_flow(flow: np.ndarray, photo: np.ndarray, matrix: np.ndarray, longest: float) -> np.ndarray:
    """Lay the flow of a face's frame over the photograph in colours, (h, w, 3) uint8.

    The hue tells the direction (right is red), its strength the length; what stays is the photograph.

    Args:
        flow: (2, S, S) in pixels of the frame.
        photo: (h, w, 3) uint8.
        matrix: from pixels of the photograph to those of the frame, (2, 3).
        longest: length of full strength, in pixels of the photograph.
    """
    moved = flow_on_photograph(flow, matrix, (photo.shape[1], photo.shape[0]))
    length = np.linalg.norm(moved, axis=-1, keepdims=True)
    hues = flow_colours(moved / np.maximum(length, 1e-6), 1.0)
    # The root keeps short flow visible: a quarter of the way from the shortest to the longest covers half as much.
    share = (length / max(longest, 1e-6) - _SHORTEST) / (1 - _SHORTEST)
    cover = _OPAQUE * np.sqrt(np.clip(share, 0, 1))
    return (photo * (1 - cover) + hues * cover).round().astype(np.uint8)


def _arrow(picture: np.ndarray, source: np.ndarray, target: np.ndarray, unit: float, rim: bool) -> None:
    """A line from the source, and a head whose tip is the target; its rim is the same, grown on all sides."""
    colour, grown = (_RIM, 1.3 * unit) if rim else (_DRAG, 0.0)
    length = float(np.linalg.norm(target - source))
    if not length:
        return
    ahead = (target - source) / length
    aside = np.array([-ahead[1], ahead[0]])
    reach = min(8 * unit, 0.65 * length)
    base, half = target - reach * ahead, 0.5 * reach
    slope = float(np.hypot(reach, half))
    # Moving all three edges of the head outwards by `grown` moves its corners by these.
    tip = target + grown * slope / half * ahead
    wing = half + grown * (slope + half) / reach
    corners = [tip, base - grown * ahead + wing * aside, base - grown * ahead - wing * aside]
    width = max(1, round(2 * unit + 2 * grown))
    cv2.line(picture, _fixed(source), _fixed(base), colour, width, cv2.LINE_AA, _SHIFT)
    cv2.fillConvexPoly(picture, np.array([_fixed(one) for one in corners]), colour, cv2.LINE_AA, _SHIFT)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """A point as OpenCV draws it, which counts centres of pixels from 0, we from 0.5."""
    x, y = np.rint((point - 0.5) * 2**_SHIFT).astype(int)
    return int(x), int(y)
