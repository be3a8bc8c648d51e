"""From what a face shall wear to what the denoiser is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from faces.images import ImageSource
from faces.makeup import MakeupLook
from pipelines.makeup import looks
from pipelines.makeup.modules import MakeupAdapter, MakeupEncoder
from pipelines.portrait import references


class LookEncodingMixin:
    """What `MakeupPipeline` does before it draws: states of references, codes, tokens, questions."""

    unet: Any
    image_encoder: Any
    adapter: MakeupAdapter
    makeup_encoder: MakeupEncoder | None
    feature_extractor: Any
    analyzer: Any
    _execution_device: torch.device

    @torch.no_grad()
    def encode_look(self, makeup: Any) -> torch.Tensor:
        """Codes of looks, to be stored, compared, searched and interpolated (see `pipelines.makeup.modules`).

        Args:
            makeup: a photograph or a `MakeupLook`, or a list of them.

        Returns:
            (n, C) float32 of length 1 on the CPU.

        Raises:
            ValueError: the model has no makeup encoder; ImageError: an unusable picture.
        """
        encoder = self._encoder()
        rows = []
        for one in makeup if isinstance(makeup, list) else [makeup]:
            if isinstance(one, MakeupLook):
                rows.append(encoder.encode_looks([one]))
            else:
                rows.append(encoder(self.reference_states(self._reference_frames([one]))))
        return torch.cat(rows).float().cpu()

    def _encoder(self) -> MakeupEncoder:
        if self.makeup_encoder is None:
            raise ValueError("makeup: this checkpoint has no makeup encoder, so it takes photographs alone")
        return self.makeup_encoder

    def _reference_frames(self, images: Sequence[ImageSource]) -> np.ndarray:
        return np.stack([references.open_reference(image, self.analyzer).frame for image in images])

    def reference_states(self, frames: np.ndarray | None, blank: int = 0) -> tuple[torch.Tensor, ...]:
        """States of the image encoder, after each layer, of canonical frames (n, S, S, 3) uint8.

        Args:
            frames: references; None for `blank` empty ones, which mean no makeup in particular.
            blank: how many.
        """
        processor, device, dtype = self.feature_extractor, self._execution_device, self.image_encoder.dtype
        if frames is None:
            side = references.image_size(processor)
            pixels = torch.zeros(blank, 3, side, side)
        elif self.adapter.config.framing == "face":
            pixels = references.frame_pixels(frames, processor)
        else:
            pixels = references.photo_pixels(frames, processor)
        return self.image_encoder(pixels.to(device, dtype), output_hidden_states=True).hidden_states

    def encode_makeup(self, makeup: Any, aligned: bool = False) -> torch.Tensor:
        """Tokens (1, T, D) of one look that is no blend.

        Args:
            makeup: a photograph, a `MakeupLook`, a code (C,), or None for "as it is".
            aligned: photographs are canonical frames already.
        """
        if makeup is None:
            return self.adapter(self.reference_states(None, blank=1))
        if isinstance(makeup, MakeupLook):
            return self._code_tokens(self._encoder().encode_looks([makeup]))
        if looks.is_code(makeup):
            code = torch.as_tensor(makeup, dtype=torch.float32)[None]
            width = self._encoder().config.code_dim
            if code.shape[1] != width or not torch.isfinite(code).all() or not code.any():
                raise ValueError(
                    f"makeup: code {tuple(code.shape[1:])}, expected {width} finite numbers, not all 0"
                )
            return self._code_tokens(functional.normalize(code, dim=1))
        frames = np.asarray(makeup)[None] if aligned else self._reference_frames([makeup])
        return self.adapter(self.reference_states(frames))

    def _code_tokens(self, codes: torch.Tensor) -> torch.Tensor:
        encoder = self._encoder()
        return encoder.tokens(codes.to(encoder.device, encoder.dtype))

    def prepare_conditions(
        self, makeup: Sequence[Any], strength: Sequence[float], aligned: bool = False
    ) -> tuple[list[tuple[torch.Tensor, torch.Tensor | None]], list[torch.Tensor]]:
        """What the denoiser is asked, and how its answers are summed.

        Guidance (Ho and Salimans 2022) from "as it is" towards the looks, all with weights of one sum; questions
        whose weight is 0 for every face are not asked.

        Returns:
            Tokens (n, T, D) and their mask for each question; weights (n,) of each, which sum to 1.
        """
        split = [looks.parts(one) for one in makeup]
        slots = max(len(shares) for _, shares in split)
        device, dtype = self._execution_device, self.unet.dtype
        cache: dict[int, torch.Tensor] = {}

        def tokens_of(look: Any) -> torch.Tensor:
            if id(look) not in cache:
                cache[id(look)] = self.encode_makeup(look, aligned).to(device, dtype)
            return cache[id(look)]

        questions, weights = [], []
        for slot in range(slots):
            # A face with fewer looks than others asks its first again, for nothing.
            chosen = [found[slot] if slot < len(found) else found[0] for found, _ in split]
            share = [shares[slot] if slot < len(shares) else 0.0 for _, shares in split]
            questions.append([tokens_of(look) for look in chosen])
            weights.append([s * k for s, k in zip(share, strength, strict=True)])
        if any(one != 1 for one in strength):
            questions.append([tokens_of(None)] * len(makeup))
            weights.append([1 - one for one in strength])
        return [looks.padded(rows) for rows in questions], [
            torch.tensor(row, device=device) for row in weights
        ]
