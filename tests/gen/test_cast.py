"""Who shows what: classes that differ in nothing but the expression."""

from __future__ import annotations

import collections

import pytest

from faces import vocabulary
from gen.balance import total_variation
from gen.cast import cast

CLASSES = vocabulary.EXPRESSIONS
AXES = {
    "age_band": {"young": 1, "elderly": 1}, "skin_tone": {1: 1, 6: 1}, "pose": {"left": 1, "frontal": 1, "right": 1},
}  # fmt: skip
FURTHER = {"gender": {"woman": 1, "man": 1}, "light": {"soft": 1, "dim": 1, "warm": 1}}


def pictures(people):
    return [{**person.looks, **picture} for person in people for picture in person.pictures]


@pytest.mark.parametrize("per_class", [12, 17])
def test_every_class_has_the_same_people_and_poses(per_class):
    rows = pictures(cast(CLASSES, per_class, 4, AXES, FURTHER, seed=0))
    cells = collections.defaultdict(collections.Counter)
    for row in rows:
        cells[row["expression"]][tuple(row[name] for name in AXES)] += 1
    assert set(cells) == set(CLASSES) and all(sum(counts.values()) == per_class for counts in cells.values())
    assert all(counts == cells["neutral"] for counts in cells.values())


def test_balance_is_joint_over_expression_and_axes():
    rows = pictures(cast(CLASSES, 36, 4, AXES, FURTHER, seed=3))
    joint = {"expression": dict.fromkeys(CLASSES, 1), **AXES}
    assert total_variation(rows, joint) == (pytest.approx(0, abs=1e-12), 3)
    for name, values in FURTHER.items():
        distance, _ = total_variation(rows, {"expression": dict.fromkeys(CLASSES, 1), name: values})
        assert distance < 0.02, name


def test_people_keep_their_looks_and_vary_what_they_show():
    people = cast(CLASSES, 36, 4, AXES, FURTHER, seed=0)
    assert [person.id for person in people] == [f"id{number:06d}" for number in range(72)]
    for person in people:
        assert set(person.looks) == {"age_band", "skin_tone", "gender"}
        assert len({picture["expression"] for picture in person.pictures}) == len(person.pictures) == 4
        assert all(set(picture) == {"expression", "pose", "light"} for picture in person.pictures)
    several = [len({picture["pose"] for picture in person.pictures}) > 1 for person in people]
    assert sum(several) > 0.9 * len(several)


def test_every_beginning_is_balanced():
    rows = pictures(cast(CLASSES, 36, 4, AXES, FURTHER, seed=0))[:64]
    counts = collections.Counter(row["expression"] for row in rows)
    assert set(counts.values()) == {8}
    looks = collections.Counter((row["age_band"], row["skin_tone"]) for row in rows)
    assert set(looks.values()) == {16}


@pytest.mark.parametrize("per_person", [1, 3, 8, 20])
def test_any_number_of_pictures_of_a_person_gives_every_picture_once(per_person):
    people = cast(CLASSES, 12, per_person, AXES, FURTHER, seed=0)
    assert max(len(person.pictures) for person in people) == min(per_person, 8 * 3)
    assert min(len(person.pictures) for person in people) > 0
    counts = collections.Counter(row["expression"] for row in pictures(people))
    assert set(counts.values()) == {12}


def test_a_plan_without_axes_is_classes_alone():
    people = cast(CLASSES, 2, 4, {}, {}, seed=0)
    assert sorted(row["expression"] for row in pictures(people)) == sorted(CLASSES * 2)


def test_the_seed_decides():
    assert cast(CLASSES, 12, 4, AXES, FURTHER, 5) == cast(CLASSES, 12, 4, AXES, FURTHER, 5)
    assert cast(CLASSES, 12, 4, AXES, FURTHER, 5) != cast(CLASSES, 12, 4, AXES, FURTHER, 6)
