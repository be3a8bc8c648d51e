"""What a visitor has made and uploaded: files in a folder of their own, which goes when the visitor does."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ui.running import Progress, Run

SHOWN = (".png", ".webp", ".jpg")
"""Files that a gallery shows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Something that was made."""

    task: str
    file: Path
    """With the record of how it was made inside."""
    seed: int
    settings: Mapping[str, Any]
    """What was asked for, JSON types; no name or path of a reference photograph."""
    asked: Mapping[str, Any] = field(default_factory=dict)
    """Values of the controls that it was asked with, uploads among them: they live as long as the session."""

    @property
    def caption(self) -> str:
        """One line for a gallery."""
        return f"{self.task}, seed {self.seed}"

    def facts(self) -> dict[str, Any]:
        """Task, seed and settings, as they are shown."""
        return {"task": self.task, "seed": self.seed, **self.settings}


@dataclass(slots=True, eq=False)
class Session:
    """Results, uploads and running computations of one visitor."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    uploads: set[Path] = field(default_factory=set)
    intended: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """Photograph -> values that an event has set beside it, for whoever hears of the photograph first."""
    last_seen: float = field(default_factory=time.monotonic)
    left: bool = False
    """Whether the page was closed; it may come back."""
    _runs: dict[str, Run] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def start(cls, root: Path) -> Session:
        """Open a session with a folder of its own below `root`."""
        folder = root / uuid.uuid4().hex
        folder.mkdir(parents=True, mode=0o700)
        return cls(folder)

    def path(self, task: str, suffix: str) -> Path:
        """A file that is not there yet."""
        return self.folder / f"{task}-{uuid.uuid4().hex[:12]}{suffix}"

    def owns(self, path: str | Path) -> bool:
        """Whether a file was made in this session; a way that leads out of its folder again is none."""
        return self.folder in Path(os.path.normpath(path)).parents

    def add(self, result: Result) -> Result:
        """Keep a result."""
        self.results.append(result)
        return result

    def run(self, task: str, progress: Progress | None = None) -> Run:
        """Begin a computation, which `stop` ends."""
        run = Run(self) if progress is None else Run(self, progress)  # an unused gr.Progress is false
        with self._lock:
            self._runs[task] = run
        return run

    def stop(self, task: str | None = None) -> None:
        """Tell the computation of a task to end, or all of them."""
        with self._lock:
            for name, run in self._runs.items():
                if task in (None, name):
                    run.stopping.set()

    def pictures(self) -> list[Result]:
        """Results that are pictures, the newest first."""
        return [one for one in reversed(self.results) if one.file.suffix in SHOWN]

    def gallery(self) -> list[tuple[str, str]]:
        """Pictures with captions, the newest first."""
        return [(str(one.file), one.caption) for one in self.pictures()]

    def close(self) -> None:
        """End what runs, and delete what the visitor made. `Sessions` deletes the uploads, which visitors may share."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.results.clear()
