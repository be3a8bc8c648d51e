"""The command line of Mien, a diffusion toolkit for faces."""

from __future__ import annotations

from importlib import metadata

try:
    __version__ = metadata.version("mien")
except metadata.PackageNotFoundError:  # run from a clone that is not installed
    __version__ = "0+source"
