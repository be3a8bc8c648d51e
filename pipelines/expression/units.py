"""Action units as callers give them: by name, by expression, for one picture or for several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from faces.head.expression import PROTOTYPES
from faces.head.spec import unit_columns
from faces.vocabulary import UNIT_COLUMNS
from pipelines.expression.modules import BRANCH
from pipelines.portrait.attention import is_adapter_installed
from pipelines.portrait.conditioning import IdentityConditioning

Units = Mapping[str, float] | Sequence[Mapping[str, float]]
"""Name -> intensity, for all pictures or one mapping a prompt."""


def typical_units(
    action_units: Units | None, expressions: Sequence[str | None], intensity: float
) -> list[Mapping[str, float]]:
    """Action units of each prompt: as given, else typical of its expression, all others at rest.

    Raises:
        ValueError: an unknown expression.
    """
    if action_units is not None:
        same = isinstance(action_units, Mapping)
        return [action_units] * len(expressions) if same else list(action_units)  # type: ignore[list-item]
    rows: list[Mapping[str, float]] = []
    for name in expressions:
        if name is None:
            rows.append({})
        elif name in PROTOTYPES:
            typical = {unit: min(1.5, value * intensity) for unit, value in PROTOTYPES[name].items()}
            rows.append(at_rest() | _both_sides(typical))
        else:
            raise ValueError(f"expression {name!r}: known are {', '.join(PROTOTYPES)}")
    return rows


def at_rest() -> dict[str, float]:
    """Every action unit at 0: a face that does nothing, where {} is a face that may do anything."""
    return dict.fromkeys(UNIT_COLUMNS, 0.0)


def _both_sides(units: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in unit_columns(dict(units)).items() if value > 0}


def spread_over(
    prompt: str | Sequence[str],
    conditioning: IdentityConditioning,
    units: Units | None,
    expression: str | Sequence[str | None] | None,
) -> tuple[str | Sequence[str], IdentityConditioning]:
    """One prompt for several mappings of units or several expressions stands for as many."""
    several = max(
        1 if units is None or isinstance(units, Mapping) else len(units),
        1 if expression is None or isinstance(expression, str) else len(expression),
    )
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    if len(prompts) == 1 and several > 1 and len(conditioning) in (1, several):
        return prompts * several, conditioning
    return prompt, conditioning


def check_expression(
    pipe: Any,
    unit_start: float,
    semantic_scale: float,
    semantic_start: float,
    semantic_every: int,
    layout: Any,
    latents: Any,
) -> None:
    """Refuse a call whose denoiser lost its adapter, or whose arguments are out of range or contradict each other.

    Args:
        pipe: the expression pipeline.
        unit_start: 0..1.
        semantic_scale: at least 0.
        semantic_start: 0..1.
        semantic_every: at least 1.
        layout: where to start, or None.
        latents: the same; one of both at most.
    """
    if not is_adapter_installed(pipe.unet, BRANCH, pipe.action_unit_adapter.attention):
        raise ValueError(
            "unet: its attention does not belong to this action unit adapter; "
            "call install_adapter(pipe.unet, BRANCH, pipe.action_unit_adapter.attention)"
        )
    if not 0 <= unit_start <= 1:
        raise ValueError(f"unit_start={unit_start}: expected a share 0..1")
    if semantic_scale < 0 or not 0 <= semantic_start <= 1 or semantic_every < 1:
        raise ValueError(
            f"semantic_scale={semantic_scale}, semantic_start={semantic_start}, semantic_every={semantic_every}: "
            "expected at least 0, a share 0..1, and at least 1"
        )
    if layout is not None and latents is not None:
        raise ValueError("layout and latents given: both say where to start, pass one")
