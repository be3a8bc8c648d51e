"""All visitors of the page, told apart by the session hash that Gradio gives each open page."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ui.session import Session

IDLE = 3600.0
"""Seconds without an event after which a session ends."""
GRACE = 60.0
"""Seconds after a page was closed: a phone that loses its network for a moment finds its results again."""
UNCLAIMED = 600.0
"""Seconds that an upload waits for the first event that is given it."""


@dataclass(slots=True, eq=False)
class Sessions:
    """Sessions by hash.

    An upload comes from nobody: the request that brings it names no session. It belongs to every visitor who sends an
    event with it, and goes when the last of them has left. Visitors who upload the same bytes under the same name share
    a file, so one that arrived after its owner was last here waits for the next owner as a new one does.

    Args:
        folder: where uploads arrive, of this page alone: what lies below it is deleted sooner or later.
        idle: see `IDLE`.
        grace: see `GRACE`.
        unclaimed: see `UNCLAIMED`.
        forget: lets others delete what they keep of a session.
    """

    folder: Path
    idle: float = IDLE
    grace: float = GRACE
    unclaimed: float = UNCLAIMED
    forget: Callable[[str], None] = lambda _: None
    """Called with the hash of a session that has ended."""
    _open: dict[str, Session] = field(default_factory=dict)
    _pages: Counter[str] = field(default_factory=Counter)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def made(self) -> Path:
        """Where sessions have their folders, beside the uploads: Gradio serves files of one folder only."""
        return self.folder / "made"

    @property
    def interval(self) -> float:
        """Seconds between two sweeps that keep the promises above, to a tenth."""
        return min(self.idle, self.grace, self.unclaimed) / 10

    def of(self, key: str | None) -> Session:
        """The session of a hash, opened when it is first seen.

        Raises:
            ValueError: no hash.
        """
        if not key:
            raise ValueError("session: none; give a session_hash, or use gradio_client, which does")
        with self._lock:
            if key not in self._open:
                self._open[key] = Session.start(self.made)
            session = self._open[key]
            session.last_seen = time.monotonic()
            return session

    def note(self, key: str | None, files: Iterable[Path]) -> Session:
        """Remember that an event of a visitor has these files, and return the session."""
        with self._lock:
            session = self.of(key)
            for file in files:
                if self._is_upload(file) and _age(file) is not None:
                    session.uploads.add(file)
            return session

    def back(self, key: str | None) -> None:
        """A visitor has sent something: whoever has left is here again."""
        self.of(key).left = False

    @contextlib.contextmanager
    def page(self, key: str) -> Iterator[None]:
        """While a page is open. A phone may open it again before its lost connection is noticed: the last counts."""
        with self._lock:
            self._pages[key] += 1
            if key in self._open:
                self.back(key)
        try:
            yield
        finally:
            with self._lock:
                self._pages[key] -= 1
                if not self._pages[key]:
                    del self._pages[key]
                    self.leave(key)

    def leave(self, key: str) -> None:
        """All pages were closed: what they compute ends now, and their session after `grace`, unless one comes back."""
        with self._lock:
            session = self._open.get(key)
            if session is not None:
                session.left, session.last_seen = True, time.monotonic()
                session.stop()

    def sweep(self) -> None:
        """End the sessions whose time is over, and delete uploads that nobody has claimed in time."""
        now = time.monotonic()
        with self._lock:
            for key, session in list(self._open.items()):
                if now - session.last_seen >= (self.grace if session.left else self.idle):
                    self._close(key)
            self._delete(filter(self._is_upload, _files(self.folder)), self.unclaimed)

    def close_all(self) -> None:
        """End all of them, and leave nothing behind."""
        with self._lock:
            for key in list(self._open):
                self._close(key)
            shutil.rmtree(self.folder, ignore_errors=True)

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def _close(self, key: str) -> None:
        session = self._open.pop(key)
        session.close()
        self.forget(key)
        self._delete(session.uploads, time.monotonic() - session.last_seen)

    def _delete(self, files: Iterable[Path], least: float) -> None:
        """Delete those that nobody has claimed and that arrived `least` seconds ago or more."""
        claimed = set[Path]().union(*(session.uploads for session in self._open.values()))
        for file in set(files) - claimed:
            age = _age(file)
            if age is not None and age >= least:
                with contextlib.suppress(OSError):
                    file.unlink()
                    file.parent.rmdir()  # where other names of the same bytes are left, it stays

    def _is_upload(self, file: Path) -> bool:
        return self.folder in file.parents and self.made not in file.parents


def _files(folder: Path) -> Iterator[Path]:
    for top, _, names in os.walk(folder):
        yield from (Path(top) / name for name in names)


def _age(file: Path) -> float | None:
    """Seconds since a file arrived; None where no file is."""
    try:
        found = file.stat()
    except (OSError, ValueError):  # a NUL in the path is a ValueError
        return None
    return time.time() - found.st_mtime if stat.S_ISREG(found.st_mode) else None
