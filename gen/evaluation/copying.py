"""Does a portrait copy the expression of its reference?

A model trained to rebuild its own reference does (CrossFaceID, Wang et al. 2025); cross-pair training must at
least halve it. The same-image variant is measured when its weights are present, else its recorded measurement
is used, which `python -m gen.evaluation.copying` writes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from gen import atomic
from gen.evaluation import heldout as heldouts
from gen.evaluation.bars import RENDERS, Bar, Settings
from gen.evaluation.heldout import HeldOut
from gen.evaluation.intervals import bootstrap_interval
from gen.evaluation.judge import Judge, Measurements
from gen.evaluation.trials import look_trials, make_portraits, meet

RECORD = "copying.json"
_NAME = "correlation of reference and output expression"
_ABSENT = "not measured: weights/ablation holds neither the same-image model nor its record"


def correlation(reference: np.ndarray, output: np.ndarray) -> float:
    """Average over action units the correlation over heads of two arrays (n, a), constants left out."""
    first, second = reference - reference.mean(axis=0), output - output.mean(axis=0)
    scale = np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))
    varies = scale > 1e-9
    if not varies.any():
        return 0.0
    return float(((first * second).sum(axis=0)[varies] / scale[varies]).mean())


def measure(reference: Measurements, portraits: Measurements, same_image: float | None) -> Bar:
    """Compare with half the correlation of the same-image variant.

    Args:
        reference: the judge's view of the references, (n,).
        portraits: its view of portraits whose prompts leave the expression open, (n,).
        same_image: correlation of the variant trained to rebuild its reference; None when it is not known.
    """
    first, second = reference.action_units, portraits.action_units
    people = np.arange(len(first))
    return Bar(
        name=_NAME,
        value=None if same_image is None else correlation(first, second),
        bar=0.0 if same_image is None else round(same_image / 2, 4),
        direction="<=",
        n=len(first),
        ci95=bootstrap_interval(people, lambda items: correlation(first[items], second[items]), draws=300),
        # Every head against its neighbour: what is left when nothing can have been copied.
        control=correlation(first, np.roll(second, 1, axis=0)),
        domain=RENDERS if same_image is not None else _ABSENT,
    )


def same_image_correlation(folder: Path, heldout: HeldOut, judge: Judge, settings: Settings) -> float | None:
    """Measure the same-image variant in `folder`, or read its record there, or return None."""
    if (folder / "model_index.json").is_file():
        from pipelines.portrait.pipeline import PortraitPipeline

        return _measured(PortraitPipeline.from_pretrained(str(folder)), heldout, judge, settings)[0]
    if (folder / RECORD).is_file():
        return float(json.loads((folder / RECORD).read_text())["correlation"])
    return None


def _measured(pipe: Any, heldout: HeldOut, judge: Judge, settings: Settings) -> tuple[float, int]:
    people = meet(pipe, heldout, range(heldout.heads), settings)
    trials = look_trials(heldout, people)
    portraits = judge.measure(make_portraits(pipe, people, trials, settings, "same-image variant"))
    references = judge.measure(heldout.images[[trial.reference for trial in trials]])
    return correlation(references.action_units, portraits.action_units), len(trials)


def main() -> None:
    """Measure a same-image variant and write its record."""
    from pipelines.portrait.pipeline import PortraitPipeline

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("model", type=Path, help="pipeline folder of the variant trained on same-image pairs")
    parser.add_argument("out", type=Path, help="folder for the record, e.g. weights/ablation")
    parser.add_argument("--data", type=Path, help="folder of the held-out heads")
    arguments = parser.parse_args()
    pipe = PortraitPipeline.from_pretrained(str(arguments.model))
    pipe.set_progress_bar_config(disable=True)
    value, count = _measured(
        pipe, heldouts.load(arguments.data), Judge.bundled(), Settings(model=str(arguments.model))
    )
    record = {"correlation": round(value, 4), "n": count, "model": arguments.model.name}
    atomic.write_json(arguments.out / RECORD, record)


if __name__ == "__main__":
    main()
