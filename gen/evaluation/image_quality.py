"""PSNR and SSIM of images with values in [0, 1]."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

_SIGMA, _RADIUS, _K1, _K2 = 1.5, 5, 0.01, 0.03


def psnr(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the peak signal-to-noise ratio in dB; infinite for equal images."""
    error = float(np.mean((_unit(image, reference) - _unit(reference, image)) ** 2))
    return float("inf") if error == 0 else float(-10 * np.log10(error))


def ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Return the mean structural similarity of two images (h, w) or (h, w, c), each side at least 11 px.

    Wang et al. 2004, equation 13: 11x11 Gaussian window of sigma 1.5, K1 0.01, K2 0.03, only windows that
    lie inside the image; colour channels are averaged.
    """
    first, second = _unit(image, reference), _unit(reference, image)
    if min(first.shape[:2]) < 2 * _RADIUS + 1:
        raise ValueError(f"SSIM needs images of at least 11 x 11 px, not {first.shape[1]} x {first.shape[0]}")
    mean_a, mean_b = _window(first), _window(second)
    variance_a = _window(first**2) - mean_a**2
    variance_b = _window(second**2) - mean_b**2
    covariance = _window(first * second) - mean_a * mean_b
    c1, c2 = _K1**2, _K2**2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    similarity /= (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    return float(similarity.mean())


def _window(image: np.ndarray) -> np.ndarray:
    sigma = (_SIGMA, _SIGMA) + (0.0,) * (image.ndim - 2)
    blurred = gaussian_filter(image, sigma=sigma, radius=(_RADIUS, _RADIUS) + (0,) * (image.ndim - 2))
    return blurred[_RADIUS : image.shape[0] - _RADIUS, _RADIUS : image.shape[1] - _RADIUS]


def _unit(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    if image.shape != np.shape(other):
        raise ValueError(f"images of shapes {image.shape} and {np.shape(other)} cannot be compared")
    if image.dtype == np.uint8:
        return image.astype(np.float64) / 255
    if image.min() < -1e-6 or image.max() > 1 + 1e-6:
        raise ValueError(f"image values {image.min():g}..{image.max():g} lie outside [0, 1]")
    return image.astype(np.float64)
