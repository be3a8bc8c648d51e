"""Drawings for the search of identities, made by several studios at once."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from gen import checks
from gen.portraits import Look, Studio
from pipelines.portrait.conditioning import IdentityConditioning

GROUP = 4
"""Drawings per call of the model: few, so that several workers have something to do where few identities are left."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """A drawing that is wanted."""

    prompt: str
    condition: IdentityConditioning
    seed: int
    negative: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Portrait:
    """A drawing, and what is seen on it."""

    look: Look
    seed: int
    fault: str
    """Why it is no sound portrait, "" when it is."""

    @property
    def embedding(self) -> np.ndarray:
        """Of length 1; only sound portraits have one."""
        assert self.look.embedding is not None  # a picture without one has a fault
        return self.look.embedding


class Atelier:
    """Draws in groups, on several studios at once; the groups, and so every byte, are those of one studio."""

    def __init__(self, studio: Studio, workers: int, limits: checks.Thresholds) -> None:
        self.studio = studio
        self._limits = limits
        self._threads = ThreadPoolExecutor(workers)
        self._free: queue.SimpleQueue[Studio] = queue.SimpleQueue()
        for each in (studio, *(studio.twin() for _ in range(workers - 1))):
            self._free.put(each)

    def portray(self, orders: Sequence[Order]) -> list[Portrait]:
        """Make every drawing and look at it."""
        groups = [orders[first : first + GROUP] for first in range(0, len(orders), GROUP)]
        return [portrait for made in self._threads.map(self._draw, groups) for portrait in made]

    def condition(self, portraits: Sequence[Portrait]) -> list[IdentityConditioning]:
        """What further pictures of the people on sound portraits are drawn from."""
        return list(
            self._threads.map(self.studio.condition_on_look, [portrait.look for portrait in portraits])
        )

    def close(self) -> None:
        """End the threads; drawings that were not begun are dropped."""
        self._threads.shutdown(cancel_futures=True)

    def _draw(self, orders: Sequence[Order]) -> list[Portrait]:
        studio = self._free.get()
        try:
            images = studio.make(
                [order.prompt for order in orders],
                [order.negative for order in orders],
                [order.condition for order in orders],
                [order.seed for order in orders],
            )
            looks = [studio.look(image) for image in images]
        finally:
            self._free.put(studio)
        return [
            Portrait(look=look, seed=order.seed, fault=self._fault(look))
            for order, look in zip(orders, looks, strict=True)
        ]

    def _fault(self, look: Look) -> str:
        reason = checks.verdict(look.measured, self._limits)[1]
        return reason or ("" if look.embedding is not None else "no identity embedding")
