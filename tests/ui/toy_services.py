"""Pipelines that answer at once, as the page's services give them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from faces.provenance import Provenance
from tests.pipelines.texture_components import toy_texture_pipeline
from ui.services import Services

SIDE = 32


class Painter:
    """Returns noise of its generators as pictures, and remembers what it was asked."""

    def __init__(self, task: str) -> None:
        self.task, self.asked = task, []

    def __call__(self, *arguments: Any, generator: Any, **options: Any) -> SimpleNamespace:
        self.asked.append((arguments, options))
        every = generator if isinstance(generator, list) else [generator]
        drawn = [np.random.default_rng(one.initial_seed()).integers(0, 255, (SIDE, SIDE, 3)) for one in every]
        return SimpleNamespace(images=[Image.fromarray(one.astype(np.uint8)) for one in drawn])

    def preview(self, photo: np.ndarray, *_: Any) -> SimpleNamespace:
        return SimpleNamespace(images=[Image.fromarray(photo[:, ::-1])])

    def provenance(self, *, prompt: str | None = None, **facts: Any) -> Provenance:
        known = {name: facts.pop(name, None) for name in ("seed", "steps")}
        return Provenance(
            digital_source_type="trainedAlgorithmicMedia", pipeline=self.task, extra=facts, **known
        )


class ToyServices(Services):
    """Services whose pipelines are stand-ins, and that of textures a toy."""

    def pipeline(self, task: str) -> Any:
        with self._lock:
            if task not in self._loaded:
                self._loaded[task] = toy_texture_pipeline() if task == "texture" else Painter(task)
            return self._loaded[task]

    def loaded(self) -> list[dict[str, Any]]:
        return [{"task": task} for task in self._loaded]
