"""Likeness and obedience over guidance and identity strength, on people that no bar is measured on.

mien heads --count 360 --seed 4 --pictures-per-identity 3 --out data/dev
python -m faces.head.heldout data/dev data/dev/heldout
python -m bench.guidance data/dev/heldout --guidance 1.5 2.5 4 --identity 1 1.3
"""

from __future__ import annotations

import argparse
from itertools import product
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from gen.evaluation import heldout, likeness, obedience
from gen.evaluation.bars import Settings
from gen.evaluation.heldout import HeldOut
from gen.evaluation.judge import Judge, Measurements
from gen.evaluation.trials import Trial, look_trials, make_portraits, meet, state_trials

COLUMNS = ("identity TAR at FAR 1 %", "expression", "pose", "hair colour", "age band")


def main() -> None:
    """Print a row for every pair of settings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder of held-out heads, of other people than the tests'")
    parser.add_argument("--model", default="mini")
    parser.add_argument("--heads", type=int, default=120)
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.5, 2.5, 4.0])
    parser.add_argument("--identity", type=float, nargs="+", default=[1.0])
    arguments = parser.parse_args()
    from pipelines.portrait.pipeline import PortraitPipeline

    pipe = PortraitPipeline.from_pretrained(arguments.model)
    pipe.set_progress_bar_config(disable=True)
    judge, heads = Judge.bundled(), heldout.load(arguments.data)
    renders, settings = judge.measure(heads.images), Settings(model=arguments.model)
    people = meet(pipe, heads, heads.spread(arguments.heads).tolist(), settings)
    sets = [state_trials(heads, people), look_trials(heads, people)]
    table = Table("guidance", "identity", *COLUMNS, title=f"{arguments.model}, {len(people)} heads")
    for guidance, identity in product(arguments.guidance, arguments.identity):
        options = {"guidance_scale": guidance, "identity_scale": identity}
        seen = [
            judge.measure(make_portraits(pipe, people, trials, settings, "portraits", **options))
            for trials in sets
        ]
        numbers = _scores(heads, renders, sets, seen)
        table.add_row(f"{guidance:g}", f"{identity:g}", *(f"{number:.2f}" for number in numbers))
    Console().print(table)


def _scores(
    heads: HeldOut, renders: Measurements, sets: list[list[Trial]], seen: list[Measurements]
) -> list[float]:
    """The values of `COLUMNS`."""
    (states, looks), (in_state, in_look) = sets, seen
    references, targets = (
        np.array([getattr(trial, name) for trial in states]) for name in ("reference", "target")
    )
    scores = [likeness.measure(heads, renders, in_state, references, targets)[0].value]
    for trials, found, attributes in (
        (states, in_state, ("expression", "pose")),
        (looks, in_look, ("hair_colour", "age_band")),
    ):
        for attribute in attributes:
            requested = [trial.request[attribute] for trial in trials]
            scores.append(obedience.measure(attribute, found, requested).value)
    return scores


if __name__ == "__main__":
    main()
