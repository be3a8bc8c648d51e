"""One small network that reads everything of a face: landmarks, parsing, pose, action units, expression and more.

After Faceptor (Qin et al. 2024, arXiv:2403.09500): one encoder, and a decoder in which every number that is wanted has
a query of its own. A task is a table of queries and the kind of its answers; a new one costs a row of the config.
Queries of different tasks do not see each other, so a task answers the same with and without the others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from faces import vocabulary
from faces.networks import FaceNetwork, LocalReader, Residual, halving

Readout = Literal["points", "maps", "values", "reader"]
"""How a query answers: a place in the frame with its uncertainty, a map of logits, or a number; "reader" is a task
without queries, which a branch from the encoder's finest levels answers with numbers."""

AGE_CENTRES = tuple(range(18, 91, 3))
"""Years at the centres of the bins of the age distribution."""
ATTRIBUTES = ("glasses", "beard", "makeup", "bald")

TASKS: dict[str, tuple[int, Readout]] = {
    "landmarks": (68, "points"),
    "parsing": (len(vocabulary.PARSING), "maps"),
    "action_units": (len(vocabulary.UNIT_COLUMNS), "values"),
    "expression": (len(vocabulary.EXPRESSIONS), "values"),
    "valence_arousal": (2, "values"),
    "pose": (3, "values"),
    "age": (len(AGE_CENTRES), "values"),
    "hair_colour": (len(vocabulary.HAIR_COLOURS), "values"),
    "attributes": (len(ATTRIBUTES), "values"),
    "quality": (1, "values"),
    "presence": (1, "values"),
}
"""Name -> (queries, kind of answer) of what the bundled network reads."""


