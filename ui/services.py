"""What the tabs share: pipelines, loaded once when they are first needed or ahead of time, and the device."""

from __future__ import annotations

import importlib
import threading
from dataclasses import dataclass, field
from typing import Any

PIPELINES = {
    "portrait": ("pipelines.portrait.pipeline", "PortraitPipeline"),
    "expression": ("pipelines.expression.pipeline", "ExpressionPipeline"),
    "makeup": ("pipelines.makeup.pipeline", "MakeupPipeline"),
    "drag": ("pipelines.drag.pipeline", "DragPipeline"),
    "texture": ("pipelines.texture.pipeline", "TexturePipeline"),
}
"""Task -> module and class."""


@dataclass(slots=True, eq=False)
class Services:
    """Pipelines of one model on one device; one at a time is loaded, whoever asks.

    Args:
        model: "mini", a folder or a hub id.
        device: None chooses the best one present.
    """

    model: str = "mini"
    device: str | None = None
    _loaded: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def pipeline(self, task: str) -> Any:
        """The pipeline of a task, loaded now if it is not yet.

        Raises:
            KeyError: an unknown task.
            OSError: the model has no weights for it.
        """
        module, name = PIPELINES[task]
        with self._lock:
            if task not in self._loaded:
                from pipelines.device import best_device

                made = getattr(importlib.import_module(module), name).from_pretrained(self.model)
                made.set_progress_bar_config(disable=True)
                self._loaded[task] = made.to(self.device or best_device())
            return self._loaded[task]

    def preload(self, *tasks: str) -> threading.Thread:
        """Load pipelines in the background, so that the page answers meanwhile; one that fails is tried when asked."""

        def load() -> None:
            for task in tasks:
                try:
                    self.pipeline(task)
                except (OSError, ValueError, ImportError):
                    continue

        thread = threading.Thread(target=load, name="preload", daemon=True)
        thread.start()
        return thread

    def choose(self, model: str) -> None:
        """Take another model from now on; what is loaded is let go."""
        with self._lock:
            self.model = model
            self._loaded.clear()

    def loaded(self) -> list[dict[str, Any]]:
        """Facts about the pipelines that are loaded: task, class, parameters in millions, device."""
        return [
            {
                "task": task,
                "pipeline": type(pipe).__name__,
                "parameters_m": round(_parameters(pipe) / 1e6, 2),
                "device": str(pipe.device),
            }
            for task, pipe in dict(self._loaded).items()
        ]


def _parameters(pipe: Any) -> int:
    modules = (part for part in pipe.components.values() if hasattr(part, "parameters"))
    return sum(value.numel() for module in modules for value in module.parameters())
