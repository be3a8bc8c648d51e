"""The camera of the aligned portrait frame."""

from __future__ import annotations

import numpy as np

from faces.alignment import ANCHORS, anchor_points
from faces.head.spec import Camera


def projection(camera: Camera, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Aim a camera so that the landmarks' eyes and mouth fall on the portrait frame, without rolling the image.

    Args:
        camera: distance, shift and zoom.
        landmarks: (68, 3) posed landmarks in dm.

    Returns:
        (4, 4) float32 world-to-clip matrix (column vectors) and the camera's position (3,).
    """
    target = landmarks[27:36].mean(axis=0)
    eye = np.array([0.0, target[1] + 0.05, target[2] + camera.distance])
    view = np.eye(4)
    view[:3, 3] = -eye
    anchors = anchor_points(landmarks)
    flat = (anchors - eye)[:, :2] / -(anchors - eye)[:, 2:]  # on the plane at distance 1, y up
    flat = flat * [1, -1]
    # Scale and shift by least squares onto the template; a roll of the head stays in the picture.
    centred, wanted = flat - flat.mean(axis=0), ANCHORS - ANCHORS.mean(axis=0)
    # The span of eyes and mouth together: a turned face keeps its height, so it does not grow.
    scale = np.linalg.norm(wanted) / np.linalg.norm(centred) * camera.zoom
    offset = ANCHORS.mean(axis=0) + np.array(camera.shift) - scale * flat.mean(axis=0)
    near, far = camera.distance - 6.0, camera.distance + 8.0
    clip = np.zeros((4, 4))
    clip[0, 0], clip[0, 2] = 2 * scale, -(2 * offset[0] - 1)
    clip[1, 1], clip[1, 2] = 2 * scale, -(1 - 2 * offset[1])
    clip[2, 2], clip[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
    clip[3, 2] = -1
    return (clip @ view).astype(np.float32), eye.astype(np.float32)


def light_projection(direction: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Orthographic world-to-clip matrix (4, 4) of a far light that sees the head around `centre`."""
    z = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    x = np.cross([0.0, 1.0, 0.0], z)
    x /= np.linalg.norm(x)
    rotation = np.stack([x, np.cross(z, x), z])
    matrix = np.eye(4)
    matrix[:3, :3] = rotation / np.array([[2.1], [2.1], [-4.0]])
    matrix[:3, 3] = -matrix[:3, :3] @ centre
    return matrix.astype(np.float32)


def project(matrix: np.ndarray, points: np.ndarray, size: int) -> np.ndarray:
    """World points (n, 3) -> pixels (n, 2) of a size x size picture, centre of the first pixel at 0.5."""
    clip = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    ndc = clip[:, :2] / clip[:, 3:]
    return (ndc * [0.5, -0.5] + 0.5) * size
