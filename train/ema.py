"""The exponential moving average of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

_STATISTICS = ("running_mean", "running_var")


class Ema:
    """An average of a module's parameters whose decay is (1 + step) / (10 + step) until it reaches `decay`.

    The statistics of batch norms are averaged with the weights that they belong to: those of the newest weights under
    averaged ones shift what every later layer sees. Other buffers are not.
    Exact to resume: the average itself is the whole state, the step is the run's.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        named = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
        named |= {name: buffer for name, buffer in module.named_buffers() if name.endswith(_STATISTICS)}
        self.names = list(named)
        self.parameters = list(named.values())
        self.reset()

    def reset(self) -> None:
        """Start the average from the weights as they are."""
        self.average = [parameter.detach().float().clone() for parameter in self.parameters]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the weights after optimizer step `step` (0-based)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = [parameter.detach().float() for parameter in self.parameters]
        torch._foreach_lerp_(self.average, current, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Put the average into the module for the length of a `with` block, then the trained weights back."""
        trained = [parameter.detach().clone() for parameter in self.parameters]
        self._fill(self.average)
        try:
            yield
        finally:
            self._fill(trained)

    @torch.no_grad()
    def _fill(self, values: list[torch.Tensor]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.copy_(value)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the average by parameter name; sharded tensors are gathered, so every process calls it."""
        return {name: _whole(value) for name, value in zip(self.names, self.average, strict=True)}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Take over an average; its names have to be exactly the trained parameters."""
        if set(state) != set(self.names):
            odd = sorted(set(state) ^ set(self.names))
            raise ValueError(
                f"the saved average does not fit the model: {len(odd)} names differ, such as {odd[0]}"
            )
        for name, value in zip(self.names, self.average, strict=True):
            value.copy_(_like(state[name], value))


def _whole(value: torch.Tensor) -> torch.Tensor:
    return value.full_tensor() if hasattr(value, "full_tensor") else value  # type: ignore[attr-defined]


def _like(value: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Shard a whole tensor the way `target` is sharded; leave it alone when `target` is not."""
    if not hasattr(target, "device_mesh"):
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(target.device), target.device_mesh, target.placements)  # type: ignore[attr-defined]
