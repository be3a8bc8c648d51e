"""Faces by MediaPipe's face landmarker (extra `mediapipe`, Apache-2.0); the user brings its model file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np

from faces.backends import padded
from faces.detection import Detection

MESH_TO_68 = (
    127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
    70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
    168, 197, 5, 4, 75, 97, 2, 326, 305,
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
    61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, 78, 82, 13, 312, 308, 317, 14, 87,
)  # fmt: skip
"""Vertex of the face mesh nearest to each of the 68 landmarks."""
_PADDINGS = (0.0, 0.5)


class MediaPipeBackend:
    """Boxes and 68 landmarks out of the face mesh.

    Args:
        model: path of `face_landmarker.task`, from MediaPipe's page on the face landmarker.
        faces: at most this many faces a picture.
    """

    def __init__(self, model: str | Path = "face_landmarker.task", faces: int = 16) -> None:
        """Load the model.

        Raises:
            ImportError: the library is not installed.
            FileNotFoundError: there is no such model file.
        """
        try:
            mediapipe = import_module("mediapipe")
        except ImportError as error:
            raise ImportError("backend 'mediapipe': run pip install 'mien[mediapipe]'") from error
        if not Path(model).is_file():
            raise FileNotFoundError(f"{model}: no such file, download MediaPipe's face_landmarker.task there")
        vision = mediapipe.tasks.vision
        options = vision.FaceLandmarkerOptions(
            base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(model)), num_faces=faces
        )
        self._mediapipe = mediapipe
        self._landmarker = vision.FaceLandmarker.create_from_options(options)

    def find(self, image: np.ndarray) -> list[Detection]:
        """Find faces in a picture (h, w, 3) uint8 RGB, again with a border when there is none."""
        for padding in _PADDINGS:
            roomy, border = padded(image, padding)
            picture = self._mediapipe.Image(
                image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(roomy)
            )
            found = self._landmarker.detect(picture).face_landmarks
            if found:
                return [_detection(mesh, roomy.shape[1::-1], border) for mesh in found]
        return []


def _detection(mesh, size: tuple[int, int], border: int) -> Detection:
    """Read one mesh, whose points are shares of the picture; it states no score."""
    points = np.array([(point.x, point.y) for point in mesh], np.float32) * size - border
    box = np.concatenate([points.min(0), points.max(0)])
    return Detection(box=box.astype(np.float32), score=1.0, landmarks=points[list(MESH_TO_68)])
