"""How the denoiser of textures is asked: the loops over noise that complete and refine.

Both keep the known texels by setting them in every answer of the denoiser, which is the clean texture; with RePaint
(Lugmayr et al. 2022, arXiv:2201.09865) they are set in what is noisy instead, and the denoiser knows nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import RePaintScheduler
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.utils.torch_utils import randn_tensor

from pipelines.pixels import fold, unfold
from pipelines.texture.conditioning import FOLD, condition, unconditional
from pipelines.texture.layout import UVLayout
from pipelines.texture.manifold import TextureManifold

Generators = torch.Generator | list[torch.Generator] | None
Callback = Callable | PipelineCallback | MultiPipelineCallbacks | None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Shown:
    """What the denoiser and the loops know of textures, on the pipeline's device; folded and in its type."""

    condition: torch.Tensor
    """(n, CONDITION_CHANNELS, s / FOLD, s / FOLD)."""
    known: torch.Tensor
    """(n, TEXTURE_CHANNELS, s / FOLD, s / FOLD), the texture less the base, in units of the noise, where pinned."""
    pinned: torch.Tensor
    """The same shape, bool."""
    base: torch.Tensor
    """(n, 3, s, s) float32 in [-1, 1], what the manifold makes of the known texels; not folded."""


class TextureDenoisingMixin:
    """Draws textures; the parts are those of `TexturePipeline`."""

    unet: Any
    scheduler: Any
    manifold: TextureManifold
    layout: UVLayout
    interrupt: bool
    progress_bar: Any
    _execution_device: torch.device
    _step_kwargs: Any
    _initial_latents: Any
    _called_back: Any
    _num_timesteps: int

    def show(
        self,
        known: torch.Tensor,
        weight: torch.Tensor,
        pinned: torch.Tensor,
        *,
        conditional: bool = True,
        generator: Generators = None,
    ) -> Shown:
        """Prepare what is known of textures for the loops.

        Args:
            known: (n, 3, s, s) in [-1, 1].
            weight: (n, 1, s, s) in 0..1.
            pinned: (n, 1, s, s) bool, which of the known texels the loops keep.
            conditional: False shows the denoiser nothing beside the base, as RePaint does.
            generator: one, or one a texture: draws the base of textures of which nothing is known.
        """
        device, dtype = self._execution_device, self.unet.dtype
        known, weight = known.to(device, torch.float32), weight.to(device, torch.float32)
        base = self.base(known, weight, generator)
        rest = (known - base) / self.manifold.unit
        given = condition(rest, weight, base - self.mean_texture(), self.layout)
        pinned = pinned.to(device).expand(-1, 3, -1, -1)
        return Shown(
            condition=(given if conditional else unconditional(given)).to(dtype),
            known=fold(torch.where(pinned, rest, 0), FOLD).to(dtype),
            pinned=fold(pinned.float(), FOLD) > 0,
            base=base,
        )

    def base(self, known: torch.Tensor, weight: torch.Tensor, generator: Generators = None) -> torch.Tensor:
        """What the manifold makes of textures: the likeliest one, or any where nothing is known.

        Args:
            known: (n, 3, s, s) in [-1, 1].
            weight: (n, 1, s, s) in 0..1.
            generator: one, or one a texture.

        Returns:
            (n, 3, s, s) float32, about in [-1, 1].
        """
        found = self.manifold.fit(known, weight)
        unknown = (weight == 0).flatten(1).all(dim=1)
        if unknown.any():
            drawn = randn_tensor(found.shape, generator=generator, device=found.device, dtype=found.dtype)
            found = torch.where(unknown[:, None], drawn, found)
        return self.manifold.decode(found, self.layout.size)

    def mean_texture(self) -> torch.Tensor:
        """(3, s, s) in [-1, 1], on the pipeline's device."""
        return self.manifold.mean_texture(self.layout.size).to(self._execution_device)

    @torch.no_grad()
    def complete(
        self,
        shown: Shown,
        *,
        num_inference_steps: int = 8,
        temperature: float = 0.3,
        eta: float = 0.0,
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        callback: Callback = None,
        callback_inputs: Sequence[str] = ("latents",),
    ) -> torch.Tensor:
        """Generate textures from noise around what is known.

        Args:
            shown: of `show`.
            num_inference_steps: of the scheduler.
            temperature: scale of the noise, 0..1: at 1 textures are as different as those of people are, at 0 the most
                likely one comes out (low-temperature sampling: Kingma and Dhariwal 2018, section 6).
            eta: of schedulers that take it.
            generator: one, or one a texture.
            latents: the noise, the shape of `shown.known`, instead of drawing it.
            callback: as `callback_on_step_end` of the call.
            callback_inputs: tensors that it sees.

        Returns:
            (n, 3, s, s) float32, about in [-1, 1].
        """
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        latents = temperature * self._initial_latents(tuple(shown.known.shape), generator, latents)
        kwargs = self._step_kwargs(eta, generator)
        latents = self._descend(
            latents, self.scheduler.timesteps, shown, kwargs, callback, callback_inputs, first=0
        )
        return self._textures(latents, shown)

    @torch.no_grad()
    def refine(
        self,
        texture: torch.Tensor,
        shown: Shown,
        *,
        strength: float = 0.3,
        num_inference_steps: int = 8,
        temperature: float = 0.3,
        eta: float = 0.0,
        generator: Generators = None,
        callback: Callback = None,
        callback_inputs: Sequence[str] = ("latents",),
    ) -> torch.Tensor:
        """Add a little noise to textures and take it off again: the third stage of AvatarTex (arXiv:2511.06721).

        Args:
            texture: (n, 3, s, s) in [-1, 1].
            shown: of `show`.
            strength: share of the steps that is done, 0..1; below one step the texture is returned as it is.
            num_inference_steps: of the scheduler, for a strength of 1.
            temperature: scale of the noise, as of `complete`.
            eta: of schedulers that take it.
            generator: one, or one a texture.
            callback: as `callback_on_step_end` of the call; its steps go on from those of `complete`.
            callback_inputs: tensors that it sees.

        Returns:
            (n, 3, s, s) float32, about in [-1, 1].
        """
        count = min(round(num_inference_steps * strength), num_inference_steps)
        if count < 1:
            return texture
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        skipped = (num_inference_steps - count) * self.scheduler.order
        times = self.scheduler.timesteps[skipped:]
        if hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(skipped)
        rest = (texture.to(self._execution_device) - shown.base) / self.manifold.unit
        clean = fold(rest, FOLD).to(self.unet.dtype)
        noise = randn_tensor(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
        latents = self.scheduler.add_noise(clean, temperature * noise, times[:1].repeat(len(clean)))
        latents = self._descend(
            latents,
            times,
            shown,
            self._step_kwargs(eta, generator),
            callback,
            callback_inputs,
            first=num_inference_steps * self.scheduler.order,
        )
        return self._textures(latents, shown)

    @torch.no_grad()
    def repaint(
        self,
        shown: Shown,
        *,
        num_inference_steps: int = 50,
        jump: tuple[int, int] = (5, 3),
        generator: Generators = None,
        latents: torch.Tensor | None = None,
        callback: Callback = None,
        callback_inputs: Sequence[str] = ("latents",),
    ) -> torch.Tensor:
        """Generate textures from noise by RePaint: the pinned texels are all that the unconditional model is told.

        Args:
            shown: of `show` with conditional=False; its pinned texels are known, all others are not.
            num_inference_steps: before resampling.
            jump: steps that resampling goes back, and how often each stretch is walked (figure 9 of the paper).
            generator: one, or one a texture.
            latents: as for `complete`.
            callback: as for `complete`, called after steps towards less noise.
            callback_inputs: tensors that it sees.

        Returns:
            (n, 3, s, s) float32, about in [-1, 1].
        """
        scheduler = self._repaint_scheduler()
        length, times = jump
        scheduler.set_timesteps(num_inference_steps, length, times, device=self._execution_device)
        stride = scheduler.config.num_train_timesteps // scheduler.num_inference_steps
        latents = self._initial_latents(tuple(shown.known.shape), generator, latents)
        # Its scheduler starts at a deviation of 1. At the end half precision cannot tell noise from an answer.
        latents = latents.float() / self.scheduler.init_noise_sigma
        known, pinned = shown.known.float(), shown.pinned.float()
        walk = [int(t) for t in scheduler.timesteps]
        self._num_timesteps = len(walk)
        last, step = walk[0] + 1, 0
        with self.progress_bar(total=len(walk)) as progress_bar:
            for t in walk:
                if self.interrupt:
                    continue
                if t < last:
                    predicted = self._answer(latents, scheduler.timesteps.new_tensor(t), shown.condition)
                    noise = _noise_in(latents, predicted.float(), scheduler.alphas_cumprod[t])
                    latents = scheduler.step(noise, t, latents, known, pinned, generator, return_dict=False)[
                        0
                    ]
                    latents = self._called_back(callback, callback_inputs, step, t, latents)
                    step += 1
                else:
                    # `last` has been left already: noise is added from the level below it.
                    latents = scheduler.undo_step(latents, max(last - stride + 1, 0), generator)
                last = t
                progress_bar.update()
        return self._textures(latents, shown)

    def _repaint_scheduler(self) -> RePaintScheduler:
        """That of the noise which the pipeline's scheduler has, with the paper's steps (those of DDPM)."""
        names = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")
        given = {name: self.scheduler.config[name] for name in names}
        return RePaintScheduler(**given, eta=1.0, clip_sample=False)

    def _descend(
        self,
        latents: torch.Tensor,
        times: torch.Tensor,
        shown: Shown,
        step_kwargs: dict[str, Any],
        callback: Callback,
        callback_inputs: Sequence[str],
        *,
        first: int,
    ) -> torch.Tensor:
        """Take the noise off latents; `first` is the number of the first step."""
        self._num_timesteps = first + len(times)
        with self.progress_bar(total=len(times)) as progress_bar:
            for i, t in enumerate(times):
                if self.interrupt:
                    continue
                noisy = self.scheduler.scale_model_input(latents, t)
                predicted = self._answer(noisy, t, shown.condition)
                predicted = torch.where(shown.pinned, shown.known, predicted)
                latents = self.scheduler.step(predicted, t, latents, **step_kwargs, return_dict=False)[0]
                latents = self._called_back(callback, callback_inputs, first + i, t, latents)
                progress_bar.update()
        return latents

    def _answer(self, noisy: torch.Tensor, t: torch.Tensor, given: torch.Tensor) -> torch.Tensor:
        sample = torch.cat([noisy.to(given), given], dim=1)
        return self.unet(sample, t, return_dict=False)[0]

    def _textures(self, latents: torch.Tensor, shown: Shown) -> torch.Tensor:
        """(n, 3, s, s) float32 of latents (n, TEXTURE_CHANNELS, s / FOLD, s / FOLD)."""
        return unfold(latents.float(), FOLD) * self.manifold.unit + shown.base


def _noise_in(noisy: torch.Tensor, clean: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
    """The noise of a sample, where the denoiser answers with what is clean: RePaint's scheduler asks for that."""
    signal = signal.to(noisy)
    return (noisy - signal.sqrt() * clean) / (1 - signal).sqrt()
