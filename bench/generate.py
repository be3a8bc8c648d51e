"""Images per second of dataset generation, with one and with two workers.

    python bench/generate.py [--model mini] [--ids 8] [--images-per-id 8]

The identities are made first and not counted; both runs make the same shards and are compared byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from gen.engine import Run, generate
from gen.recipes.identities import IdentitiesRecipe


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="mini")
    parser.add_argument("--ids", type=int, default=8)
    parser.add_argument("--images-per-id", type=int, default=8)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    recipe = IdentitiesRecipe(
        ids=given.ids, images_per_id=given.images_per_id, model=given.model, shard_size=16, batch_size=16
    )
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        generate(recipe, root / "first", shard_range=(0, 1))
        print(f"{os.cpu_count()} cores; identities and first shard: {time.perf_counter() - started:.1f} s")
        print(f"{'workers':>8} {'seconds':>8} {'images/s':>9} {'speed-up':>9} {'kept':>6}  shards")
        slowest = 0.0
        for workers in given.workers:
            seconds, run, digest = _measure(recipe, root, workers)
            slowest = slowest or seconds
            rate = (run.kept + run.rejected) / seconds
            print(
                f"{workers:>8} {seconds:>8.1f} {rate:>9.2f} {slowest / seconds:>9.2f} {run.kept:>6}  {digest[:12]}"
            )


def _measure(recipe: IdentitiesRecipe, root: Path, workers: int) -> tuple[float, Run, str]:
    """Make all shards anew beside the identities that exist; seconds include the start of the workers."""
    out = root / f"workers-{workers}"
    shutil.copytree(root / "first" / "plan", out / "plan")
    started = time.perf_counter()
    run = generate(recipe, out, workers=workers)
    seconds = time.perf_counter() - started
    files = sorted(path for path in (out / "data").iterdir() if path.suffix == ".tar")
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return seconds, run, digest


if __name__ == "__main__":
    main()
