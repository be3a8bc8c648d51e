"""Pipelines that answer at once, as the page's services give them."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from PIL import Image

from faces.provenance import Provenance
from tests.pipelines.texture_components import toy_texture_pipeline
from ui.services import Choice, Services

SIDE = 32
SLOW = 99
"""Steps of a call that takes its time."""


class Painter:
    """Returns noise of its generators as pictures, and remembers what it was asked."""

    device, components = "cpu", {}

    def __init__(self, task: str) -> None:
        self.task, self.asked = task, []
        self.analyzer = SimpleNamespace(require_face=lambda *_, **__: SimpleNamespace(landmarks=landmarks()))

    def __call__(
        self,
        *arguments: Any,
        generator: Any,
        num_inference_steps: int,
        callback_on_step_end: Any,
        **options: Any,
    ) -> SimpleNamespace:
        self.asked.append((arguments, options))
        for step in range(num_inference_steps):
            if num_inference_steps == SLOW:
                time.sleep(0.1)
            callback_on_step_end(self, step, 0, {})
        every = generator if isinstance(generator, list) else [generator]
        shape = arguments[0].shape if self.task == "drag" else (SIDE, SIDE, 3)
        drawn = [np.random.default_rng(one.initial_seed()).integers(0, 255, shape) for one in every]
        return SimpleNamespace(
            images=[Image.fromarray(one.astype(np.uint8)) for one in drawn],
            flow=torch.zeros(len(drawn), 2, SIDE, SIDE), residual=[np.array([1.5])] * len(drawn),
            masks=[np.ones(shape[:2])] * len(drawn), matrices=[None] * len(drawn),
        )  # fmt: skip

    def preview(self, photo: np.ndarray, *_: Any) -> SimpleNamespace:
        flow = SimpleNamespace(
            cpu=lambda: SimpleNamespace(numpy=lambda: np.ones((2, SIDE, SIDE), np.float32))
        )
        return SimpleNamespace(images=[Image.fromarray(photo[:, ::-1])], flow=[flow], matrices=[None])

    def provenance(self, *, prompt: str | None = None, **facts: Any) -> Provenance:
        known = {name: facts.pop(name, None) for name in ("seed", "steps")}
        return Provenance(
            digital_source_type="trainedAlgorithmicMedia", pipeline=self.task, extra=facts, **known
        )


def landmarks() -> np.ndarray:
    """68 places on a ring inside of a photograph of 96 pixels."""
    angle = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    return 48 + 24 * np.stack([np.cos(angle), np.sin(angle)], axis=1)


class ToyServices(Services):
    """Services whose pipelines are stand-ins, and that of textures a toy."""

    def analyzer(self) -> Any:
        seen = SimpleNamespace(attributes={"glasses": 0.9}, hair_colour={"black": 0.8, "red": 0.2})
        return SimpleNamespace(require_face=lambda *_, **__: seen)

    def _load(self, task: str, choice: Choice) -> Any:
        if choice.model not in ("mini", f"only {task}"):
            raise OSError(f"{choice.model}: no weights for {task}")
        return toy_texture_pipeline() if task == "texture" else Painter(task)
