"""AdamW or Muon over the parameter groups of a task: what decays, the learning rate of each, what is clipped."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from train.config import Kind, OptimizerConfig, TrainConfig
from train.muon import Muon
from train.schedule import factor
from train.tasks import Task

_SETTINGS = ("lr", "betas", "eps", "weight_decay")


def parameter_groups(task: Task, model: nn.Module, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Return the optimizer's groups: the task's own, filled up from the config, each split by weight decay.

    Raises ValueError when a trainable parameter is in no group or in two.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters() if parameter.requires_grad}
    left, result = dict(names), []
    for index, group in enumerate(task.parameter_groups(model)):
        unknown = set(group) - {"params", "name", *_SETTINGS}
        if unknown:
            raise ValueError(
                f"parameter group {index}: unknown key {min(unknown)!r}; known: params, name, {_SETTINGS}"
            )
        own = [parameter for parameter in group["params"] if parameter.requires_grad]
        for parameter in own:
            if left.pop(id(parameter), None) is None:
                raise ValueError(
                    f"parameter group {index}: {names.get(id(parameter), 'a parameter')} is in two groups"
                )
        settings = {key: group.get(key, getattr(config, key)) for key in _SETTINGS}
        settings |= {"name": group.get("name", str(index)), "base_lr": settings["lr"]}
        result += _split(own, settings, set_apart=_embeddings(model) if config.kind == "muon" else set())
    if left:
        raise ValueError(
            f"parameter_groups leaves out {len(left)} trainable parameters, such as "
            f"{next(iter(left.values()))}: put them in a group or set requires_grad to False"
        )
    return result


def make_optimizer(groups: list[dict[str, Any]], kind: Kind, fused: bool) -> torch.optim.AdamW:
    """Return the optimizer; `fused` runs all of a group in one kernel, on CPU as well."""
    optimizer = Muon if kind == "muon" else torch.optim.AdamW
    return optimizer([dict(group) for group in groups], fused=fused)


def set_learning_rates(optimizer: Any, config: TrainConfig, step: int) -> None:
    """Set the learning rate of every group for `step`, a pure function of the step and the config."""
    schedule = config.optimizer
    share = factor(step, config.steps, schedule.schedule, schedule.warmup, schedule.cooldown, schedule.final)
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * share


def restore_settings(optimizer: Any, groups: list[dict[str, Any]]) -> None:
    """Put the config's settings back after a checkpoint brought its own: overrides count on resume."""
    for group, settings in zip(optimizer.param_groups, groups, strict=True):
        group.update({key: settings[key] for key in (*_SETTINGS, "base_lr")})


def by_name(optimizer: Any) -> dict[str, list[nn.Parameter]]:
    """Return the parameters of each named group, the decayed and the others together, as they are clipped."""
    result: dict[str, list[nn.Parameter]] = {}
    for group in optimizer.param_groups:
        result.setdefault(group.get("name", "0"), []).extend(group["params"])
    return result


def _split(
    parameters: list[nn.Parameter], settings: dict[str, Any], set_apart: set[int]
) -> list[dict[str, Any]]:
    """Split into parameters of two dimensions and more, which decay, and the rest, which do not.

    Those in `set_apart` (by id) decay, but are tables of rows and no maps: nothing about them is to be orthogonal.
    """
    decayed = [
        parameter for parameter in parameters if parameter.ndim >= 2 and id(parameter) not in set_apart
    ]
    tables = [parameter for parameter in parameters if parameter.ndim >= 2 and id(parameter) in set_apart]
    others = [parameter for parameter in parameters if parameter.ndim < 2]
    groups = [
        {**settings, "params": decayed, "orthogonal": True},
        {**settings, "params": tables, "orthogonal": False},
        {**settings, "params": others, "orthogonal": False, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _embeddings(model: nn.Module) -> set[int]:
    """Parameters of embeddings and bare parameters that no layer multiplies by, by id."""
    maps = (nn.Linear, nn.Conv2d)
    multiplied = {id(module.weight) for module in model.modules() if isinstance(module, maps)}
    return {id(parameter) for parameter in model.parameters()} - multiplied
