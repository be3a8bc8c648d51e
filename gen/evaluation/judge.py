"""The judge: a network that scores generation and never takes part in it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import torch
from safetensors.torch import load_file

from faces import vocabulary
from faces.networks import WEIGHTS, network_input
from faces.readings import softmax
from gen.evaluation import testdata

if TYPE_CHECKING:
    from torch import nn

    from faces.networks import JudgeNet

SIZE = 128
"""Side of the canonical frame that the judge reads, px."""
_BATCH = 64
_SMALLEST_WEIGHT = 64


class JudgeIsNotIndependent(ValueError):  # noqa: N818 - it reads as what happened
    """A network of the generator holds weights of the judge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measurements:
    """What the judge sees in n images."""

    embedding: np.ndarray
    """(n, e) unit-norm identity."""
    features: np.ndarray
    """(n, f) for distances between sets."""
    expression: np.ndarray
    """(n,) names of `vocabulary.EXPRESSIONS`."""
    pose: np.ndarray
    """(n, 3) yaw, pitch, roll in degrees."""
    hair_colour: np.ndarray
    """(n,) names of `vocabulary.HAIR_COLOURS`."""
    age: np.ndarray
    """(n,) years."""
    action_units: np.ndarray
    """(n, a) intensities."""
    units: np.ndarray | None = None
    """(n, k) intensities of `vocabulary.UNIT_COLUMNS`, sides apart; None where no reader looked."""
    shown: np.ndarray | None = None
    """(n, 9) probabilities of `vocabulary.EXPRESSIONS` and of none of them, in any pose; None like `units`."""

    def __getitem__(self, items: np.ndarray | slice) -> Measurements:
        """Take some of the images."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        chosen: dict[str, Any] = {name: x if x is None else x[items] for name, x in values.items()}
        return Measurements(**chosen)

    def __len__(self) -> int:
        """Count the images."""
        return len(self.age)


class Judge:
    """Measures images in the canonical frame."""

    def __init__(self, network: nn.Module, device: str | torch.device = "cpu") -> None:
        """Take a network with the forward contract of `faces.networks.JudgeNet`."""
        self.network = network.eval().to(device)
        self.device = device

    @classmethod
    def bundled(cls, device: str | torch.device = "cpu") -> Judge:
        """Load the judge of the clone; raises as `folder` does."""
        from faces.networks import JudgeNet

        return cls(JudgeNet.load(folder()), device)

    @torch.inference_mode()
    def measure(self, images: np.ndarray, read: bool = False) -> Measurements:
        """Measure images (n, h, w, 3) uint8, aligned to the canonical frame; other sizes are resized.

        With `read` the reader looks too, for `units` and `shown`; that takes most of the time.
        """
        parts: list[dict[str, np.ndarray]] = []
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(_resized(images[start : start + _BATCH])).to(self.device)
            pixels = network_input(batch)
            output = self.network(pixels, read)
            if "units" in output:
                output |= self._on_both_sides(output, pixels)
            parts.append({name: value.float().cpu().numpy() for name, value in output.items()})
        if not parts:
            raise ValueError("judge: no image to measure")
        return _named({name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def _on_both_sides(
        self, output: dict[str, torch.Tensor], pixels: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Action units and expressions as the mean of a face and its mirror image: less noise, no favoured side."""
        mirrored = cast("JudgeNet", self.network).read(pixels.flip(-1))
        swapped = torch.from_numpy(vocabulary.flip_units(np.arange(len(vocabulary.UNIT_COLUMNS))))
        shown = torch.stack([output["shown"], mirrored["shown"]]).float().softmax(dim=-1).mean(dim=0)
        return {
            "units": (output["units"] + mirrored["units"][:, swapped.to(pixels.device)]) / 2,
            "shown": shown.clamp(min=1e-9).log(),
        }


def folder() -> Path:
    """Find the folder of the judge: tests/data/judge of the clone.

    Raises:
        FileNotFoundError: naming the places searched and what to do.
    """
    return testdata.find("judge", "judge", file=WEIGHTS, how="clone the whole repository")


def require_independent(judge: nn.Module, components: Mapping[str, object]) -> None:
    """Assert that no network used in generation shares a weight tensor with the judge.

    Weights are compared by SHA-256 of their values in float16, the precision they ship in, so a copy under
    another name, in another file or another precision is found too.

    Args:
        judge: the judge's network.
        components: name -> component of the generator; those that are no networks are passed over.

    Raises:
        JudgeIsNotIndependent: naming the component and the shared tensors.
    """
    own = fingerprints(judge.state_dict().items())
    for name, component in components.items():
        if isinstance(component, torch.nn.Module):
            _refuse_shared(own, fingerprints(component.state_dict().items()), name)


def require_independent_files(judge: nn.Module, folder: Path) -> None:
    """Assert the same of every *.safetensors file of a model folder; raises as `require_independent` does."""
    own = fingerprints(judge.state_dict().items())
    for path in sorted(folder.rglob("*.safetensors")):
        _refuse_shared(own, fingerprints(load_file(path).items()), path.relative_to(folder).as_posix())


def fingerprints(tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, str]:
    """Map SHA-256 of the values of every weight to its name; constants and tiny ones say nothing."""
    digests = {}
    for name, tensor in tensors:
        if tensor.numel() < _SMALLEST_WEIGHT or not tensor.is_floating_point():
            continue
        values = tensor.detach().to("cpu", torch.float16).contiguous()
        if values.min() != values.max():
            digests[hashlib.sha256(values.numpy().tobytes()).hexdigest()] = name
    return digests


def _refuse_shared(own: Mapping[str, str], other: Mapping[str, str], name: str) -> None:
    shared = own.keys() & other.keys()
    if shared:
        tensors = ", ".join(sorted(own[digest] for digest in shared)[:3])
        raise JudgeIsNotIndependent(
            f"{name}: holds {len(shared)} weights of the judge ({tensors}); "
            "what guides generation must not score it"
        )


def _resized(images: np.ndarray) -> np.ndarray:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(f"judge: images are {images.dtype} {images.shape}, not uint8 (n, h, w, 3)")
    if images.shape[1:3] == (SIZE, SIZE):
        return images
    shrinks = images.shape[1] > SIZE
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.stack([cv2.resize(image, (SIZE, SIZE), interpolation=method) for image in images])


def _named(output: dict[str, np.ndarray]) -> Measurements:
    return Measurements(
        embedding=output["embedding"],
        features=output["features"],
        expression=np.array(vocabulary.EXPRESSIONS)[output["expression"].argmax(axis=1)],
        pose=output["pose"],
        hair_colour=np.array(vocabulary.HAIR_COLOURS)[output["hair_colour"].argmax(axis=1)],
        age=output["age"].reshape(-1),
        action_units=output["au"],
        units=output.get("units"),
        shown=softmax(output["shown"]) if "shown" in output else None,
    )
