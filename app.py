"""Opens Mien in a browser: `python app.py`."""

from __future__ import annotations

import argparse
from pathlib import Path


def main(arguments: list[str] | None = None) -> None:
    """Build the page and serve it until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=7860)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 serves others too; give --auth with it")
    parser.add_argument("--auth", type=Path, help="file with a line NAME:PASSWORD for each visitor")
    parser.add_argument("--model", default="mini", help='"mini" (bundled), a folder or a hub id')
    parser.add_argument("--device", help="best one present unless given")
    chosen = parser.parse_args(arguments)
    from ui.server import serve

    serve(chosen.port, chosen.host, chosen.auth, chosen.model, chosen.device)


if __name__ == "__main__":
    main()
