"""What pipelines share that edit photographs within a frame around the face: who finds it, and how pictures go out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from faces.analysis import FaceAnalyzer
from pipelines.face_pipeline import FacePipeline


class FramePipeline(FacePipeline):
    """A `FacePipeline` whose frames have a side of `frame_size` pixels."""

    frame_size: int
    _analyzer: FaceAnalyzer | None = None

    @property
    def analyzer(self) -> FaceAnalyzer:
        """What finds faces; the bundled one unless another was set."""
        if self._analyzer is None:
            self._analyzer = FaceAnalyzer.from_pretrained("mini", size=self.frame_size, embed=False)
        return self._analyzer

    @analyzer.setter
    def analyzer(self, analyzer: FaceAnalyzer) -> None:
        self._analyzer = analyzer

    def _check_call(self, output_type: str, callback_inputs: Sequence[str]) -> None:
        if output_type not in ("pil", "np", "pt", "latent"):
            raise ValueError(f"output_type {output_type!r}: expected pil, np, pt or latent")
        unknown = sorted(set(callback_inputs) - set(self._callback_tensor_inputs))
        if unknown:
            raise ValueError(
                f"callback_on_step_end_tensor_inputs {unknown}: permitted are {self._callback_tensor_inputs}"
            )

    def _called_back(
        self, callback: Any, inputs: Sequence[str], step: int, t: Any, latents: torch.Tensor
    ) -> torch.Tensor:
        """Latents after `callback_on_step_end`, where there is one."""
        if callback is None:
            return latents
        return callback(self, step, t, dict.fromkeys(inputs, latents)).pop("latents", latents)


def converted(picture: np.ndarray, output_type: str) -> Any:
    """A picture (h, w, 3) float32 in 0..1 as "np", as a tensor (3, h, w) for "pt", or as a PIL image."""
    if output_type == "np":
        return picture
    if output_type == "pt":
        return torch.from_numpy(picture).movedim(-1, 0)
    return Image.fromarray((picture * 255).round().astype(np.uint8))
