"""Time and memory of a pipeline; memory is taken in a process of its own, so that nothing else counts."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import atomic
from gen.evaluation import heldout as heldouts
from gen.evaluation.bars import Bar
from gen.evaluation.intervals import mean_interval
from gen.evaluation.trials import BATCH, STEPS
from gen.worker import cpu_threads

SECONDS, SPEEDUP, GIGABYTES = 2.0, 2.0, 2.0
THREADS = 2
_DOMAIN = f"this machine, {THREADS} CPU threads, {STEPS} steps with guidance"
_PROMPT = "portrait of a person, smiling, facing left"


def measure(model: str, data: Path, repeats: int) -> list[Bar]:
    """Run the benchmark in a child process and turn its record into bars."""
    record = run(model, data, [1, BATCH], repeats)
    single, batch = (np.array(record["seconds"][str(size)]) for size in (1, BATCH))
    ratio = np.median(single) * BATCH / np.median(batch)
    return [
        Bar(
            name="seconds for one portrait",
            value=float(np.median(single)),
            bar=SECONDS,
            direction="<=",
            n=len(single),
            ci95=mean_interval(single, range(len(single))),
            domain=_DOMAIN,
        ),
        Bar(
            name=f"images/s in a batch of {BATCH} over one at a time",
            value=float(ratio),
            bar=SPEEDUP,
            direction=">=",
            n=len(batch),
            control=1.0,
            domain=_DOMAIN,
        ),
        Bar(
            name="peak memory, GB",
            value=record["peak_bytes"] / 1e9,
            bar=GIGABYTES,
            direction="<=",
            n=1,
            domain=f"{_DOMAIN}; one process, batches of 1 and {BATCH}",
        ),
    ]


def run(model: str, data: Path, sizes: list[int], repeats: int) -> dict[str, Any]:
    """Time batches of each size in a child process: {"seconds": {size: [..]}, "peak_bytes": int}.

    Args:
        model: "mini", a folder or a hub id.
        data: folder of the held-out heads.
        sizes: of the batches.
        repeats: of single pictures.

    Raises:
        RuntimeError: with the end of the child's error output.
    """
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "speed.json"
        command = [sys.executable, "-m", "gen.evaluation.speed", model, str(data), str(out)]
        command += ["--repeats", str(repeats), "--sizes", *map(str, sizes)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
            raise RuntimeError(f"speed of {model}: the benchmark failed: {reason}")
        return json.loads(out.read_text())


def benchmark(
    pipe: Any, reference: Image.Image, sizes: list[int], repeats: int, **options: Any
) -> dict[str, list[float]]:
    """Time calls of the pipeline for every batch size, after one short call that is not counted."""
    with cpu_threads(THREADS):
        pipe(image=reference, prompt=_PROMPT, num_inference_steps=2, **options)
        seconds = {}
        for size in sizes:
            # A large batch is its own average: one run of it is as long as several single ones.
            runs = repeats if size == 1 else max(1, repeats // 3)
            seconds[str(size)] = [_timed(pipe, reference, size, options) for _ in range(runs)]
    return seconds


def _timed(pipe: Any, reference: Image.Image, size: int, options: dict[str, Any]) -> float:
    begin = time.perf_counter()
    pipe(image=[[reference]] * size, prompt=[_PROMPT] * size, num_inference_steps=STEPS, **options)
    return time.perf_counter() - begin


def main() -> None:
    """Time a pipeline and write the record."""
    from pipelines.portrait.pipeline import PortraitPipeline

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model")
    parser.add_argument("data", type=Path, help="folder of the held-out heads")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, BATCH])
    arguments = parser.parse_args()
    pipe = PortraitPipeline.from_pretrained(arguments.model)
    pipe.set_progress_bar_config(disable=True)
    reference = Image.fromarray(heldouts.first_reference(arguments.data))
    seconds = benchmark(pipe, reference, arguments.sizes, arguments.repeats)
    # Linux counts in KiB, macOS in bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    atomic.write_json(arguments.out, {"seconds": seconds, "peak_bytes": peak})


if __name__ == "__main__":
    main()
