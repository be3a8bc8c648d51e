from __future__ import annotations

import cv2
import numpy as np
import pytest

from train.degrade import degrade, texture


@pytest.fixture
def picture() -> np.ndarray:
    ramp = np.linspace(40, 220, 64)
    return np.stack([np.add.outer(ramp, ramp) / 2] * 3, axis=-1).astype(np.uint8)


def test_none_leaves_the_picture(picture):
    same, quality = degrade(picture, np.random.default_rng(0), "none")
    assert same is picture and quality == 1.0


def test_full_harms_more_than_appearance(picture):
    means = {}
    for preset in ("appearance", "full"):
        drawn = [degrade(picture, np.random.default_rng(seed), preset) for seed in range(150)]
        assert all(image.shape == picture.shape and image.dtype == np.uint8 for image, _ in drawn)
        assert all(0 <= quality <= 1 for _, quality in drawn)
        means[preset] = np.mean([quality for _, quality in drawn])
    assert means["full"] < means["appearance"] < 1


def test_quality_falls_with_lost_detail():
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    drawn = [degrade(noise, np.random.default_rng(seed), "full") for seed in range(200)]
    detail = [cv2.Laplacian(image, cv2.CV_32F).std() for image, _ in drawn]
    assert np.corrcoef(detail, [quality for _, quality in drawn])[0, 1] > 0.4


def test_textures_differ_and_repeat():
    one, again = (texture(np.random.default_rng(5), 32) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert one.std() > 3 and not np.array_equal(one, texture(np.random.default_rng(6), 32))
