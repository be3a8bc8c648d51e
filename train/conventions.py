"""Fits the adapter from projected landmarks to landmarks on the visible outline, on rendered heads.

python -m train.conventions data/expressions --out weights/perception/outline
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from faces.conventions import LandmarkAdapter
from faces.head.landmarks import snap_to_outline
from train.data.heads import HeadArrays


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(
        description="Fit the landmark adapter of face analysis on rendered heads."
    )
    parser.add_argument("shards", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=6000, help="heads that are looked at")
    parser.add_argument("--steps", type=int, default=800)
    arguments = parser.parse_args()
    heads = HeadArrays(arguments.shards, limit=arguments.limit)
    pairs = zip(heads.landmarks, heads.parsing, strict=True)
    outline = np.stack([snap_to_outline(points, labels) for points, labels in pairs])
    LandmarkAdapter.fit(np.asarray(heads.landmarks), outline, steps=arguments.steps).save(arguments.out)


if __name__ == "__main__":
    main()
