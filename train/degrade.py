"""What happens to a picture between a face and a file, in three named strengths, with the damage as a number.

`none` leaves renders as they are; `appearance` changes light, colour, focus and noise; `full` also puts things before
the face, moves the camera and compresses (Wood et al. 2021, "Fake it till you make it", section 4.2).
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from train.augment import compressed, erase

Preset = Literal["none", "appearance", "full"]
_CAMERA = 0.5
"""Share of pictures that blur, noise and compression all damage, in `full`."""


def degrade(image: np.ndarray, rng: np.random.Generator, preset: Preset) -> tuple[np.ndarray, float]:
    """Change an (h, w, 3) uint8 picture as `preset` says.

    Returns:
        The picture, and its quality 0..1: 1 for an untouched one, multiplied by what is left after blur, lost
        resolution, noise, compression and darkness, each 1 for none and 0 where hardly a face is to be seen.
    """
    if preset == "none":
        return image, 1.0
    strength = 1.0 if preset == "full" else 0.6
    x, quality = _light(image, rng, strength)
    if preset == "full" and rng.random() < 0.25:
        x = _cover(x, rng)
    if preset == "full" and rng.random() < _CAMERA:
        return _through_a_camera(x, rng, quality)
    if rng.random() < 0.3 * strength:
        sigma = float(rng.uniform(0.4, 2.2))
        x = _motion(x, rng, sigma) if rng.random() < 0.4 else cv2.GaussianBlur(x, (0, 0), sigma)
        quality *= 1 - sigma / 3.2
    if rng.random() < 0.3 * strength:
        share = float(rng.uniform(0.28, 0.85))
        small = max(8, int(image.shape[0] * share))
        x = cv2.resize(cv2.resize(x, (small, small), interpolation=cv2.INTER_AREA), image.shape[1::-1])
        quality *= min(1.0, 0.25 + 0.85 * share)
    if rng.random() < 0.5 * strength:
        deviation = float(rng.uniform(0.005, 0.07))
        x = x + np.float32(deviation) * rng.standard_normal(x.shape, np.float32)
        quality *= 1 - 5 * deviation
    pixels = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.35 * strength:
        level = int(rng.integers(18, 90))
        pixels = compressed(pixels, level)
        quality *= 1 - 0.4 * (1 - level / 90) ** 2
    return pixels, float(np.clip(quality, 0, 1))


def _through_a_camera(x: np.ndarray, rng: np.random.Generator, quality: float) -> tuple[np.ndarray, float]:
    """Lens, sensor and file one after the other: thin parts get through each alone, and not through all of them."""
    sigma, deviation, level = rng.uniform(0.2, 1.4), rng.uniform(0.003, 0.045), int(rng.integers(25, 90))
    x = cv2.GaussianBlur(x, (0, 0), float(sigma))
    x = x + np.float32(deviation) * rng.standard_normal(x.shape, np.float32)
    quality *= (1 - sigma / 3.2) * (1 - 5 * deviation) * (1 - 0.4 * (1 - level / 90) ** 2)
    return compressed((np.clip(x, 0, 1) * 255).astype(np.uint8), level), float(np.clip(quality, 0, 1))


def texture(rng: np.random.Generator, size: int) -> np.ndarray:
    """A picture without a face, (size, size, 3) uint8: noise of several grains in random colours.

    Shown as negatives, textures teach a landmark's deviation to mean something (T-FAKE, Flotho et al. 2024).
    """
    x = np.zeros((size, size, 3), np.float32)
    grain = 2
    while grain < size:
        layer = rng.standard_normal((grain, grain, 3), np.float32) * np.float32(rng.uniform(0.05, 0.3))
        x += cv2.resize(
            layer, (size, size), interpolation=int(rng.choice((cv2.INTER_CUBIC, cv2.INTER_NEAREST)))
        )
        grain *= int(rng.integers(2, 4))
    x += rng.uniform(0.2, 0.8, 3).astype(np.float32)
    return (np.clip(x, 0, 1) * 255).astype(np.uint8)


def _light(image: np.ndarray, rng: np.random.Generator, strength: float) -> tuple[np.ndarray, float]:
    """Gamma, gains, contrast, a gradient of light and loss of colour; 0..1 floats, and what is left of quality."""
    levels = np.linspace(0, 1, 256, dtype=np.float32)[:, None]
    levels = levels ** np.float32(np.exp(rng.normal(0, 0.3 * strength)))
    levels = levels * np.exp(rng.normal(0, 0.14 * strength, 3)).astype(np.float32)
    contrast, shift = np.exp(rng.normal(0, 0.22 * strength)), rng.normal(0, 0.06 * strength)
    x = cv2.LUT(image, ((levels - 0.5) * np.float32(contrast) + np.float32(0.5 + shift))[None])
    if rng.random() < 0.3 * strength:
        height, width = image.shape[:2]
        ramp = np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(rng.normal(0, 0.35))
        ramp = ramp + np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(rng.normal(0, 0.35))
        x = x * np.exp(ramp)[..., None]
    if rng.random() < 0.2 * strength:
        x = np.repeat(x @ np.array([0.299, 0.587, 0.114], np.float32)[:, None], 3, axis=2)
    return x, min(1.0, 0.3 + 3.5 * float(np.clip(x, 0, 1).mean()))


def _motion(x: np.ndarray, rng: np.random.Generator, sigma: float) -> np.ndarray:
    length = max(3, int(round(sigma * 3)) | 1)
    kernel = np.zeros((length, length), np.float32)
    kernel[length // 2] = 1
    turn = cv2.getRotationMatrix2D((length / 2 - 0.5, length / 2 - 0.5), float(rng.uniform(0, 180)), 1)
    kernel = cv2.warpAffine(kernel, turn, (length, length))
    return cv2.filter2D(x, -1, kernel / kernel.sum())


def _cover(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a rectangle, or an ellipse of texture as a hand or a cup would be, before the face."""
    pixels = (np.clip(x, 0, 1) * 255).astype(np.uint8)
    if rng.random() < 0.5:
        covered = erase(pixels, rng, share=1.0)
    else:
        size = pixels.shape[0]
        mask = np.zeros((size, size), np.uint8)
        centre = tuple(int(value) for value in rng.uniform(0, size, 2))
        axes = tuple(int(value) for value in size * rng.uniform(0.06, 0.22, 2))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, cv2.FILLED)
        covered = np.where(mask[..., None] > 0, texture(rng, size), pixels)
    return covered.astype(np.float32) / 255
