"""The camera that sees a head: perspective, with the pixel convention of the whole of Mien."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from faces.alignment import scale_of, transform_points
from faces.head.morph import euler_rotation

_DISTANCE = 15.0
"""Decimetres from the camera to a head of a portrait: the middle of what heads are rendered from."""
_FRAMED = 0.92
"""Share of the shorter side of a portrait that the head's sphere fills."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class HeadCamera:
    """A perspective camera that stands still while the head moves before it.

    The head's axes are x to the right of the image, y up and z to the camera, in decimetres. The camera is at the
    origin and looks along -z. Pixels are (x, y) from the top-left corner, the centre of the first one at 0.5.
    """

    rotation: np.ndarray
    """(3, 3), turns points of the head into the axes of the camera."""
    translation: np.ndarray
    """(3,) dm, where the head's origin is seen; z is negative."""
    focal: float
    """Pixels that a decimetre spans at a distance of one decimetre."""
    centre: tuple[float, float]
    """Pixel that the axis of the camera passes through."""
    size: tuple[int, int]
    """Width and height of the picture in pixels."""

    def __post_init__(self) -> None:
        """Refuse what is no camera."""
        if np.shape(self.rotation) != (3, 3) or np.shape(self.translation) != (3,):
            raise ValueError(
                f"camera of rotation {np.shape(self.rotation)} and translation {np.shape(self.translation)}, "
                "expected (3, 3) and (3,)"
            )
        if not np.allclose(self.rotation @ np.transpose(self.rotation), np.eye(3), atol=1e-4):
            raise ValueError("camera: rotation is not orthonormal")
        if not (self.focal > 0 and min(self.size) >= 1):
            raise ValueError(
                f"camera of focal length {self.focal} and size {self.size}, expected both above 0"
            )

    @classmethod
    def portrait(
        cls,
        vertices: np.ndarray,
        size: int | Sequence[int],
        *,
        yaw: float = 0.0,
        pitch: float = 0.0,
        distance: float = _DISTANCE,
    ) -> HeadCamera:
        """Frame a whole head as it turns about its own middle.

        The scale is the same for every angle: a sphere around the vertices fills the shorter side.

        Args:
            vertices: (V, 3) dm.
            size: side, or width and height, of the picture in pixels.
            yaw: degrees, positive turns the face to the right of the image.
            pitch: degrees, positive turns it upwards.
            distance: dm from the camera to the middle of the head.

        Raises:
            ValueError: the camera would stand inside the head.
        """
        width, height = as_size(size)
        middle = (vertices.min(0) + vertices.max(0)) / 2
        radius = float(np.linalg.norm(vertices - middle, axis=1).max())
        if distance <= radius:
            raise ValueError(f"distance {distance:g} dm: inside the head, whose radius is {radius:.2f} dm")
        rotation = euler_rotation(yaw, pitch, 0).astype(np.float64)
        focal = _FRAMED * min(width, height) / 2 * math.sqrt(distance**2 - radius**2) / radius
        return cls(
            rotation=rotation,
            translation=np.array([0.0, 0.0, -distance]) - rotation @ middle,
            focal=focal,
            centre=(width / 2, height / 2),
            size=(width, height),
        )

    @property
    def position(self) -> np.ndarray:
        """Where the camera stands in the axes of the head, (3,) dm."""
        return -self.rotation.T @ self.translation

    @property
    def angles(self) -> tuple[float, float, float]:
        """Yaw, pitch and roll of the head in degrees, the inverse of `faces.head.morph.euler_rotation`."""
        turn = self.rotation
        yaw = math.asin(np.clip(-turn[2, 0], -1, 1))
        pitch, roll = math.atan2(-turn[2, 1], turn[2, 2]), math.atan2(-turn[1, 0], turn[0, 0])
        return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Project points (..., 3) dm of the head.

        Returns:
            Pixels (..., 2), and depth (...,) in dm along the camera's axis. Pixels of points that are not in front of
            the camera mean nothing; their depth is 0 or less.
        """
        seen = points @ self.rotation.T + self.translation
        depth = -seen[..., 2]
        divisor = np.where(depth > 0, depth, np.inf)[..., None]
        pixels = seen[..., :2] / divisor * (self.focal * np.array([1.0, -1.0])) + self.centre
        return pixels, depth

    def view_directions(self, points: np.ndarray) -> np.ndarray:
        """Unit vectors (..., 3) from points (..., 3) dm of the head to the camera."""
        towards = self.position - points
        return towards / np.linalg.norm(towards, axis=-1, keepdims=True)

    def scaled(self, size: int | Sequence[int]) -> HeadCamera:
        """Follow the picture to another size of the same proportions, to within a pixel.

        Raises:
            ValueError: other proportions.
        """
        width, height = as_size(size)
        factor = width / self.size[0]
        if abs(self.size[1] * factor - height) > 1:
            raise ValueError(
                f"size {width} x {height}: the camera's picture is {self.size[0]} x {self.size[1]}"
            )
        centre = (self.centre[0] * factor, self.centre[1] * factor)
        return replace(self, focal=self.focal * factor, centre=centre, size=(width, height))

    def transformed(self, matrix: np.ndarray, size: int | Sequence[int]) -> HeadCamera:
        """Follow the picture through a similarity (2, 3) of its pixels, such as from the canonical frame to the photo.

        A turn of the picture is a roll of the head, so the result is exact.

        Args:
            matrix: as in `faces.alignment`; it never mirrors.
            size: side, or width and height, of the new picture in pixels.
        """
        scale = scale_of(matrix)
        turn = np.eye(3)
        # Pixels have y downwards and the camera has it upwards: the turn goes the other way.
        turn[:2, :2] = matrix[:, :2].T / scale
        x, y = transform_points(np.array(self.centre), matrix)
        return replace(
            self,
            rotation=turn @ self.rotation,
            translation=turn @ self.translation,
            focal=self.focal * scale,
            centre=(float(x), float(y)),
            size=as_size(size),
        )


def as_size(size: int | Sequence[int]) -> tuple[int, int]:
    """Width and height of a side, or of a pair.

    Raises:
        ValueError: not one or two whole numbers of 1 at least.
    """
    sides = (size, size) if isinstance(size, (int, np.integer)) else tuple(size)
    if len(sides) != 2 or any(int(side) != side or side < 1 for side in sides):
        raise ValueError(f"size {size}: expected a side, or width and height, in pixels")
    return int(sides[0]), int(sides[1])


def as_array(values: Any) -> np.ndarray:
    """Numpy array of an array, or of a tensor on any device; halves become float32, which numpy computes faster in."""
    if not isinstance(values, torch.Tensor):
        return np.asarray(values)
    array = values.detach().cpu()
    return (array.float() if array.is_floating_point() else array).numpy()
