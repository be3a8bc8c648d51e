"""The bars of expression control, measured by the judge on faces that `ExpressionPipeline` draws."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faces import captions, metrics, vocabulary
from faces.head.spec import unit_columns
from faces.head.study import free_units
from gen import models
from gen.evaluation import dataset as datasets
from gen.evaluation import exam, heldout, labelling, likeness, speed, training_value
from gen.evaluation.bars import Bar, Settings
from gen.evaluation.heldout import HeldOut
from gen.evaluation.intervals import bootstrap_interval, mean_interval
from gen.evaluation.judge import Judge, Measurements, require_independent
from gen.evaluation.trials import SEED, STEPS, meet
from gen.evaluation.verification import threshold_at_far
from gen.prior import IdentityPrior
from gen.seeds import noise_generator, sample_seed, stream

UNIT_R, CROSS_TALK = 0.75, 0.2
ACCURACY, WINS, TAR = 0.80, 0.90, 0.65
SECONDS = 4.0
SEMANTIC = {"semantic_scale": 3.0, "intensity": 1.1}
"""Guidance that the bars are measured with, chosen on other people than the held-out ones; its guide asks for a little
more than is typical."""
QUICK_UNITS, UNITS = 24, 240
QUICK_PEOPLE = 4
"""A quick run looks at renders of every fourth person."""
QUICK_EXPRESSIONS, EXPRESSIONS = 2, 20
"""Pictures of every expression, drawn by its words, by its words and guidance, and by its action units."""
PER_CLASS = 60
"""Pictures of each expression where no dataset is named: about as many in all as there are renders to train on."""
BATCH = 16
_POSES = ("frontal", "slightly left", "slightly right", "frontal")


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One face to be drawn."""

    prompt: str
    seed: int
    units: dict[str, float]
    expression: str | None = None
    person: int = 0
    """Number of the held-out head, or of the made-up person."""


def measure(settings: Settings) -> list[Bar]:
    """Measure every bar of the expression task; loads pipeline, judge and held-out heads."""
    from pipelines.device import best_device
    from pipelines.expression.pipeline import ExpressionPipeline

    data = heldout.find(settings.data)
    pipe = ExpressionPipeline.from_pretrained(settings.model)
    pipe.set_progress_bar_config(disable=True)
    settings.progress("time", 0.0)
    bars = [_seconds(pipe, data, 2 if settings.quick else 5)]
    pipe.to(settings.device or best_device())
    judge = Judge.bundled(pipe.device)
    guide = pipe.load_guide()
    require_independent(judge.network, {**pipe.components, "guide": guide})
    heads = heldout.load(data)
    prior = IdentityPrior.load(models.folder(settings.model))
    drawn = draw_expressions(pipe, prior, settings)
    bars += unit_bars(pipe, judge, heads, settings)
    bars += expression_bars(drawn, judge)
    bars += labelling.measure(pipe, drawn, judge, settings)
    bars += _value(settings)
    if settings.plots is not None:
        from gen.evaluation import plots

        plots.bar_plot(settings.plots / "bars.png", bars)
        plots.sheet(settings.plots / "unguided.png", drawn.columns(drawn.plain))
        plots.sheet(settings.plots / "guided.png", drawn.columns(drawn.guided))
        plots.sheet(settings.plots / "told.png", drawn.columns(drawn.told))
    return bars


def _value(settings: Settings) -> list[Bar]:
    """What a dataset is worth: the one that is named, else a small one made for the purpose, none when in a hurry."""
    from gen.recipes.expressions import ExpressionsRecipe

    if settings.dataset is not None:
        return training_value.measure(datasets.load(settings.dataset), settings)
    if settings.quick:
        return []
    with tempfile.TemporaryDirectory() as folder:
        recipe = ExpressionsRecipe(per_class=PER_CLASS, model=settings.model)
        return training_value.measure(datasets.make(Path(folder) / "expressions", recipe, settings), settings)


