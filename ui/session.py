"""What a visitor has made: files in a folder of their own, which goes when the visitor does."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Something that was made."""

    task: str
    file: Path
    """With the record of how it was made inside."""
    seed: int
    settings: dict[str, Any]
    """What was asked for, JSON types; no name or path of a reference photograph."""

    @property
    def caption(self) -> str:
        """One line for a gallery."""
        return f"{self.task}, seed {self.seed}"


@dataclass(slots=True, eq=False)
class Session:
    """Results and uploads of one visitor."""

    folder: Path
    results: list[Result] = field(default_factory=list)
    uploads: set[Path] = field(default_factory=set)

    @classmethod
    def start(cls, root: Path | None = None) -> Session:
        """Open a session with a folder of its own below `root`, else below the folder of temporary files."""
        base = Path(tempfile.gettempdir()) if root is None else root
        folder = base / f"mien-{uuid.uuid4().hex}"
        folder.mkdir(parents=True, mode=0o700)
        return cls(folder)

    def path(self, task: str, suffix: str) -> Path:
        """A file that is not there yet."""
        return self.folder / f"{task}-{uuid.uuid4().hex[:12]}{suffix}"

    def add(self, result: Result) -> Result:
        """Keep a result."""
        self.results.append(result)
        return result

    def gallery(self) -> list[tuple[str, str]]:
        """Pictures with captions, the newest first."""
        shown = [one for one in reversed(self.results) if one.file.suffix in (".png", ".webp", ".jpg")]
        return [(str(one.file), one.caption) for one in shown]

    def close(self) -> None:
        """Delete what the visitor made and uploaded."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for upload in self.uploads:
            upload.unlink(missing_ok=True)
        self.results.clear()
        self.uploads.clear()
