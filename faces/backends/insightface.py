"""Faces by InsightFace (extra `insightface`): more robust on hard photographs.

Its library is MIT, its published models are for non-commercial research only; Mien ships and downloads none.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np

from faces.backends import padded
from faces.detection import Detection

_PADDINGS = (0.0, 0.5)


class InsightFaceBackend:
    """Boxes and 68 landmarks of a model pack that the user has put in place.

    Args:
        pack: name of the model pack.
        root: folder that holds `models/PACK/*.onnx`.
        providers: ONNX Runtime's execution providers.
    """

    def __init__(
        self,
        pack: str = "buffalo_l",
        root: str | Path = "~/.insightface",
        providers: tuple[str, ...] = ("CPUExecutionProvider",),
    ) -> None:
        """Load the pack.

        Raises:
            ImportError: the library is not installed.
            FileNotFoundError: the pack is not where it should be.
        """
        try:
            app = import_module("insightface.app")
        except ImportError as error:
            raise ImportError("backend 'insightface': run pip install 'mien[insightface]'") from error
        folder = Path(root).expanduser() / "models" / pack
        if not any(folder.glob("*.onnx")):
            nested = " (it lies one folder too deep)" if any(folder.glob(f"{pack}/*.onnx")) else ""
            raise FileNotFoundError(
                f"{folder}: no *.onnx files{nested}, unpack the model pack '{pack}' there"
            )
        self._application = app.FaceAnalysis(
            name=pack,
            root=str(Path(root).expanduser()),
            allowed_modules=["detection", "landmark_3d_68"],
            providers=list(providers),
        )
        self._application.prepare(ctx_id=0, det_size=(640, 640))

    def find(self, image: np.ndarray) -> list[Detection]:
        """Find faces in a picture (h, w, 3) uint8 RGB, again with a border when there is none."""
        for padding in _PADDINGS:
            roomy, border = padded(image, padding)
            found = self._application.get(np.ascontiguousarray(roomy[..., ::-1]))  # it expects BGR
            if found:
                return [_detection(face, 0.5 - border) for face in found]
        return []


def _detection(face, shift: float) -> Detection:
    """Read InsightFace's record of a face, whose first pixel is centred at 0."""
    points = face.landmark_3d_68
    return Detection(
        box=np.asarray(face.bbox, np.float32) + shift,
        score=float(face.det_score),
        landmarks=None if points is None else np.asarray(points, np.float32)[:, :2] + shift,
    )
