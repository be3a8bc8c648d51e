"""Trials of the portrait task: a held-out reference, a request, a seed, and the picture that comes of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from faces import captions, vocabulary
from faces.images import ImageError
from gen.evaluation.bars import Settings
from gen.evaluation.heldout import HeldOut
from gen.seeds import noise_generator, sample_seed, stream

SEED = 20261124
STEPS = 20
BATCH = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """One portrait to be made."""

    head: int
    reference: int
    """Row of the reference picture in the held-out set."""
    target: int | None
    """Row of the real render that shows what is asked for, or None when there is none."""
    request: dict[str, Any]
    """Attribute -> what is asked: expression, pose, hair_colour, age_band."""
    prompt: str
    seed: int


def state_trials(heldout: HeldOut, heads: Iterable[int]) -> list[Trial]:
    """Ask each head for another state of its own, of which a real render exists.

    The state differs from the reference in expression and named pose; a head without one is left out.
    """
    trials = []
    for head in heads:
        reference = heldout.labels[heldout.row(head, 0)]
        for state in (1, 2):
            row = heldout.row(head, state)
            labels = heldout.labels[row]
            if labels["expression"] != reference["expression"] and _pose(labels) != _pose(reference):
                trials.append(_state_trial(heldout, head, row))
                break
    return trials


def _state_trial(heldout: HeldOut, head: int, row: int) -> Trial:
    labels = heldout.labels[row]
    request: dict[str, Any] = {
        "expression": labels["expression"],
        "pose": _pose(labels),
        "hair_colour": labels["hair_colour"],
        "age_band": vocabulary.age_band(labels["age_years"]),
    }
    worn: dict[str, Any] = {
        "hair_style": labels["hair_style"],
        "light": labels.get("light"),
        "gender": _gender(labels),
    }
    worded = {key: value for key, value in request.items() if key != "hair_colour"}
    if labels["hair_style"] != "bald":
        worded["hair_colour"] = request["hair_colour"]
    return Trial(
        head=head,
        reference=heldout.row(head, 0),
        target=row,
        request=request,
        prompt=captions.prompt(**worded, **worn),
        seed=sample_seed(SEED, "state", labels["identity_id"]),
    )


def look_trials(heldout: HeldOut, heads: Iterable[int]) -> list[Trial]:
    """Ask each head for a hair colour and an age band drawn without looking at the reference.

    Expression and pose are not mentioned, so what the portrait takes over from the reference shows.
    """
    trials = []
    for head in heads:
        labels = heldout.labels[heldout.row(head, 0)]
        rng = stream(SEED, "look", labels["identity_id"])
        request: dict[str, Any] = {
            "hair_colour": str(rng.choice(vocabulary.HAIR_COLOURS)),
            "age_band": str(rng.choice(list(vocabulary.AGE_BANDS))),
        }
        style: dict[str, Any] = {"hair_style": "short"} if labels["hair_style"] == "bald" else {}
        prompt = captions.prompt(gender=_gender(labels), **request, **style)
        seed = sample_seed(SEED, "look", labels["identity_id"])
        reference = heldout.row(head, 0)
        trials.append(
            Trial(head=head, reference=reference, target=None, request=request, prompt=prompt, seed=seed)
        )
    return trials


def meet(pipe: Any, heldout: HeldOut, heads: Iterable[int], settings: Settings) -> dict[int, Any]:
    """Encode the reference of each head as a user's picture would be; heads whose face is not found are left out.

    Returns:
        head -> the pipeline's conditioning of one person.
    """
    people, heads = {}, list(heads)
    for number, head in enumerate(heads):
        settings.progress("reading references", number / len(heads))
        picture = Image.fromarray(heldout.images[heldout.row(head, 0)])
        with contextlib.suppress(ImageError):
            people[head] = pipe.encode_identity(picture)
    return people


def make_portraits(
    pipe: Any,
    people: Mapping[int, Any],
    trials: Sequence[Trial],
    settings: Settings,
    title: str,
    **options: Any,
) -> np.ndarray:
    """Make one portrait a trial, in batches, each from its own seed: (n, h, w, 3) uint8.

    Args:
        pipe: a portrait pipeline.
        people: what `meet` returned; it holds the head of every trial.
        trials: what to make.
        settings: how progress is told.
        title: what progress is told.
        **options: further arguments of the pipeline's call, such as `guidance_scale`.
    """
    portraits = []
    for start in range(0, len(trials), BATCH):
        settings.progress(title, start / len(trials))
        batch = trials[start : start + BATCH]
        batch_people = [people[trial.head] for trial in batch]
        output = pipe(
            conditioning=type(batch_people[0]).cat(batch_people),
            prompt=[trial.prompt for trial in batch],
            num_inference_steps=STEPS,
            generator=[noise_generator(trial.seed) for trial in batch],
            output_type="np",
            **options,
        )
        portraits.append((np.asarray(output.images) * 255).round().clip(0, 255).astype(np.uint8))
    settings.progress(title, 1.0)
    return np.concatenate(portraits)


def _pose(labels: dict) -> str:
    return vocabulary.pose_name(labels["yaw"])


def _gender(labels: dict) -> str:
    return labels.get("presented") or labels.get("gender") or "person"
