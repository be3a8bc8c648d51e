"""What a task is: everything the loop needs to know about one trainable thing. One module a task.

A task module holds a frozen config dataclass with a `kind`, and a class derived from `Task`:

    @dataclass(frozen=True, kw_only=True, slots=True)
    class VaeConfig:
        kind: ClassVar[str] = "vae"
        shards: Path = Path("data/heads")
        channels: int = 12
        adversarial_weight: float = 0.1

    class VaeTask(Task):
        Config = VaeConfig

        def build(self):                                  # seeded before the call; everything trainable
            return nn.ModuleDict({"vae": make_vae(self.config), "judge": make_discriminator()})

        def dataset(self):                                # map-style: index -> dict of arrays
            return ShardDataset(self.config.shards, fields=("image",))

        def loss(self, model, batch, draws):              # any parts of the model, called in any order
            image = batch["image"].movedim(-1, 1) / 127.5 - 1.0             # (n, 3, h, w)
            latents = encode(model["vae"], image, noise=draws.normal(12, 16, 16))
            fake = model["vae"].decode(latents).sample
            with frozen(model["judge"]):                  # gradients reach the picture, not the judge
                fool = -model["judge"](fake).mean()
            both = model["judge"](torch.cat([image, fake.detach()]))        # gradients reach the judge alone
            judge = hinge(*both.chunk(2))
            rebuild = (fake - image).abs().mean()
            weight = self.config.adversarial_weight * (draws.step > 2000)
            return rebuild + weight * fool + judge, {"rebuild": rebuild, "judge": judge}

        def parameter_groups(self, model):                # own learning rate, betas, clipping for the judge
            return [{"params": model["vae"].parameters()},
                    {"params": model["judge"].parameters(), "lr": 2e-4, "betas": (0.5, 0.9)}]

        def validate(self, model, step, folder): ...      # writes folder/step-00001000.png, returns numbers
        def export(self, model, folder): model["vae"].save_pretrained(folder)

and one line in REGISTRY. An adversary is part of the model with a parameter group of its own; both sides
take their gradients from one backward pass, so the loop stays one optimizer and one forward a step.
"""

from __future__ import annotations

import importlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn

from train.draws import Draws
from train.overrides import ConfigError

Batch = dict[str, Any]
Groups = Sequence[Mapping[str, Any]]

REGISTRY: dict[str, str] = {
    "vae": "train.tasks.vae:VaeTask",
    "encoder": "train.tasks.encoder:EncoderTask",
    "perception": "train.tasks.perception:PerceptionTask",
    "perception_reader": "train.tasks.perception_reader:PerceptionReaderTask",
    "judge": "train.tasks.judge:JudgeTask",
    "judge_reader": "train.tasks.judge_reader:JudgeReaderTask",
    "age": "train.tasks.age:AgeTask",
    "portrait": "train.tasks.portrait:PortraitTask",
    "expression": "train.tasks.expression:ExpressionTask",
    "makeup": "train.tasks.makeup:MakeupTask",
    "flow": "train.tasks.flow:FlowTask",
    "drag": "train.tasks.drag:DragTask",
    "texture": "train.tasks.texture:TextureTask",
    "calibrator": "train.tasks.calibrator:CalibratorTask",
}
"Kind of a task -> module:class, imported only when the task is used."


class Task(Protocol):
    """One trainable thing. Frozen helper networks live on the task, not in the model that `build` returns."""

    Config: ClassVar[type]
    "The config dataclass, with the class attribute `kind`."
    card: ClassVar[Mapping[str, str]] = {}
    "Texts for the model card: any of summary, data, data_licence, licence, intended_use, limits."
    config: Any
    "The task's own settings."

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def build(self) -> nn.Module:
        """Return one module with everything trainable; torch's generator is seeded with the run's seed."""

    @abstractmethod
    def dataset(self) -> Any:
        """Return a map-style dataset: len() and [index] -> dict of numbers, numpy arrays or tensors."""

    @abstractmethod
    def loss(
        self, model: nn.Module, batch: Batch, draws: Draws
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the scalar to minimise, a mean over samples, and detached scalars to log.

        Args:
            model: What `build` returned.
            batch: The collated samples, on the device.
            draws: All randomness of the loss, a row a sample. `draws.step` is the optimizer step.
        """

    @abstractmethod
    def validate(self, model: nn.Module, step: int, folder: Path) -> dict[str, float]:
        """Measure the averaged weights without gradients; write pictures named after `step` to `folder`."""

    @abstractmethod
    def export(self, model: nn.Module, folder: Path) -> None:
        """Write the averaged weights as safetensors into `folder`, as `from_pretrained` reads them."""

    def place(self, device: torch.device) -> None:
        """Move frozen helpers to the device; called once, after `build` and before `dataset`, which may use them."""

    def sample(self, dataset: Any, index: int, rng: np.random.Generator) -> dict[str, Any]:
        """Return one training sample; override for augmentation or pairs, drawing from `rng` only."""
        return dataset[index]

    def parameter_groups(self, model: nn.Module) -> Groups:
        """Return the optimizer's groups: "params" and any of "name", "lr", "betas", "eps", "weight_decay".

        Every group is clipped apart. Biases and norms are taken out of the weight decay afterwards.
        """
        return [{"params": list(model.parameters())}]


@contextmanager
def frozen(module: nn.Module) -> Iterator[nn.Module]:
    """Run `module` on values that need gradients without giving gradients to its own parameters."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield module
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)


def register(kind: str, target: str) -> None:
    """Add a task of another package, `target` being "module:class"."""
    if REGISTRY.get(kind, target) != target:
        raise ConfigError(
            f"task kind {kind!r} is already {REGISTRY[kind]}; choose another kind than for {target}"
        )
    REGISTRY[kind] = target


def task_class(kind: str) -> type[Task]:
    """Import and return the task class of a kind; ConfigError when there is none."""
    if kind not in REGISTRY:
        raise ConfigError(f"unknown task kind {kind!r}; known: {', '.join(sorted(REGISTRY))}")
    module, _, name = REGISTRY[kind].partition(":")
    return getattr(importlib.import_module(module), name)


def make_task(config: Any) -> Task:
    """Return the task that a task config describes."""
    return task_class(config.kind)(config)
