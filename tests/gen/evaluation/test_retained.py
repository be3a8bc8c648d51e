"""Unmoved regions and their PSNR, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation.retained import MOST_PSNR, hidden, masked_psnr, unmoved


def square(*span):
    mask = np.zeros((12, 12), bool)
    mask[slice(*span), slice(*span)] = True
    return mask


def test_a_pixel_around_everything_that_changes_is_left_out():
    still, nothing = np.zeros((12, 12, 2), np.float32), np.zeros((12, 12), bool)
    assert unmoved(still, still, nothing, nothing).all()
    moved = still.copy()
    moved[5, 6] = (0.2, 0.2)  # 0.28 px
    expected = np.ones((12, 12), bool)
    expected[4:7, 5:8] = False
    mark = nothing.copy()
    mark[5, 6] = True
    for case in ((moved, still, nothing, nothing), (still, moved, nothing, nothing),
                 (still, still, mark, nothing), (still, still, nothing, mark)):  # fmt: skip
        assert (unmoved(*case) == expected).all()
    moved[5, 6] = (0.17, 0.17)  # 0.24 px
    assert unmoved(moved, moved, nothing, nothing).all()


def test_hidden_is_what_the_other_picture_covers_or_does_not_show():
    head, other = square(2, 6), square(4, 8)
    co_visible = head & ~square(2, 3)
    lost = hidden(head, co_visible, other)
    assert lost[2, 2] and not lost[3, 3]  # the head: unseen, and seen
    assert lost[7, 7] and not lost[10, 10]  # the background: covered, and not
    assert lost.sum() == 1 + (16 - 4)


def test_psnr_on_a_mask():
    reference = np.full((12, 12, 3), 0.5)
    image = reference.copy()
    image[square(0, 4)] += 0.1
    image[square(8, 12)] += 0.4
    assert masked_psnr(image, reference, square(0, 4)) == pytest.approx(20)
    half = square(0, 4)
    half[0:2, 8:12] = half[2:4, 8:12] = True  # 16 pixels off by 0.1 and 16 equal ones
    assert masked_psnr(image, reference, half) == pytest.approx(20 + 10 * np.log10(2))
    assert masked_psnr(image, reference, square(5, 7)) == MOST_PSNR
    assert np.isnan(masked_psnr(image, reference, square(0, 0)))
