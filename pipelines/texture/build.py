"""Builds the template from the head assets: `python -m pipelines.texture.build FOLDER`."""

from __future__ import annotations

import argparse
from pathlib import Path

from faces.head.assets import load_assets
from faces.head.template import build_grid
from pipelines.texture.template import HeadTemplate


def main(arguments: list[str] | None = None) -> None:
    """Write a template in fp16 to a folder that `HeadTemplate.from_pretrained` reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the template is written")
    parser.add_argument("--makehuman", type=Path, help="MakeHuman's data folder; else MIEN_MAKEHUMAN")
    parser.add_argument("--people", type=int, default=1500, help="heads that are sampled")
    parser.add_argument("--seed", type=int, default=0, help="of those heads")
    parser.add_argument("--size", type=int, default=128, help="texels of a side of the layout")
    chosen = parser.parse_args(arguments)
    grid = build_grid(load_assets(chosen.makehuman), people=chosen.people, seed=chosen.seed)
    HeadTemplate.from_grid(grid, chosen.size).half().save_pretrained(chosen.folder)


if __name__ == "__main__":
    main()
