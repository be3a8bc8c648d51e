"""The small convolutional networks that look at faces: perception for use, and a judge for evaluation alone."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from faces import vocabulary

CONFIG, WEIGHTS = "config.json", "model.safetensors"


def network_input(images: torch.Tensor) -> torch.Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float32 in [-1, 1], which every network of Mien reads."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


class FaceNetwork(nn.Module):
    """A network that is saved as a config and safetensors (fp16 on disk) and rebuilt from them.

    Args:
        **config: what `save` writes and `load` passes back.
    """

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = config

    def save(self, folder: str | Path) -> None:
        """Write config and fp16 weights into `folder`, each under a temporary name first."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        state = {
            name: (value.half() if value.is_floating_point() else value).contiguous().cpu()
            for name, value in self.state_dict().items()
        }
        description = {"class": type(self).__name__, **self.config}
        part = target / (CONFIG + ".part")
        part.write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        os.replace(part, target / CONFIG)
        part = target / (WEIGHTS + ".part")
        save_file(state, part)
        os.replace(part, target / WEIGHTS)

    @classmethod
    def load(cls, folder: str | Path):
        """Rebuild what `save` wrote, in fp32 and evaluation mode.

        Raises:
            FileNotFoundError: config or weights are missing.
            ValueError: the folder holds another class.
        """
        source = Path(folder)
        for name in (CONFIG, WEIGHTS):
            if not (source / name).is_file():
                raise FileNotFoundError(f"{source / name}: missing; expected a saved {cls.__name__}")
        config = json.loads((source / CONFIG).read_text(encoding="utf-8"))
        kind = config.pop("class")
        if kind != cls.__name__:
            raise ValueError(f"{source}: holds a {kind}, expected a {cls.__name__}")
        network = cls(**config)
        network.load_state_dict(load_file(source / WEIGHTS))
        return network.float().eval()


class Residual(nn.Module):
    """Two 3x3 convolutions around a residual connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (n, width, h, w) to the same shape."""
        hidden = functional.silu(self.norm1(self.first(x)))
        return functional.silu(x + self.norm2(self.second(hidden)))


def halving(inside: int, outside: int) -> nn.Sequential:
    """Strided convolution with norm and activation: half the side."""
    return nn.Sequential(nn.Conv2d(inside, outside, 3, 2, 1, bias=False), nn.BatchNorm2d(outside), nn.SiLU())


