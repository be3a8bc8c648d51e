"""What the tabs share: pipelines, loaded once when they are first needed or ahead of time, and where they run."""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from ui.running import Run

PIPELINES = {
    "portrait": ("pipelines.portrait.pipeline", "PortraitPipeline"),
    "expression": ("pipelines.expression.pipeline", "ExpressionPipeline"),
    "makeup": ("pipelines.makeup.pipeline", "MakeupPipeline"),
    "drag": ("pipelines.drag.pipeline", "DragPipeline"),
    "texture": ("pipelines.texture.pipeline", "TexturePipeline"),
}
"""Task -> module and class."""
NATIVE = "native"
"""Attention of PyTorch itself."""
_BREATH = 0.1
"""Seconds between pipelines that are loaded ahead of time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A model, and where and how it runs."""

    model: str = "mini"
    """"mini", a folder or a hub id."""
    device: str | None = None
    """None chooses the best one present."""
    attention: str = NATIVE
    """Of `pipelines.attention.set_attention`."""


@dataclass(slots=True, eq=False)
class Services:
    """A pipeline for each task, one at a time loaded, whoever asks.

    Args:
        start: what all tasks begin with.
        examine: what `mien doctor` does: returns lines of group, name, status and detail.
        open_to_choice: whether visitors may choose models. They choose for everybody, and any folder of the machine,
            so it is for those who have the page to themselves.
    """

    start: Choice = field(default_factory=Choice)
    examine: Callable[[], Iterable[Mapping[str, str]]] | None = None
    open_to_choice: bool = False
    _chosen: dict[str, Choice] = field(default_factory=dict)
    _loaded: dict[str, Any] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def chosen(self, task: str) -> Choice:
        """What a task uses."""
        return self._chosen.get(task, self.start)

    @contextmanager
    def alone(self, run: Run | None = None) -> Iterator[None]:
        """Load or compute while nobody else does: loaders replace parts of torch for as long as they run.

        Args:
            run: of the visitor who waits, to be told.
        """
        if run is not None:
            run.says("waiting for the model")
        with self._lock:
            if run is not None:
                run.check()
            yield

    @contextmanager
    def pipeline(self, task: str, run: Run | None = None) -> Iterator[Any]:
        """Use the pipeline of a task, loaded now if it is not yet, while nobody else uses one.

        Args:
            task: of `PIPELINES`.
            run: of the visitor who waits, to be told.

        Raises:
            KeyError: an unknown task.
            OSError: the model has no weights for it.
            ValueError: a device or attention that is not there.
            Stopped: the visitor wants no more.
        """
        with self.alone(run):
            if task not in self._loaded:
                if run is not None:
                    run.says("loading the model")
                self._loaded[task] = self._load(task, self.chosen(task))
            if run is not None:
                run.says("reading the input")
            yield self._loaded[task]

    def analyzer(self) -> Any:
        """What reads faces apart from the pipelines, loaded when it is first asked for; within `alone` only."""
        if "analyzer" not in self._loaded:
            from faces.analysis import FaceAnalyzer

            self._loaded["analyzer"] = FaceAnalyzer.from_pretrained("mini", embed=False)
        return self._loaded["analyzer"]

    def preload(self, *tasks: str) -> threading.Thread:
        """Load pipelines in the background, so that the page answers meanwhile; one that fails is tried when asked."""

        def load() -> None:
            for task in tasks:
                with suppress(OSError, ValueError, ImportError), self.pipeline(task):
                    pass
                time.sleep(_BREATH)  # whoever has asked meanwhile comes first

        thread = threading.Thread(target=load, name="preload", daemon=True)
        thread.start()
        return thread

    def choose(self, choice: Choice, tasks: Iterable[str], run: Run) -> dict[str, str]:
        """Take another model from now on, for the tasks that it has weights for; the others keep theirs.

        Returns:
            Task -> "loaded", or why it keeps what it had.

        Raises:
            PermissionError: visitors may not choose.
        """
        if not self.open_to_choice:
            raise PermissionError(
                "models: this page is open to others, so its models are chosen where it is started: --model, --device"
            )
        told = {}
        for number, task in enumerate(names := list(tasks)):
            run.says(f"loading {task}", number / len(names))
            with self.alone():
                try:
                    self._loaded[task] = self._load(task, choice)
                except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError) as error:
                    told[task] = " ".join(str(error).split())[:300] or type(error).__name__
                else:
                    self._chosen[task] = choice
                    told[task] = "loaded"
        return told

    def loaded(self) -> list[dict[str, Any]]:
        """Facts about every task: what it uses, and of what is loaded class, size and device."""
        return [self._facts(task) for task in PIPELINES]

    def _facts(self, task: str) -> dict[str, Any]:
        choice, pipe = self.chosen(task), self._loaded.get(task)
        facts: dict[str, Any] = {"task": task, "model": choice.model, "attention": choice.attention}
        if pipe is None:
            return facts | {"loaded": False}
        size = round(_parameters(pipe) / 1e6, 2)
        return facts | {
            "loaded": True,
            "pipeline": type(pipe).__name__,
            "parameters_m": size,
            "device": str(pipe.device),
        }

    def _load(self, task: str, choice: Choice) -> Any:
        from pipelines.attention import set_attention
        from pipelines.device import best_device

        _load_silently()
        module, name = PIPELINES[task]
        made = getattr(importlib.import_module(module), name).from_pretrained(choice.model)
        made.set_progress_bar_config(disable=True)
        made = made.to(choice.device or best_device())
        if choice.attention != NATIVE:
            set_attention(made, choice.attention)
        # Every record holds the hash of all weights, which do not change here: it is made once.
        made.weights_sha256 = functools.cache(made.weights_sha256)
        return made


def _load_silently() -> None:
    """Let nothing be drawn over what the server says."""
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()


def _parameters(pipe: Any) -> int:
    modules = (part for part in pipe.components.values() if hasattr(part, "parameters"))
    return sum(value.numel() for module in modules for value in module.parameters())
