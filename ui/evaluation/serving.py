"""Servers that an evaluation runs: `mien app` as it is, or the same page with a shorter grace for who has left.

python -m ui.evaluation.serving --port 7861 --grace 2
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import psutil

_PATIENCE = 120.0
"""Seconds that a server may take to answer."""
_COLLECT: Any = getattr(signal, "SIGUSR1", None)
"""Tells a server to collect garbage; Windows has no such signal."""


class Served(Protocol):
    """A server, in a process of its own or in this one."""

    @property
    def folder(self) -> Path:
        """Where all its temporary files lie."""
        ...

    def memory(self) -> float:
        """Megabytes that it holds."""
        ...

    def collect(self) -> None:
        """Let it collect garbage."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Server:
    """A server in a process of its own."""

    address: str
    folder: Path
    process: psutil.Process
    seconds: float
    """From the start of the process until the page was there."""

    def memory(self) -> float:
        """Megabytes that it holds."""
        return self.process.memory_info().rss / 1e6

    def collect(self) -> None:
        """Let it collect garbage; only servers of this module know how."""
        if _COLLECT is not None:
            self.process.send_signal(_COLLECT)
            time.sleep(0.5)


def this_machine() -> str:
    """What timings are of."""
    return f"this machine, {os.cpu_count()} cores"


def files(folder: Path) -> set[str]:
    """All files of a server at this moment, by their way below its folder."""
    return {
        str((Path(top) / name).relative_to(folder)) for top, _, names in os.walk(folder) for name in names
    }


@contextlib.contextmanager
def app(model: str, device: str | None) -> Iterator[Server]:
    """Run `mien app`."""
    with _running(["-m", "mien", "app", *_chosen(model, device)]) as server:
        yield server


@contextlib.contextmanager
def short_of_grace(model: str, device: str | None, grace: float) -> Iterator[Server]:
    """Run the page, with so many seconds until what a visitor left is deleted."""
    options = ["--grace", str(grace), *_chosen(model, device)]
    with _running(["-m", "ui.evaluation.serving", *options]) as server:
        yield server


@contextlib.contextmanager
def _running(command: Sequence[str]) -> Iterator[Server]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="page-exam-", ignore_cleanup_errors=True) as top:
        folder, log = Path(top) / "temp", Path(top) / "log"
        folder.mkdir()
        places = {name: str(folder) for name in ("GRADIO_TEMP_DIR", "TMPDIR", "TEMP", "TMP")}
        with log.open("wb") as written:
            started = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, *command, "--port", str(port)], stdout=written, stderr=subprocess.STDOUT,
                env={**os.environ, **places},
            )  # fmt: skip
        try:
            _wait_for(address, process, log)
            seconds = time.perf_counter() - started
            watched = psutil.Process(process.pid)
            yield Server(address=address, folder=folder, process=watched, seconds=seconds)
        finally:
            _end(process)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ask for the page until it is there.

    Raises:
        RuntimeError: the server ended, with the end of what it wrote.
        TimeoutError: nothing came.
    """
    patience = time.perf_counter() + _PATIENCE
    while time.perf_counter() < patience:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(address, timeout=_PATIENCE).is_success:
                return
        if process.poll() is not None:
            reason = log.read_text(errors="replace").strip() or f"exit status {process.returncode}"
            raise RuntimeError(f"page: the server ended: {reason.splitlines()[-1]}")
        time.sleep(0.02)
    raise TimeoutError(f"page: no answer within {_PATIENCE:g} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server; its files go with the folder around them."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _chosen(model: str, device: str | None) -> list[str]:
    return ["--model", model, *(["--device", device] if device else [])]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve the page until it is interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--grace", type=float, required=True, help="seconds until what was left goes")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--device")
    given = parser.parse_args(arguments)
    if _COLLECT is not None:
        signal.signal(_COLLECT, lambda *_: gc.collect() and None)
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    with tempfile.TemporaryDirectory(prefix="mien-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        from ui.page import build_app
        from ui.server import launch_options
        from ui.services import PIPELINES, Choice, Services
        from ui.sessions import Sessions

        services = Services(Choice(model=given.model, device=given.device), open_to_choice=True)
        page = build_app(services, Sessions(Path(folder), grace=given.grace, unclaimed=given.grace))
        address = {"server_name": "127.0.0.1", "server_port": given.port}
        page.launch(prevent_thread_lock=True, **address, **launch_options())
        services.preload(*PIPELINES)
        page.block_thread()


if __name__ == "__main__":
    main()
