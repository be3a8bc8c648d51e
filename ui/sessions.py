"""All visitors of the page, told apart by the session hash that Gradio gives each open page."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ui.session import Session

IDLE = 3600.0
"""Seconds without an event after which a session ends."""
GRACE = 60.0
"""Seconds after a page was closed: a phone that loses its network for a moment finds its results again."""


@dataclass(slots=True, eq=False)
class Sessions:
    """Sessions by hash.

    Args:
        root: where their folders are; Gradio's folder of uploads or one below it, so that it copies no result.
        uploads: Gradio's folder of uploads; files elsewhere are never deleted.
        idle: see `IDLE`.
        grace: see `GRACE`.
        forget: lets others delete what they keep of a session.
    """

    root: Path
    uploads: Path
    idle: float = IDLE
    grace: float = GRACE
    forget: Callable[[str], None] = lambda _: None
    """Called with the hash of a session that has ended."""
    _open: dict[str, Session] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def of(self, key: str | None) -> Session:
        """The session of a hash, opened when it is first seen.

        Raises:
            ValueError: no hash.
        """
        if not key:
            raise ValueError("session: none; give a session_hash, or use gradio_client, which does")
        with self._lock:
            self.sweep()
            if key not in self._open:
                self._open[key] = Session.start(self.root)
            session = self._open[key]
            session.last_seen, session.left = time.monotonic(), False
            return session

    def note(self, key: str | None, files: list[Path]) -> Session:
        """Remember what a visitor uploaded, and return the session."""
        session = self.of(key)
        session.uploads |= {file for file in files if self.uploads in file.parents and not session.owns(file)}
        return session

    def leave(self, key: str | None) -> None:
        """A page was closed: what it computes ends now, and its session after `grace`, unless it comes back."""
        with self._lock:
            session = self._open.get(key or "")
            if session is None:
                return
            session.left = True
            session.stop()
        waiting = threading.Timer(self.grace, self.sweep)
        waiting.daemon = True
        waiting.start()

    def sweep(self) -> None:
        """End the sessions whose time is over."""
        now = time.monotonic()
        with self._lock:
            over = [
                key
                for key, session in self._open.items()
                if now - session.last_seen >= (self.grace if session.left else self.idle)
            ]
            for key in over:
                self._close(key)

    def close_all(self) -> None:
        """End all of them."""
        with self._lock:
            for key in list(self._open):
                self._close(key)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def _close(self, key: str) -> None:
        session = self._open.pop(key)
        session.close()
        self.forget(key)
        # The same bytes are one file, whoever uploads them.
        elsewhere = set[Path]().union(*(other.uploads for other in self._open.values()))
        for file in session.uploads - elsewhere:
            file.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                file.parent.rmdir()
