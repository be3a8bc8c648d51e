"""Seconds an image, gain by batching and peak memory of a portrait pipeline, one process a batch size.

python -m bench.portrait --model mini --sizes 1 4 16
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from gen.evaluation import heldout, speed
from gen.evaluation.trials import STEPS


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="mini")
    parser.add_argument("--data", type=Path, help="folder of the held-out heads")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    data = heldout.find(arguments.data)
    title = f"{arguments.model}, {STEPS} steps with guidance, {speed.THREADS} threads, {platform.processor()}"
    table = Table(
        "batch", "seconds", "seconds/image", "images/s", "over batch 1", "peak memory, GB", title=title
    )
    single = None
    for size in arguments.sizes:
        # Single images repeat as often as asked; a batch is its own average (see speed.benchmark).
        record = speed.run(arguments.model, data, [size], arguments.repeats)
        seconds = median(record["seconds"][str(size)])
        rate = size / seconds
        single = single or rate
        numbers = [f"{seconds:.2f}", f"{seconds / size:.3f}", f"{rate:.2f}", f"{rate / single:.2f}x"]
        table.add_row(str(size), *numbers, f"{record['peak_bytes'] / 1e9:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