class LocalReader(nn.Module):
    """Numbers that depend on a pixel more or less at a known place: lids, nostrils, corners of the mouth.

    A branch from the two finest levels of an encoder. Its last maps are read with weights for every place, which is
    why the face has to be in the canonical frame.

    Args:
        inside: channels of the maps at 1/2 and 1/4 of the picture's size.
        widths: channels of the branch at 1/4, 1/8 and 1/16 of the size, and of its last layer.
        grid: side of the last maps.
        count: of the numbers.
    """

    def __init__(self, inside: Sequence[int], widths: Sequence[int], grid: int, count: int) -> None:
        super().__init__()
        first, second, third, hidden = widths
        self.finest = halving(inside[0], first)
        self.body = nn.Sequential(
            nn.Conv2d(first + inside[1], first, 1, bias=False), nn.BatchNorm2d(first), nn.SiLU(), Residual(first),
            halving(first, second), Residual(second), Residual(second),
            halving(second, third), Residual(third),
            nn.Conv2d(third, third // 2, 1, bias=False), nn.BatchNorm2d(third // 2), nn.SiLU(),
        )  # fmt: skip
        self.hidden = nn.Sequential(
            nn.Linear(third // 2 * grid**2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.SiLU(),
            nn.Dropout(0.2),
        )
        self.answer = nn.Linear(hidden, count)

    def forward(self, half: torch.Tensor, quarter: torch.Tensor) -> torch.Tensor:
        """Answers (n, count) from maps at 1/2 and 1/4 of the size."""
        maps = self.body(torch.cat([self.finest(half), quarter], dim=1))
        return self.answer(self.hidden(maps.flatten(1)))


JUDGE_UNITS = tuple(vocabulary.ACTION_UNITS)
_READ = (len(vocabulary.UNIT_COLUMNS), len(vocabulary.EXPRESSIONS) + 1)
"""Sided action units, and expressions with one for none of them: what the judge's reader answers."""


class JudgeNet(FaceNetwork):
    """Scores generated faces: identity embedding and attributes. Never guides, filters or trains a generator.

    Args:
        size: of the input in pixels.
        widths: channels of the trunk's levels.
        embedding: of the identity.
        reader: widths of a `LocalReader` of sided action units and expressions in any pose; empty for none.
    """

    def __init__(
        self,
        size: int = 128,
        widths: tuple[int, ...] = (24, 48, 96, 160),
        embedding: int = 128,
        reader: tuple[int, ...] = (),
    ) -> None:
        super().__init__(size=size, widths=list(widths), embedding=embedding, reader=list(reader))
        inside = (3, *widths[:-1])
        depth = (1, 2, 2, 2)
        self.trunk = nn.Sequential(
            *(
                nn.Sequential(halving(a, b), *(Residual(b) for _ in range(count)))
                for a, b, count in zip(inside, widths, depth, strict=True)
            )
        )
        features = 256
        self.head = nn.Sequential(nn.Linear(widths[-1] * 16, features), nn.BatchNorm1d(features), nn.SiLU())
        self.identity = nn.Sequential(nn.Linear(widths[-1] * 16, embedding), nn.BatchNorm1d(embedding))
        self.attributes = nn.ModuleDict(
            {
                "expression": nn.Linear(features, len(vocabulary.EXPRESSIONS)),
                "pose": nn.Linear(features, 3),
                "hair_colour": nn.Linear(features, len(vocabulary.HAIR_COLOURS)),
                "hair_style": nn.Linear(features, len(vocabulary.HAIR_STYLES)),
                "age": nn.Linear(features, 1),
                "gender": nn.Linear(features, 1),
                "skin_tone": nn.Linear(features, 1),
                "au": nn.Linear(features, len(JUDGE_UNITS)),
            }
        )
        self.reader = LocalReader(widths[:2], reader, size // 16, sum(_READ)) if reader else None

    def forward(self, x: torch.Tensor, read: bool = True) -> dict[str, torch.Tensor]:
        """Look at aligned portraits (n, 3, size, size) in [-1, 1].

        Args:
            x: the portraits.
            read: with the reader, where there is one; it takes half of the time.

        Returns:
            embedding: (n, 128), unit length; features: (n, 256).
            expression, hair_colour, hair_style: logits over the tuples of `faces.vocabulary`.
            pose: (n, 3) yaw, pitch, roll in degrees; age: (n,) years; gender: (n,) logit of the male morphs;
            skin_tone: (n,) 0..1; au: (n, units) intensities of `JUDGE_UNITS`. With a reader also units: (n, 26)
            intensities of `vocabulary.UNIT_COLUMNS`; shown: (n, 9) logits of the expressions and of none of them.
        """
        levels = []
        for level in self.trunk:
            x = level(x)
            levels.append(x)
        maps = functional.adaptive_avg_pool2d(x, 4).flatten(1)
        features = self.head(maps)
        out = {name: layer(features) for name, layer in self.attributes.items()}
        out["pose"] = out["pose"] * 30
        out["age"] = (out["age"] * 20 + 45).squeeze(-1)
        for name in ("gender", "skin_tone"):
            out[name] = out[name].squeeze(-1)
        out["embedding"] = functional.normalize(self.identity(maps), dim=-1)
        if read and self.reader is not None:
            out |= _named(self.reader(*levels[:2]))
        return out | {"features": features}

    def read(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """What the reader sees in (n, 3, size, size), without the rest of the trunk; ValueError without a reader."""
        if self.reader is None:
            raise ValueError("this judge has no reader of action units; train one with `train judge_reader`")
        half = self.trunk[0](x)
        return _named(self.reader(half, self.trunk[1](half)))


def _named(read: torch.Tensor) -> dict[str, torch.Tensor]:
    units, shown = read.split(_READ, dim=1)
    return {"units": units, "shown": shown}