class PerceptionNet(FaceNetwork):
    """The generalist.

    A convolutional encoder of four levels, an upward path to half size for what is dense, and a query decoder
    whose memory is the levels together, each with a projection and an embedding of its own (layer attention,
    Faceptor section 3.3).

    Args:
        size: of the input in pixels, a multiple of 16.
        widths: channels at 1/2, 1/4, 1/8 and 1/16 of it.
        depths: residual blocks of each level.
        width: of queries.
        layers: of the decoder.
        heads: of its attention.
        tasks: name -> (queries, kind of answer).
        fine: channels of maps at the full size, which see the picture again; 0 gives maps at half the size.
        detail: channels of the branch at half the size that makes those maps.
        reader: channels of the branch of "reader" tasks at 1/4, 1/8 and 1/16 of the size, and of its last layer.
        calibration: what `train.calibrate` fitted; see `faces.readings.Calibration`.
    """

    def __init__(
        self,
        size: int = 128,
        widths: Iterable[int] = (16, 48, 96, 160),
        depths: Iterable[int] = (0, 1, 2, 2),
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        tasks: Mapping[str, Any] = TASKS,
        fine: int = 0,
        detail: int = 48,
        reader: Iterable[int] = (),
        calibration: Mapping[str, float] | None = None,
    ) -> None:
        widths, depths, reader = list(widths), list(depths), list(reader)
        tasks = {name: [int(count), str(kind)] for name, (count, kind) in tasks.items()}
        super().__init__(
            size=size, widths=widths, depths=depths, width=width, layers=layers, heads=heads, tasks=tasks,
            fine=fine, detail=detail, reader=reader, calibration=calibration,
        )  # fmt: skip
        self.size, self.tasks = size, tasks
        self.encoder = nn.ModuleList(
            nn.Sequential(halving(a, b), *(Residual(b) for _ in range(count)))
            for a, b, count in zip((3, *widths[:-1]), widths, depths, strict=True)
        )
        # Upwards: the last two refined levels carry points (1/4) and maps (1/2).
        self.merge = nn.ModuleList(
            nn.Conv2d(deep + skip, skip, 1) for skip, deep in zip(widths[-2::-1], widths[:0:-1], strict=True)
        )
        self.refine = nn.ModuleList(Residual(skip) for skip in widths[-2::-1])
        grids = [size // 16, size // 8, size // 8]
        self.levels = nn.ModuleList(
            nn.Conv2d(inside, width, 1) for inside in (widths[3], widths[2], widths[1])
        )
        self.places = nn.ParameterList(torch.randn(1, grid**2, width) * 0.02 for grid in grids)
        self.memory_norm = nn.LayerNorm(width)
        self.queries = nn.ParameterDict(
            {
                name: nn.Parameter(torch.randn(count, width) * 0.02)
                for name, (count, kind) in tasks.items()
                if kind != "reader"
            }
        )
        self.decoder = nn.ModuleList(_DecoderLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.value = nn.Linear(width, 1, bias=False)
        self.bias = nn.ParameterDict(
            {
                name: nn.Parameter(torch.zeros(count))
                for name, (count, kind) in tasks.items()
                if kind != "reader"
            }
        )
        self.readers = nn.ModuleDict(
            {
                name: LocalReader(widths[:2], reader, size // 16, count)
                for name, (count, kind) in tasks.items()
                if kind == "reader"
            }
        )
        self.point_kernel = _mlp(width, widths[1])
        self.map_kernel = _mlp(width, fine or widths[0])
        # Brows, lips and frames of glasses are a few pixels high: maps at half the size cannot follow their edges.
        self.detail = _Detail(widths[0], detail, fine) if fine else None

    def forward(self, x: torch.Tensor, tasks: Iterable[str] | None = None) -> dict[str, torch.Tensor]:
        """Look at (n, 3, size, size) in [-1, 1].

        Args:
            x: faces in the canonical frame, or loosely framed.
            tasks: which to answer, all by default.

        Returns:
            For a task of "points" (n, count, 2) as shares of the frame, x then y, and under NAME_log_sigma (n, count)
            the logarithm of the deviation of each in the same unit; of "maps" (n, count, s, s) logits, s being size
            with `fine`, else size / 2 and meant for every other pixel, the first one included;
            of "values" and "reader" (n, count) raw numbers; what a reader says holds in the canonical frame only.
        """
        wanted = {name: self.tasks[name] for name in (self.tasks if tasks is None else tasks)}
        queried = {name: task for name, task in wanted.items() if task[1] != "reader"}
        kinds = {kind for _, kind in queried.values()}
        skips, picture = [], x
        for level in self.encoder if queried else self.encoder[:2]:
            x = level(x)
            skips.append(x)
        out: dict[str, torch.Tensor] = {
            name: self.readers[name](*skips[:2]) for name in wanted if name not in queried
        }
        if not queried:
            return out
        quarter, maps_features = self._upwards(skips, picture, with_maps="maps" in kinds)
        answers = self._decode(skips, quarter, queried)
        for name, (_, kind) in queried.items():
            answer = answers[name]
            value = self.value(answer).squeeze(-1) + self.bias[name]
            if kind == "values":
                out[name] = value
            elif kind == "points":
                maps = torch.einsum("nqc,nchw->nqhw", self.point_kernel(answer), quarter)
                out[name], out[name + "_log_sigma"] = _expectation(maps), value - 2
            else:
                assert maps_features is not None  # computed whenever maps are wanted
                out[name] = torch.einsum("nqc,nchw->nqhw", self.map_kernel(answer), maps_features)
                out[name] = out[name] + self.bias[name][:, None, None]
        return out

    def _upwards(
        self, skips: list[torch.Tensor], picture: torch.Tensor, with_maps: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Features at 1/4 of the size, and those of maps where they are wanted."""
        x, quarter = skips[-1], None
        for merge, refine, skip in zip(self.merge, self.refine, skips[-2::-1], strict=True):
            if quarter is not None and not with_maps:
                return quarter, None
            x = functional.interpolate(x, size=skip.shape[-2:], mode="bilinear", align_corners=False)
            x = refine(merge(torch.cat([x, skip], dim=1)))
            quarter = x if skip is skips[1] else quarter
        assert quarter is not None  # the second level is always among the merged ones
        if self.detail is not None:
            x = self.detail(x, picture)
        return quarter, x

    def _decode(
        self, skips: list[torch.Tensor], quarter: torch.Tensor, wanted: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        """Answers (n, count, width) of the queries of each task."""
        maps = [skips[3], skips[2], functional.avg_pool2d(quarter, 2)]
        memory = torch.cat(
            [
                project(level).flatten(2).transpose(1, 2) + place
                for project, level, place in zip(self.levels, maps, self.places, strict=True)
            ],
            dim=1,
        )
        memory = self.memory_norm(memory)
        counts = [self.tasks[name][0] for name in wanted]
        states = torch.cat([self.queries[name] for name in wanted]).expand(len(memory), -1, -1)
        task = torch.repeat_interleave(
            torch.arange(len(counts)), torch.tensor(counts), output_size=sum(counts)
        ).to(memory.device)
        apart = torch.zeros(len(task), len(task), device=memory.device)
        apart = apart.masked_fill(task[:, None] != task[None], -math.inf).to(memory.dtype)
        for layer in self.decoder:
            states = layer(states, memory, apart)
        return dict(zip(wanted, self.norm(states).split(counts, dim=1), strict=True))


class _DecoderLayer(nn.Module):
    """Cross-attention, then self-attention, then feed-forward, as in Faceptor; norms come first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.cross, self.own = _Attention(width, heads), _Attention(width, heads)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.feed_forward = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, states: torch.Tensor, memory: torch.Tensor, apart: torch.Tensor) -> torch.Tensor:
        states = states + self.cross(self.norms[0](states), memory)
        own = self.norms[1](states)
        states = states + self.own(own, own, apart)
        return states + self.feed_forward(self.norms[2](states))


class _Detail(nn.Module):
    """Maps at the full size from those at half of it and the picture.

    Works at half the size on the picture's pixels in groups of four, and takes its answer apart again (Shi et al. 2016,
    arXiv:1609.05158): as deep at the full size it would cost several times as much.
    """

    def __init__(self, inside: int, width: int, outside: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inside + 12, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.SiLU(),
            Residual(width), Residual(width),
            nn.Conv2d(width, 4 * outside, 3, padding=1, bias=False), nn.PixelShuffle(2),
            nn.BatchNorm2d(outside), nn.SiLU(),
        )  # fmt: skip

    def forward(self, half: torch.Tensor, picture: torch.Tensor) -> torch.Tensor:
        """(n, outside, h, w) from half (n, inside, h / 2, w / 2) and picture (n, 3, h, w)."""
        return self.body(torch.cat([half, functional.pixel_unshuffle(picture, 2)], dim=1))


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_out = nn.Linear(width, width), nn.Linear(width, width)
        self.to_k, self.to_v = nn.Linear(width, width), nn.Linear(width, width)

    def forward(
        self, states: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        query, key, value = (
            project(source).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, source in ((self.to_q, states), (self.to_k, memory), (self.to_v, memory))
        )
        # Plain products: on a CPU the backward pass of the fused kernel takes longer than all the rest.
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        scores = scores if mask is None else scores + mask
        out = scores.softmax(dim=-1) @ value
        return self.to_out(out.transpose(1, 2).flatten(2))


def _mlp(width: int, outside: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, outside))


def _expectation(maps: torch.Tensor) -> torch.Tensor:
    """Mean place (n, q, 2) in shares of the frame under a softmax over maps (n, q, h, w) (Sun et al. 2018)."""
    height, width = maps.shape[-2:]
    weight = maps.float().flatten(2).softmax(dim=-1).view(*maps.shape)
    x = torch.linspace(0.5, width - 0.5, width, device=maps.device) / width
    y = torch.linspace(0.5, height - 0.5, height, device=maps.device) / height
    return torch.stack([(weight.sum(dim=2) * x).sum(dim=-1), (weight.sum(dim=3) * y).sum(dim=-1)], dim=-1)
