"""How different two colours look: sRGB to CIE L*a*b*, and the difference CIEDE2000."""

from __future__ import annotations

import numpy as np

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
"""Linear sRGB to XYZ, IEC 61966-2-1."""
_TO_XYZ_OF_WHITE = _TO_XYZ / _TO_XYZ.sum(axis=1, keepdims=True)
"""The same in shares of the white D65, so that grey has no hue."""
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27
_25_7 = 25.0**7


def lab(pixels: np.ndarray) -> np.ndarray:
    """Return L*, a* and b* (D65) of sRGB pixels (..., 3), uint8 or floats in 0..1."""
    rgb = np.asarray(pixels)
    rgb = rgb / 255 if rgb.dtype == np.uint8 else rgb.astype(np.float64)
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    share = linear @ _TO_XYZ_OF_WHITE.T
    f = np.where(share > _EPSILON, np.cbrt(share), (_KAPPA * share + 16) / 116)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def ciede2000(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the difference of colours in L*a*b* (..., 3), 1 being just noticeable.

    Sharma, Wu and Dalal 2005, equations 2 to 22, with all weights 1.
    """
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(first, -1, 0), np.moveaxis(second, -1, 0)
    chroma_7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(chroma_7 / (chroma_7 + _25_7)))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0

    turn = (h2 - h1 + 180) % 360 - 180
    # Opposite hues differ by +180 where the second is the greater one, as the paper has it.
    turn = np.where(grey, 0, np.where((turn == -180) & (h2 > h1), 180, turn))
    dl, dc = l2 - l1, c2 - c1
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2)

    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    total = h1 + h2
    far = np.abs(h1 - h2) > 180
    hue = np.where(far, np.where(total < 360, total + 360, total - 360), total) / 2
    hue = np.where(grey, total, hue)

    t = (
        1
        - 0.17 * _cos(hue - 30)
        + 0.24 * _cos(2 * hue)
        + 0.32 * _cos(3 * hue + 6)
        - 0.20 * _cos(4 * hue - 63)
    )
    light = (l_mean - 50) ** 2
    sl = 1 + 0.015 * light / np.sqrt(20 + light)
    sc, sh = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    theta = 30 * np.exp(-(((hue - 275) / 25) ** 2))
    rc = 2 * np.sqrt(c_mean**7 / (c_mean**7 + _25_7))
    rt = -np.sin(np.radians(2 * theta)) * rc
    l, c, h = dl / sl, dc / sc, dh / sh  # noqa: E741 - the paper's names
    return np.sqrt(np.maximum(l * l + c * c + h * h + rt * c * h, 0))


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return CIEDE2000 of sRGB pixels (..., 3), uint8 or floats in 0..1, as (...)."""
    return ciede2000(lab(first), lab(second))


def _cos(degrees: np.ndarray) -> np.ndarray:
    return np.cos(np.radians(degrees))
