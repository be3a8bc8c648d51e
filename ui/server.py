"""Serves the page until it is stopped."""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ui.services import Services

UPLOAD_LIMIT = "20mb"
_STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where the page is, and for whom."""

    host: str = "127.0.0.1"
    port: int = 7860
    auth: Path | None = None
    """File with a line NAME:PASSWORD for each visitor."""
    mcp: bool = False
    """Whether the endpoints are tools of the Model Context Protocol as well."""

    @property
    def is_private(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def serve(address: Address, services: Services) -> None:
    """Serve the page until it is stopped; models are loaded while it answers already.

    Raises:
        ValueError: a file of names and passwords that cannot be read as one, or MCP for others than this machine.
        ImportError: MCP without its package.
        OSError: somebody else has the port.
    """
    auth = _pairs(address.auth) if address.auth else None
    if address.mcp and not address.is_private:
        raise ValueError(
            f"mcp: its tools share one session, so it is for this machine alone, not for {address.host}"
        )
    if address.mcp and importlib.util.find_spec("mcp") is None:
        raise ImportError("mcp: not installed; pip install 'gradio[mcp]', which installs an older pydantic")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # as Ctrl+C: what is in the folder below goes
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    # A folder of our own, so that nothing stays behind; below the user's, where there is one.
    with tempfile.TemporaryDirectory(prefix="mien-", dir=os.environ.get("GRADIO_TEMP_DIR")) as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        from ui.page import build_app
        from ui.services import PIPELINES
        from ui.sessions import Sessions

        app = build_app(services, Sessions(Path(folder)))
        options: dict[str, Any] = launch_options() | ({"mcp_server": True} if address.mcp else {})
        try:
            app.launch(
                server_name=address.host, server_port=address.port, auth=auth, prevent_thread_lock=True, quiet=True,
                **options,  # pyright: ignore[reportArgumentType]
            )  # fmt: skip
        except OSError as error:
            raise OSError(
                f"{address.host}:{address.port}: cannot be opened; choose another --port"
            ) from error
        services.preload(*PIPELINES)
        print(f"Mien is at {app.local_url} until Ctrl+C.", flush=True)  # noqa: T201
        app.block_thread()


def launch_options() -> dict[str, Any]:
    """How the page is launched, wherever it is."""
    from ui.guarded import server_options

    return {
        "max_file_size": UPLOAD_LIMIT,
        "footer_links": ["api"],
        "show_error": True,
        "ssr_mode": False,
        "enable_monitoring": False,
        "app_kwargs": server_options(),
        "css_paths": [_STATIC / "page.css"],
        "theme": _theme(),
    }


def _theme() -> Any:
    """Fonts of the visitor's own machine: nothing is fetched from elsewhere."""
    import gradio as gr

    sans = ("ui-sans-serif", "system-ui", "sans-serif")
    mono = ("ui-monospace", "Consolas", "monospace")
    return gr.themes.Default(primary_hue="indigo", font=sans, font_mono=mono)


def _pairs(file: Path) -> list[tuple[str, str]]:
    """Names and passwords of a file; raises ValueError for a line without both."""
    pairs = []
    for line in file.read_text(encoding="utf-8").splitlines():
        name, colon, password = line.strip().partition(":")
        if line.strip() and not (name and colon and password):
            raise ValueError(f"{file}: a line without NAME:PASSWORD")
        if line.strip():
            pairs.append((name, password))
    return pairs
