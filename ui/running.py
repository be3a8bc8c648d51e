"""A computation that a visitor waits for: it tells how far it is, and ends when it is told to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ui.session import Session

Progress = Callable[..., Any]
"""`gr.Progress`: takes a share or (done, total), and `desc` and `unit`."""


class Stopped(RuntimeError):  # noqa: N818 - it reads as what happened
    """A visitor stopped it."""


def _silent(*_: Any, **__: Any) -> None:
    """Report to nobody."""


@dataclass(slots=True, eq=False)
class Run:
    """One computation of a session."""

    session: Session
    progress: Progress = _silent
    stopping: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """End here if the visitor wants it; otherwise the session is in use, however long it takes.

        Raises:
            Stopped: so it is.
        """
        if self.stopping.is_set():
            raise Stopped("stopped")
        self.session.last_seen = time.monotonic()

    def says(self, what: str, share: float = 0.0) -> None:
        """Tell what is being done now, and which share of all is done; raises `Stopped`."""
        self.check()
        self.progress(share, desc=what)

    def steps(
        self, total: int, what: str = "drawing"
    ) -> Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]:
        """The `callback_on_step_end` of a pipeline call with `total` steps: counts them, and ends the call."""

        def stepped(_pipe: Any, index: int, _timestep: Any, _tensors: dict[str, Any]) -> dict[str, Any]:
            self.check()
            self.progress((min(index + 1, total), total), desc=what, unit="steps")
            return {}

        return stepped
