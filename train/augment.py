"""Augmentation of face pictures for recognition: geometry, light, sensor and occlusion, from one numpy generator.

Strong appearance changes are what carries a network from renders to other renders and to photographs
(Wood et al. 2021, "Fake it till you make it", section 4; Bae et al. 2023, "DigiFace-1M", section 5).
"""

from __future__ import annotations

import cv2
import numpy as np


def jitter_matrix(
    rng: np.random.Generator, size: int, shift: float, scale: float, rotation: float
) -> np.ndarray:
    """A random similarity about the middle of a frame, (2, 3) for `cv2.warpAffine`.

    Args:
        rng: source of randomness.
        size: of the frame in pixels.
        shift: standard deviation as a share of the frame.
        scale: standard deviation of the logarithm.
        rotation: standard deviation in degrees.
    """
    angle, factor = rng.normal(0, rotation), float(np.exp(rng.normal(0, scale)))
    matrix = cv2.getRotationMatrix2D((size / 2, size / 2), float(angle), factor)
    matrix[:, 2] += rng.normal(0, shift, 2) * size
    return matrix


def appearance(image: np.ndarray, rng: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Change light, colour, focus and noise of an (h, w, 3) uint8 picture."""
    # Gamma, gains and contrast act on each value alone: one table of 256 entries a channel.
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    levels = levels ** np.float32(np.exp(rng.normal(0, 0.25 * strength)))
    levels = levels * np.exp(rng.normal(0, 0.12 * strength, 3)).astype(np.float32)
    contrast, shift = np.exp(rng.normal(0, 0.2 * strength)), rng.normal(0, 0.05 * strength)
    levels = (levels - 0.5) * np.float32(contrast) + np.float32(0.5 + shift)
    x = cv2.LUT(image, levels[None])
    if rng.random() < 0.15 * strength:
        x = np.repeat(x @ np.array([0.299, 0.587, 0.114], np.float32)[:, None], 3, axis=2)
    if rng.random() < 0.3 * strength:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.4, 1.6)))
    if rng.random() < 0.3 * strength:
        small = int(image.shape[0] * rng.uniform(0.35, 0.8))
        x = cv2.resize(cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA), image.shape[1::-1])
    if rng.random() < 0.5 * strength:
        deviation = np.float32(rng.uniform(0.005, 0.05))
        x = x + deviation * rng.standard_normal(x.shape, np.float32)
    x = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.3 * strength:
        x = compressed(x, int(rng.integers(25, 85)))
    return x


def compressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    """What JPEG of a quality 0..100 leaves of an (h, w, 3) uint8 picture."""
    packed = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))


def erase(image: np.ndarray, rng: np.random.Generator, share: float = 0.25) -> np.ndarray:
    """Cover one random rectangle with noise or one colour, with probability `share`."""
    if rng.random() >= share:
        return image
    size = image.shape[0]
    height, width = (int(size * rng.uniform(0.1, 0.35)) for _ in range(2))
    top, left = int(rng.integers(size - height)), int(rng.integers(size - width))
    covered = image.copy()
    colour = rng.integers(0, 256, 3)
    noise = (
        rng.integers(0, 256, (height, width, 3))
        if rng.random() < 0.5
        else np.broadcast_to(colour, (height, width, 3))
    )
    covered[top : top + height, left : left + width] = noise
    return covered
