"""Dense flow as files and pictures. Flow is (dx, dy) in pixels of its own grid, (h, w, 2) float32, y down."""

from __future__ import annotations

import cv2
import numpy as np

_STEPS = 64.0
"""Steps of a stored value in one pixel."""
_ZERO = 2**15
_MOST = 511.0


def encode_flow(flow: np.ndarray, valid: np.ndarray) -> bytes:
    """Encode flow as the 16-bit PNG of the KITTI benchmark (Geiger et al. 2012, development kit): u, v, valid.

    A value is kept to 1/128 of a pixel.

    Args:
        flow: (h, w, 2) pixels.
        valid: (h, w) bool.

    Raises:
        ValueError: a value is not finite, or beyond 511 pixels on an axis.
    """
    if not np.isfinite(flow).all() or np.abs(flow).max(initial=0) > _MOST:
        raise ValueError(f"flow must be finite and at most {_MOST:.0f} px long on each axis")
    stored = np.zeros((*flow.shape[:2], 3), np.uint16)
    stored[..., :2] = np.rint(flow * _STEPS) + _ZERO
    stored[..., 2] = valid
    return cv2.imencode(".png", stored[..., ::-1])[1].tobytes()  # OpenCV writes its channels backwards


def decode_flow(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Read a KITTI flow PNG: flow (h, w, 2) float32 pixels, and (h, w) bool where it is valid.

    Raises:
        ValueError: not a 16-bit PNG of three channels.
    """
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None or stored.dtype != np.uint16 or stored.ndim != 3 or stored.shape[2] != 3:
        raise ValueError("a KITTI flow file is a PNG of three channels of 16 bits")
    stored = stored[..., ::-1]
    return ((stored[..., :2].astype(np.float32) - _ZERO) / _STEPS), stored[..., 2] > 0


def flow_colours(flow: np.ndarray, longest: float | None = None) -> np.ndarray:
    """Draw flow, (h, w, 3) uint8: the hue tells the direction (right is red), the saturation the length.

    Baker et al. 2011, "A Database and Evaluation Methodology for Optical Flow", figure 5; hues here are evenly spaced.

    Args:
        flow: (h, w, 2) pixels.
        longest: length of full saturation; by default the longest there is.
    """
    length = np.linalg.norm(flow, axis=-1)
    longest = max(float(length.max()) if longest is None else longest, 1e-6)
    hue = np.degrees(np.arctan2(flow[..., 1], flow[..., 0])) % 360
    hsv = np.stack([hue, np.clip(length / longest, 0, 1), np.ones_like(length)], axis=-1).astype(np.float32)
    return (cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) * 255).round().astype(np.uint8)
