"""The mean of the weights of two pipelines of one training, as `from_pretrained` reads it.

Two ends of one run average to a model between them ("model soups", Wortsman et al. 2022, arXiv:2203.05482):

    python -m train.average OLDER NEWER --share 0.5 --out weights/mini
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def average(older: Path, newer: Path, share: float, out: Path) -> None:
    """Write `newer` to `out`, every weight moved towards `older`.

    Args:
        older: folder of a pipeline.
        newer: folder of a pipeline with the same networks.
        share: of the newer one, 0..1.
        out: folder to write; other files in it stay.

    Raises:
        ValueError: `share` lies outside 0..1, or the networks differ.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share {share:g} is outside 0..1")
    shutil.copytree(newer, out, dirs_exist_ok=True)
    for path in sorted(newer.glob("*/*.safetensors")):
        name = path.relative_to(newer)
        first, second = load_file(older / name), load_file(path)
        if {k: v.shape for k, v in first.items()} != {k: v.shape for k, v in second.items()}:
            raise ValueError(f"{name}: the networks of {older} and {newer} differ")
        with safe_open(path, "pt") as file:
            notes = file.metadata()
        mean = {key: _mix(first[key], value, share) for key, value in second.items()}
        save_file(mean, out / name, metadata=notes)


def _mix(first: torch.Tensor, second: torch.Tensor, share: float) -> torch.Tensor:
    if not second.is_floating_point():
        return second
    return torch.lerp(first.float(), second.float(), share).to(second.dtype).contiguous()


def main() -> None:
    """Average two pipelines."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("older", type=Path)
    parser.add_argument("newer", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the newer one, 0..1")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    average(arguments.older, arguments.newer, arguments.share, arguments.out)


if __name__ == "__main__":
    main()