def unit_requests(heads: HeldOut, count: int) -> list[Request]:
    """Free combinations of action units, all others at rest, for people of the held-out set."""
    requests = []
    for number, head in enumerate(heads.spread(count) if count <= heads.heads else _repeated(heads, count)):
        labels = heads.labels[heads.row(int(head), 0)]
        rng = stream(SEED, "units", labels["identity_id"], number)
        prompt = captions.prompt(
            gender=labels["gender"], age_band=vocabulary.age_band(labels["age_years"]),
            pose=_POSES[number % len(_POSES)],
        )  # fmt: skip
        seed = sample_seed(SEED, "units", labels["identity_id"], number)
        requests.append(
            Request(prompt=prompt, seed=seed, units=unit_columns(free_units(rng)), person=int(head))
        )
    return requests


def unit_bars(pipe: Any, judge: Judge, heads: HeldOut, settings: Settings) -> list[Bar]:
    """Are the units that were asked for there, and no others; is the person still who it was?"""
    requests = unit_requests(heads, QUICK_UNITS if settings.quick else UNITS)
    people = meet(pipe, heads, sorted({request.person for request in requests}), settings)
    requests = [request for request in requests if request.person in people]
    images = draw(pipe, requests, [people[request.person] for request in requests], settings, "action units")
    seen = judge.measure(images, read=True)
    assert seen.units is not None  # the bundled judge reads units
    wanted = np.array([[request.units[name] for name in vocabulary.UNIT_COLUMNS] for request in requests])
    persons = np.array([request.person for request in requests])
    if settings.plots is not None:
        from gen.evaluation import plots

        each = metrics.correlations(seen.units, wanted)
        named = {name: r for name, r in zip(vocabulary.UNIT_COLUMNS, each.tolist(), strict=True) if r == r}
        plots.units_plot(settings.plots / "units.png", named)
    ceiling = _ceiling(judge, QUICK_PEOPLE if settings.quick else 1)
    return [*_units(wanted, seen.units, persons), ceiling, _likeness(heads, judge, seen, persons)]


def _units(wanted: np.ndarray, seen: np.ndarray, persons: np.ndarray) -> list[Bar]:
    def own(rows: np.ndarray) -> float:
        return float(np.nanmean(metrics.correlations(seen[rows], wanted[rows])))

    def talk(rows: np.ndarray) -> float:
        return cross_talk(wanted[rows], seen[rows])

    shuffled = np.random.default_rng(0).permutation(len(wanted))
    everything = np.arange(len(wanted))
    each = metrics.correlations(seen, wanted)
    worst = vocabulary.UNIT_COLUMNS[int(np.nanargmin(each))]
    return [
        Bar(
            name=f"action units asked and seen, mean r (least {worst} {np.nanmin(each):.2f})",
            value=own(everything), bar=UNIT_R, direction=">=", n=len(np.unique(persons)),
            ci95=bootstrap_interval(persons, own, draws=200),
            control=float(np.nanmean(metrics.correlations(seen[shuffled], wanted))),
        ),
        Bar(
            name="cross-talk, mean r of a unit with the others", value=talk(everything), bar=CROSS_TALK,
            direction="<=", n=len(np.unique(persons)), ci95=bootstrap_interval(persons, talk, draws=200),
            control=cross_talk(wanted, seen[shuffled]),
        ),
    ]  # fmt: skip


def _ceiling(judge: Judge, every: int) -> Bar:
    """What the judge makes of renders whose units are exact: what it cannot see, nobody can be seen to obey.

    Looks at the pictures of every so many people.
    """
    pictures = exam.load("first", every=every)
    seen = judge.measure(pictures.images, read=True).units
    assert seen is not None  # the bundled judge reads units

    def mean(rows: np.ndarray) -> float:
        return float(np.nanmean(metrics.correlations(seen[rows], pictures.units[rows])))

    return Bar(
        name="action units of real renders, mean r (ceiling)", value=mean(np.arange(len(seen))), bar=UNIT_R,
        direction=">=", n=len(np.unique(pictures.identities)),
        ci95=bootstrap_interval(pictures.identities, mean, draws=200),
    )  # fmt: skip


