"""PSNR and SSIM against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gen.evaluation.image_quality import psnr, ssim

C1, C2 = 0.01**2, 0.03**2


def test_psnr_of_a_known_error():
    image = np.full((8, 8, 3), 0.5)
    assert psnr(image, image + 0.1) == pytest.approx(20)
    assert psnr(image, image) == np.inf
    assert psnr(np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)) == pytest.approx(0)


def test_ssim_of_flat_images_is_the_luminance_term():
    for first, second in ((0.2, 0.6), (0.0, 1.0), (0.3, 0.3)):
        expected = (2 * first * second + C1) / (first**2 + second**2 + C1)
        assert ssim(np.full((16, 20), first), np.full((16, 20), second)) == pytest.approx(expected, abs=1e-9)


def test_ssim_of_one_window_by_hand():
    """An 11 x 11 image holds exactly one window, so the sums can be written out."""
    rng = np.random.default_rng(0)
    first, second = rng.random((11, 11)), rng.random((11, 11))
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    weight = np.outer(line, line) / line.sum() ** 2
    mean_a, mean_b = (weight * first).sum(), (weight * second).sum()
    variance_a, variance_b = (weight * (first - mean_a) ** 2).sum(), (weight * (second - mean_b) ** 2).sum()
    covariance = (weight * (first - mean_a) * (second - mean_b)).sum()
    expected = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    expected /= (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    assert ssim(first, second) == pytest.approx(expected, abs=1e-12)
    colours = np.stack([first, first], axis=-1), np.stack([second, first], axis=-1)
    assert ssim(*colours) == pytest.approx((expected + 1) / 2)


def test_ssim_orders_noise_and_ends_at_one():
    rng = np.random.default_rng(1)
    image = np.clip(np.cumsum(rng.normal(size=(32, 32, 3)), axis=1) / 20 + 0.5, 0, 1)
    noisy = [np.clip(image + rng.normal(size=image.shape) * sd, 0, 1) for sd in (0.3, 0.1, 0.02, 0)]
    values = [ssim(one, image) for one in noisy]
    assert values == sorted(values) and values[-1] == pytest.approx(1)


def test_bad_images_are_named():
    with pytest.raises(ValueError, match=r"shapes \(4, 4\) and \(4, 5\)"):
        psnr(np.zeros((4, 4)), np.zeros((4, 5)))
    with pytest.raises(ValueError, match=r"-1..1 lie outside \[0, 1\]"):
        psnr(np.array([[-1.0, 1.0]]), np.array([[0.0, 1.0]]))
    with pytest.raises(ValueError, match="at least 11 x 11 px, not 12 x 8"):
        ssim(np.zeros((8, 12)), np.zeros((8, 12)))
