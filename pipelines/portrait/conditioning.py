"""What the pipeline knows about the people it draws, as tensors that can be kept, joined and made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class IdentityConditioning:
    """Identity embeddings of `b` people and, where a variant reads them, states of the image encoder."""

    id_embeds: torch.Tensor
    """(b, E), or (b, r, E) for variants that take several embeddings of a person."""
    clip_states: torch.Tensor | None = None
    """(b, N, C) hidden states of the face."""
    part_states: torch.Tensor | None = None
    """(b, 5, N, C) hidden states of the parts, in the order of `vocabulary.PARTS`."""
    part_valid: torch.Tensor | None = None
    """(b, 5) bool: which parts the reference shows."""
    blank_states: torch.Tensor | None = None
    """(1, N, C) hidden states of an image of zeros: nobody."""

    def __len__(self) -> int:
        return len(self.id_embeds)

    @property
    def unconditional(self) -> IdentityConditioning:
        """Nobody: zero embeddings and the states of a blank image, the parts marked as they are here."""
        blank = self.blank_states
        if blank is None:
            return replace(self, id_embeds=torch.zeros_like(self.id_embeds))
        return replace(
            self,
            id_embeds=torch.zeros_like(self.id_embeds),
            clip_states=blank.expand_as(self.clip_states),
            part_states=blank[:, None].expand_as(self.part_states),
        )

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None):
        """Move all tensors; `dtype` applies to those of floats."""
        return self._map(lambda x: x.to(device, dtype if x.is_floating_point() else None))

    def select(self, people: Sequence[int] | slice) -> IdentityConditioning:
        """Take some of the people, in any order and number of times."""
        if not isinstance(people, slice):
            people = list(people)
        everybody = replace(self, blank_states=None)
        return replace(everybody._map(lambda x: x[people]), blank_states=self.blank_states)

    @staticmethod
    def cat(parts: Sequence[IdentityConditioning]) -> IdentityConditioning:
        """Join batches of people made by the same pipeline."""
        if not parts:
            raise ValueError("no conditioning to join, at least one is needed")

        def joined(name: str) -> torch.Tensor | None:
            values = [getattr(part, name) for part in parts]
            if any(value is None for value in values):
                return None
            return torch.cat(values)

        names = [field.name for field in fields(IdentityConditioning) if field.name != "blank_states"]
        return IdentityConditioning(
            **{name: joined(name) for name in names}, blank_states=parts[0].blank_states
        )

    def grouped(self, groups: Sequence[Sequence[int]], stacked: bool = False) -> IdentityConditioning:
        """Make each group of pictures one person by averaging what was seen.

        Args:
            groups: for each person the indices of the pictures.
            stacked: keep the embeddings side by side, (b, r, E), instead of averaging them; people with fewer
                pictures repeat theirs.
        """
        most = max(len(group) for group in groups)
        embeds = [self.id_embeds[list(group)] for group in groups]
        rows = [x[torch.arange(most) % len(x)] if stacked else _mean_direction(x) for x in embeds]
        people = replace(self.select([group[0] for group in groups]), id_embeds=torch.stack(rows))
        if self.clip_states is None or most == 1:
            return people
        states, parts, valid = [], [], []
        for group in groups:
            seen = self.part_valid[list(group)]
            weight = (seen / seen.sum(0).clamp(min=1)).to(self.part_states.dtype)[:, :, None, None]
            mean = (self.part_states[list(group)] * weight).sum(0)
            states.append(self.clip_states[list(group)].mean(0))
            parts.append(torch.where(seen.any(0)[:, None, None], mean, self.blank_states))
            valid.append(seen.any(0))
        return replace(
            people,
            clip_states=torch.stack(states),
            part_states=torch.stack(parts),
            part_valid=torch.stack(valid),
        )

    def _map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> IdentityConditioning:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return replace(self, **{name: change(x) for name, x in values.items() if x is not None})


def _mean_direction(embeds: torch.Tensor) -> torch.Tensor:
    """Average of (r, E) at the average length, so that unit vectors give a unit vector."""
    mean = embeds.mean(0)
    return mean * (embeds.norm(dim=-1).mean() / mean.norm().clamp(min=1e-8))
