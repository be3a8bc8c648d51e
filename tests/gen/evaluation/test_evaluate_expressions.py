"""The bars of expression control on drawings with planted faults."""

from __future__ import annotations

import numpy as np
import pytest

from faces import vocabulary
from gen.evaluation import expressions, labelling
from gen.evaluation.expressions import DrawnExpressions, Request
from gen.evaluation.heldout import HeldOut
from gen.evaluation.judge import Measurements

COLUMNS = vocabulary.UNIT_COLUMNS


@pytest.fixture(scope="module")
def requests():
    labels = [
        {"identity_id": f"p{row // 3}", "state": row % 3, "gender": "man", "age_years": 30 + row % 40}
        for row in range(120)
    ]
    heads = HeldOut(images=np.zeros((120, 8, 8, 3), np.uint8), labels=labels)
    return expressions.unit_requests(heads, 240)


@pytest.fixture(scope="module")
def wanted(requests):
    return np.array([[request.units[name] for name in COLUMNS] for request in requests])


def lines(wanted, seen):
    own, talk = expressions._units(wanted, seen, np.arange(len(wanted)) % 40)
    return own, talk


def test_requests_name_every_unit_and_repeat(requests, wanted):
    assert len(requests) == 240 and set(requests[0].units) == set(COLUMNS)
    assert (wanted.std(axis=0) > 0).all() and (wanted == 0).mean() > 0.7
    assert len({request.seed for request in requests}) == 240


def test_obedience_without_talk_passes(wanted):
    noise = np.random.default_rng(0).normal(0, 0.05, wanted.shape)
    own, talk = lines(wanted, 0.6 * wanted + noise)
    assert own.passed and own.value > 0.9 and talk.passed and talk.value < 0.12
    assert abs(own.control) < 0.2


def test_deafness_fails(wanted):
    own, _ = lines(wanted, np.random.default_rng(0).normal(size=wanted.shape))
    assert not own.passed and abs(own.value) < 0.2


def test_units_that_move_everything_fail_cross_talk(wanted):
    own, talk = lines(wanted, wanted + 3 * wanted.sum(axis=1, keepdims=True))
    assert talk.value > 0.2 and not talk.passed


def test_a_side_that_follows_the_other_is_no_talk(wanted):
    seen = wanted.copy()
    left, right = COLUMNS.index("AU12L"), COLUMNS.index("AU12R")
    seen[:, left] = seen[:, right] = wanted[:, [left, right]].mean(axis=1)
    assert lines(wanted, seen)[1].value < 0.12


def seen_as(names, confidence=0.9) -> Measurements:
    """A judge's view in which each picture shows the named expression."""
    count = len(names)
    shown = np.full((count, 9), (1 - confidence) / 8)
    shown[np.arange(count), [vocabulary.EXPRESSIONS.index(name) for name in names]] = confidence
    blank = np.zeros((count, 1))
    return Measurements(
        embedding=blank, features=blank, expression=np.array(names), pose=np.zeros((count, 3)),
        hair_colour=np.array(["black"] * count), age=np.zeros(count), action_units=blank, shown=shown,
    )  # fmt: skip


class ToldJudge:
    """A judge who answers what the pictures' first pixel says: index of an expression, and how clearly."""

    def measure(self, images, read=False):
        assert read
        pixels = images[:, 0, 0].astype(float)
        names = [vocabulary.EXPRESSIONS[int(index)] for index in pixels[:, 0]]
        views = [seen_as([name], clarity / 255) for name, clarity in zip(names, pixels[:, 1], strict=True)]
        return Measurements(
            **{
                name: None
                if getattr(views[0], name) is None
                else np.concatenate([getattr(v, name) for v in views])
                for name in Measurements.__slots__
            }
        )


def drawn(plain_clarity: int, guided_clarity: int, wrong: int = 0) -> DrawnExpressions:
    requests = [
        Request(prompt="", seed=0, units={}, expression=name, person=person)
        for person in range(5) for name in vocabulary.EXPRESSIONS
    ]  # fmt: skip

    def pictures(clarity):
        images = np.zeros((40, 4, 4, 3), np.uint8)
        images[:, 0, 0, 0] = np.arange(40) % 8
        images[:wrong, 0, 0, 0] = (np.arange(wrong) + 1) % 8
        images[:, 0, 0, 1] = clarity
        return images

    plain, guided = pictures(plain_clarity), pictures(guided_clarity)
    return DrawnExpressions(requests=requests, plain=plain, guided=guided, told=plain)


def test_accuracy_and_wins_of_guidance():
    told, right, wins = expressions.expression_bars(drawn(150, 220), ToldJudge())
    assert told.value == 1 and told.control is not None and told.control < 0.5
    assert right.value == right.control == 1 and wins.value == 1 and wins.passed
    told, right, wins = expressions.expression_bars(drawn(220, 150, wrong=16), ToldJudge())
    assert not told.passed and right.value == pytest.approx(0.6) and not right.passed
    assert wins.value == pytest.approx(0.4) and not wins.passed  # where the picture is wrong, less is better


def test_planted_labels_are_wrong_and_as_many_as_asked():
    truth = np.array(list(vocabulary.EXPRESSIONS) * 25)
    planted = labelling.plant(truth, 0.2)
    wrong = planted != truth
    assert wrong.sum() == 40
    assert len(set(planted[wrong])) == 8
    np.testing.assert_array_equal(planted, labelling.plant(truth, 0.2))
