"""What a drag must leave as it is: pixels that show the same point of the same surface before and after."""

from __future__ import annotations

import cv2
import numpy as np

from gen.evaluation.image_quality import psnr

STILL = 0.25
"""Pixels, of any frame, below which a surface counts as unmoved."""
MOST_PSNR = 99.0
"""Stands for equal pixels in means."""


def hidden(head: np.ndarray, co_visible: np.ndarray, other_head: np.ndarray) -> np.ndarray:
    """Pixels of one picture whose content another one does not show, (h, w) bool.

    These are pixels of the head that are not co-visible, and background that the other picture's head covers.

    Args:
        head: (h, w) bool of this picture.
        co_visible: (h, w) bool, as the renderer gives it: pixels of the head that the other picture shows.
        other_head: (h, w) bool of the other picture.
    """
    return np.where(head, ~co_visible, other_head)


def unmoved(
    forward: np.ndarray, backward: np.ndarray, occluded: np.ndarray, disoccluded: np.ndarray
) -> np.ndarray:
    """Pixels that neither move nor are hidden or uncovered, a pixel away from all that are, (h, w) bool.

    Args:
        forward: true flow (h, w, 2) of the source in pixels, zero on the background.
        backward: true flow of the target, likewise.
        occluded: (h, w) bool pixels of the source that the target hides.
        disoccluded: (h, w) bool pixels of the target that the source hides.
    """
    moved = [np.linalg.norm(flow, axis=-1) >= STILL for flow in (forward, backward)]
    changed = np.logical_or.reduce([*moved, occluded, disoccluded])
    return cv2.dilate(changed.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0


def masked_psnr(image: np.ndarray, reference: np.ndarray, where: np.ndarray) -> float:
    """PSNR of two pictures (h, w, 3), uint8 or floats in 0..1, where a mask (h, w) is true, in dB.

    Equal pixels count as `MOST_PSNR`; nan where the mask is never true.
    """
    if not where.any():
        return float("nan")
    return min(psnr(image[where], reference[where]), MOST_PSNR)
