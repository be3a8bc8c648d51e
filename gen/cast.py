"""Who shows what: a set of classes in which every class has the same people, poses and numbers of each.

A classifier that is trained on a set where, say, the angry are older learns age. Here all classes are planned on the
same cells of the axes, so that a class tells nothing of them; the pictures of equal looks are then shared among people.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen import balance, seeds
from gen.axes import Axes

OF_THE_PERSON = ("gender", "age_band", "skin_tone", "eye_colour", "hair_style", "hair_colour", "beard")
"""Axes that all pictures of an identity share."""

Looks = dict[str, Any]
"""Axis -> value."""


@dataclass(kw_only=True, slots=True)
class Person:
    """An identity of the plan."""

    id: str = ""
    looks: Looks
    """Values of the axes of the person."""
    pictures: list[Looks] = field(default_factory=list)
    """Of each picture its expression and the values of the other axes."""


def cast(
    expressions: Sequence[str], per_class: int, per_person: int, axes: Axes, further: Axes, seed: int
) -> list[Person]:
    """Plan the people of a set and what their pictures show.

    Args:
        expressions: the classes.
        per_class: pictures of each.
        per_person: most pictures of an identity. Where it divides the number of classes all have as many, and
            nobody shows an expression twice.
        axes: balanced jointly, and the same in every class.
        further: balanced too: axes of the person among the people of each combination of `axes` that concerns
            people, and by choice of who shows what; the others within each class.
        seed: of the dataset.

    Returns:
        Identities in the order in which they are needed, so that every beginning of the set is balanced.
    """
    cells = balance.combinations(axes, per_class, seeds.stream(seed, "cells"))
    casting = _Casting(_people(cells, len(expressions), per_person, further, seed), per_person)
    rng = seeds.stream(seed, "roles")
    for number, shown in enumerate(_pictures(expressions, cells, further, seed)):
        casting.share(shown, _key(cells[number]), rng)
    return casting.chosen


class _Casting:
    """Gives pictures to people, so that what a person looks like says as little as can be of what they show."""

    def __init__(self, people: dict[tuple[Any, ...], list[Person]], per_person: int) -> None:
        self.waiting = people
        self.per_person = per_person
        self.counts: collections.Counter[tuple[str, Any, str]] = collections.Counter()
        """Pictures by axis, value and expression."""
        self.chosen: list[Person] = []

    def share(self, pictures: list[Looks], key: tuple[Any, ...], rng: np.random.Generator) -> None:
        """Share the pictures of one cell among the next people of these looks."""
        left = [pictures[index] for index in rng.permutation(len(pictures))]
        while left:
            person = self._next(key)
            left.sort(key=lambda picture: self._seen(person, picture))
            taken, left = left[: self._room(person)], left[self._room(person) :]
            for picture in taken:
                self.counts.update(_pairs(person, picture))
            person.pictures += taken

    def _next(self, key: tuple[Any, ...]) -> Person:
        people = self.waiting[key]
        if not self._room(people[0]):
            people.pop(0)
        if not people[0].id:
            people[0].id = f"id{len(self.chosen):06d}"
            self.chosen.append(people[0])
        return people[0]

    def _room(self, person: Person) -> int:
        return self.per_person - len(person.pictures)

    def _seen(self, person: Person, picture: Looks) -> int:
        """How often people who look like this one show the expression already."""
        return sum(self.counts[pair] for pair in _pairs(person, picture))


def _people(
    cells: list[Looks], expressions: int, per_person: int, further: Axes, seed: int
) -> dict[tuple[Any, ...], list[Person]]:
    """As many people of each looks as their pictures need."""
    people = {}
    numbers = collections.Counter(map(_key, cells))
    for cell in cells:
        key = _key(cell)
        if key not in people:
            count, stream = (
                -(-numbers[key] * expressions // per_person),
                seeds.stream(seed, "people", *map(str, key)),
            )
            own = balance.combinations(_part(further, of_person=True), count, stream)
            people[key] = [Person(looks={**_part(cell, of_person=True), **looks}) for looks in own]
    return people


def _pictures(expressions: Sequence[str], cells: list[Looks], further: Axes, seed: int) -> list[list[Looks]]:
    """What pictures show beside the person: for each cell one picture of every class."""
    groups: dict[tuple[Any, ...], list[Looks]] = collections.defaultdict(list)
    others = {
        name: balance.combinations(
            _part(further, of_person=False), len(cells), seeds.stream(seed, "further", name)
        )
        for name in expressions
    }
    for cell in cells:
        groups[_key(cell)].append(_part(cell, of_person=False))
    places: collections.Counter[tuple[Any, ...]] = collections.Counter()
    shown = []
    for number, key in enumerate(map(_key, cells)):
        # Each class goes through the cells of a group from another one on: a person's pictures differ in pose.
        own = [groups[key][(places[key] + index) % len(groups[key])] for index in range(len(expressions))]
        shown.append(
            [
                {"expression": name, **looks, **others[name][number]}
                for name, looks in zip(expressions, own, strict=True)
            ]
        )
        places[key] += 1
    return shown


def _pairs(person: Person, picture: Looks) -> list[tuple[str, Any, str]]:
    return [(name, value, picture["expression"]) for name, value in person.looks.items()]


def _part(axes: dict[str, Any], of_person: bool) -> dict[str, Any]:
    """Those of the axes that concern the person, or the others."""
    return {name: value for name, value in axes.items() if (name in OF_THE_PERSON) is of_person}


def _key(looks: Looks) -> tuple[Any, ...]:
    return tuple(_part(looks, of_person=True).values())
