"""Opens Mien in a browser: `python app.py` is `mien app`."""

from __future__ import annotations

import sys

from mien.cli import app

if __name__ == "__main__":
    app(args=["app", *sys.argv[1:]], prog_name="python app.py")
