"""What all pipelines of Mien share: the names of bundled models, published checkpoints, records of origin."""

from __future__ import annotations

import hashlib
import inspect
import os
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor

import weights
from faces.provenance import GENERATED, Provenance, prompt_hash
from pipelines.portrait.arguments import check_noise


class FacePipeline(DiffusionPipeline):
    """A `DiffusionPipeline` that finds bundled weights by name."""

    _bundled = "mini"
    """Folder of `weights` that "mini" means."""

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None = "mini", **kwargs: Any):
        """Load "mini" (comes with Mien), a folder or a hub id.

        Args:
            pretrained_model_name_or_path: where the weights are.
            **kwargs: as for `DiffusionPipeline.from_pretrained`.

        Raises:
            FileNotFoundError: a bundled model that this installation lacks.
        """
        source = str(pretrained_model_name_or_path)
        if source == "mini" and not Path(source).is_dir():
            source = str(weights.bundled(cls._bundled))
        # Weights are stored in half precision; without this transformers would compute in it as well.
        if not {"torch_dtype", "dtype"} & kwargs.keys():
            kwargs["dtype"] = torch.float32
        return super().from_pretrained(source, **kwargs)

    @classmethod
    def from_published(cls, base: str | os.PathLike, files: Any, **kwargs: Any):
        """Load a checkpoint as its authors published it, on top of the model `base` that it was trained for.

        Args:
            base: folder or hub id of the base model.
            files: the published files.
            **kwargs: as for `from_pretrained`.
        """
        raise ValueError(f"{cls.__name__}: no checkpoint of another project is known for this pipeline")

    def weights_sha256(self) -> str:
        """Hash of all weights as they are in memory: names, types and bytes. Takes seconds for large models."""
        digest = hashlib.sha256()
        for name, module in sorted(self.components.items()):
            if not isinstance(module, torch.nn.Module):
                continue
            for key, value in sorted(module.state_dict().items()):
                digest.update(f"{name}.{key} {value.dtype} {tuple(value.shape)}\n".encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def provenance(
        self, *, seed: int | None = None, steps: int | None = None, prompt: str | None = None, **extra: Any
    ) -> Provenance:
        """Record of how a picture was made, for `faces.provenance.save_image`.

        Args:
            seed: of the picture's generator.
            steps: of the scheduler.
            prompt: recorded as its hash.
            **extra: further facts of JSON types.
        """
        return Provenance(
            digital_source_type=GENERATED,
            pipeline=type(self).__name__,
            model=Path(self.config.get("_name_or_path") or "unnamed").name,
            model_sha256=self.weights_sha256(),
            seed=seed,
            steps=steps,
            prompt_sha256=None if prompt is None else prompt_hash(prompt),
            extra={"scheduler": type(self.scheduler).__name__} | extra,
        )

    @property
    def num_timesteps(self) -> int:
        """Of the call in progress."""
        return self._num_timesteps

    @property
    def interrupt(self) -> bool:
        """Whether a callback has set `_interrupt` to skip the remaining steps."""
        return self._interrupt

    def _initial_latents(
        self,
        shape: tuple[int, ...],
        generator: torch.Generator | list[torch.Generator] | None,
        latents: torch.Tensor | None,
    ) -> torch.Tensor:
        """Draw noise of a shape, or take the caller's, at the level that the scheduler starts from."""
        check_noise(latents, generator, shape)
        device, dtype = self._execution_device, self.unet.dtype
        if latents is None:
            latents = randn_tensor(shape, generator=generator, device=device, dtype=dtype)
        return latents.to(device, dtype) * self.scheduler.init_noise_sigma

    def _step_kwargs(self, eta: float, generator: Any) -> dict[str, Any]:
        accepted = inspect.signature(self.scheduler.step).parameters
        return {name: x for name, x in {"eta": eta, "generator": generator}.items() if name in accepted}