def cross_talk(wanted: np.ndarray, seen: np.ndarray) -> float:
    """Mean |r| between what was asked of one unit and what is seen of another, (n, k) each.

    The two sides of one unit, and units of which requests never show both, are linked and left out.
    """
    a, b = _standard(wanted), _standard(seen)
    talk = np.abs(a.T @ b) / len(wanted)
    asked = np.abs(a.T @ a) / len(wanted)
    names = [name.rstrip("LR") for name in vocabulary.UNIT_COLUMNS]
    linked = np.array([[one == other for other in names] for one in names]) | (asked > 0.2)
    varies = wanted.std(axis=0) > 0
    chosen = ~linked & varies[:, None] & varies[None, :]
    return float(talk[chosen].mean())


def _standard(table: np.ndarray) -> np.ndarray:
    spread = table.std(axis=0)
    return (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _likeness(heads: HeldOut, judge: Judge, seen: Measurements, persons: np.ndarray) -> Bar:
    renders = judge.measure(heads.images)
    threshold = threshold_at_far(likeness.impostor_scores(heads, renders), likeness.FAR)
    references = renders.embedding[[heads.row(int(person), 0) for person in persons]]
    passes = likeness.passes(references, seen.embedding, threshold)
    own = np.diagonal(passes)
    other = passes[persons[:, None] != persons[None, :]]
    return Bar(
        name="identity TAR at FAR 1 % in reference mode", value=float(own.mean()), bar=TAR, direction=">=",
        n=len(np.unique(persons)), ci95=mean_interval(own, persons), control=float(other.mean()),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class DrawnExpressions:
    """The eight expressions of made-up people, drawn from the same noise in three ways, (n, h, w, 3) uint8 each."""

    requests: list[Request]
    plain: np.ndarray
    """The text alone names the expression."""
    guided: np.ndarray
    """The same with semantic guidance."""
    told: np.ndarray
    """The text and the typical action units, without guidance."""

    @property
    def expressions(self) -> np.ndarray:
        """(n,) names of what was asked for."""
        return np.array([request.expression for request in self.requests])

    @property
    def persons(self) -> np.ndarray:
        """(n,) who is drawn."""
        return np.array([request.person for request in self.requests])

    def columns(self, images: np.ndarray, most: int = 8) -> dict[str, list[np.ndarray]]:
        """Some people's pictures out of (n, h, w, 3), expression by expression."""
        some = self.persons < most
        return {name: list(images[some & (self.expressions == name)]) for name in vocabulary.EXPRESSIONS}


def draw_expressions(pipe: Any, prior: IdentityPrior, settings: Settings) -> DrawnExpressions:
    """Draw every expression of as many people as the settings allow."""
    from pipelines.expression.units import typical_units

    requests, people = [], []
    for person in range(QUICK_EXPRESSIONS if settings.quick else EXPRESSIONS):
        for expression in vocabulary.EXPRESSIONS:
            rng = stream(SEED, "expression", person)
            looks: dict[str, Any] = {
                "gender": str(rng.choice(("woman", "man"))),
                "age_band": str(rng.choice(list(vocabulary.AGE_BANDS))),
                "skin_tone": int(rng.choice(vocabulary.SKIN_TONES)),
            }
            people.append(pipe.identity_from_embedding(prior.sample(rng, looks)))
            pose = str(stream(SEED, "pose", person, expression).choice(_POSES))
            (units,) = typical_units(None, [expression], 1.0)
            requests.append(
                Request(
                    prompt=captions.prompt(**looks, pose=pose, expression=expression),
                    seed=sample_seed(SEED, "expression", person, expression),
                    units=dict(units), expression=expression, person=person,
                )
            )  # fmt: skip
    # Where units tell the expression, the judge is content already; guidance is for what words leave open.
    by_words = [replace(request, units={}) for request in requests]
    return DrawnExpressions(
        requests=requests,
        plain=draw(pipe, by_words, people, settings, "expressions in words"),
        guided=draw(pipe, by_words, people, settings, "guided expressions", **SEMANTIC),
        told=draw(pipe, requests, people, settings, "expressions in action units"),
    )


def expression_bars(drawn: DrawnExpressions, judge: Judge) -> list[Bar]:
    """How often the judge sees what was asked for, and whether guidance helps in its eyes."""
    plain, guided, told = (
        judge.measure(images, read=True) for images in (drawn.plain, drawn.guided, drawn.told)
    )
    asked, persons = drawn.expressions, drawn.persons
    seen = {"plain": plain, "guided": guided, "told": told}
    right = {name: read_expression(one) == asked for name, one in seen.items()}
    shuffled = np.random.default_rng(0).permutation(len(asked))
    lower = judge_loss(guided, drawn.requests) < judge_loss(plain, drawn.requests)
    people = len(np.unique(persons))
    return [
        Bar(
            name="expression as asked for, by action units", value=float(right["told"].mean()), bar=ACCURACY,
            direction=">=", n=people, ci95=mean_interval(right["told"], persons),
            control=float((read_expression(told)[shuffled] == asked).mean()),
        ),
        Bar(
            name="expression as asked for, by words and guidance (control: words alone)",
            value=float(right["guided"].mean()), bar=ACCURACY, direction=">=", n=people,
            ci95=mean_interval(right["guided"], persons),
            control=float(right["plain"].mean()),
        ),
        Bar(
            name="seeds in which guidance lowers the judge's loss", value=float(lower.mean()), bar=WINS,
            direction=">=", n=len(lower), ci95=mean_interval(lower, persons), control=0.5,
        ),
    ]  # fmt: skip


def read_expression(seen: Measurements) -> np.ndarray:
    """The most probable of the eight expressions of each picture, in the judge's eyes, (n,) names."""
    assert seen.shown is not None  # the bundled judge reads them
    return np.array(vocabulary.EXPRESSIONS)[seen.shown[:, :-1].argmax(axis=1)]


def judge_loss(seen: Measurements, requests: Sequence[Request]) -> np.ndarray:
    """Cross-entropy of the expression that was asked for, (n,)."""
    assert seen.shown is not None  # the bundled judge reads them
    columns = [vocabulary.EXPRESSIONS.index(str(request.expression)) for request in requests]
    eight = seen.shown[:, :-1] / seen.shown[:, :-1].sum(axis=1, keepdims=True)
    return -np.log(np.maximum(eight[np.arange(len(requests)), columns], 1e-12))


def draw(
    pipe: Any,
    requests: Sequence[Request],
    people: Sequence[Any],
    settings: Settings,
    title: str,
    **options: Any,
) -> np.ndarray:
    """Draw one face a request, in batches, each from its own seed: (n, h, w, 3) uint8."""
    images = []
    for start in range(0, len(requests), BATCH):
        settings.progress(title, start / len(requests))
        batch = requests[start : start + BATCH]
        output = pipe(
            conditioning=type(people[0]).cat(people[start : start + BATCH]),
            prompt=[request.prompt for request in batch],
            action_units=[request.units for request in batch],
            expression=[request.expression for request in batch],
            num_inference_steps=STEPS,
            generator=[noise_generator(request.seed) for request in batch],
            output_type="np",
            **options,
        )
        images.append((np.asarray(output.images) * 255).round().clip(0, 255).astype(np.uint8))
    settings.progress(title, 1.0)
    return np.concatenate(images)


def _repeated(heads: HeldOut, count: int) -> np.ndarray:
    """Heads in their order, again and again until there are `count`."""
    return np.arange(count) % heads.heads


def _seconds(pipe: Any, data: Path, repeats: int) -> Bar:
    """Time of one guided smile on the CPU."""
    reference = Image.fromarray(heldout.first_reference(data))
    seconds = speed.benchmark(pipe, reference, [1], repeats, expression="happy", **SEMANTIC)["1"]
    return Bar(
        name="seconds for one guided face", value=float(np.median(seconds)), bar=SECONDS, direction="<=",
        n=len(seconds), ci95=mean_interval(np.array(seconds), range(len(seconds))),
        domain=f"this machine, {speed.THREADS} CPU threads, {STEPS} steps with guidance",
    )  # fmt: skip
