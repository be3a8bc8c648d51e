"""How the portrait pipeline gets to know a person: from pictures, frames, or an embedding."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from faces import vocabulary
from faces.images import ImageSource
from pipelines.portrait import references
from pipelines.portrait.conditioning import IdentityConditioning
from pipelines.portrait.modules import IdentityConditioner
from pipelines.portrait.references import FaceEmbedder, Reference


class IdentityEncoderMixin:
    """Encodes people for a pipeline that has `conditioner`, `image_encoder` and `feature_extractor`."""

    conditioner: IdentityConditioner
    image_encoder: Any
    feature_extractor: Any
    analyzer: Any = None
    """Finds the face in a picture; `faces.analysis.FaceAnalyzer`, loaded with the first picture unless set."""
    face_embedder: FaceEmbedder | None = None
    """Embeds people for checkpoints that were trained with an embedder other than their image encoder."""

    @torch.no_grad()
    def encode_identity(self, images: ImageSource | Sequence[Any]) -> IdentityConditioning:
        """Look at reference pictures: find the face, embed it, encode it and its parts.

        Args:
            images: a picture (anything that `faces.images.open_image` opens), a list of pictures of one
                person, whose features are averaged, or one such list for each person.

        Raises:
            ImageError: a picture cannot be used; `NoFaceFound`: it shows no face.
        """
        if self.analyzer is None:
            from faces.analysis import FaceAnalyzer

            self.analyzer = FaceAnalyzer.from_pretrained("mini", embed=False)
        people = references.group_people(images)
        # The same picture given for several prompts is looked at once.
        pictures = {_key(picture): picture for person in people for picture in person}
        numbers = {key: number for number, key in enumerate(pictures)}
        seen = self.encode_references(
            [references.open_reference(picture, self.analyzer) for picture in pictures.values()]
        )
        several = self.conditioner.config.variant == "portrait"
        return seen.grouped([[numbers[_key(picture)] for picture in person] for person in people], several)

    def encode_aligned(self, frames: np.ndarray, parsing: np.ndarray) -> IdentityConditioning:
        """The same for pictures that are canonical frames already: nothing is detected.

        Args:
            frames: (n, S, S, 3) uint8, one of each person.
            parsing: (n, S, S) ids of `vocabulary.PARSING`.
        """
        pairs = zip(np.asarray(frames), np.asarray(parsing), strict=True)
        return self.encode_references(
            [Reference(frame=f, frame_parsing=p, photo=f, photo_parsing=p) for f, p in pairs]
        )

    @torch.no_grad()
    def encode_references(self, people: Sequence[Reference]) -> IdentityConditioning:
        """Embed one reference of each person, and encode it with its parts where the variant reads them."""
        config = self.conditioner.config
        if config.embedder != "image_encoder" and self.face_embedder is None:
            raise ValueError(
                f"this checkpoint knows people by {config.embedder} embeddings: set pipe.face_embedder to a function "
                f"(picture (h, w, 3) uint8) -> ({config.id_dim},), or pass id_embeds or conditioning"
            )
        id_embeds = states = valid = None
        if self.face_embedder is not None:
            id_embeds = torch.stack([torch.as_tensor(self.face_embedder(item.photo)) for item in people])
        if id_embeds is None or self.conditioner.uses_states:
            encoder, whole = self._image_encoder(), config.framing == "photo"
            looks = [references.encoder_pixels(item, self.feature_extractor, whole) for item in people]
            pixels = torch.stack([pixels for pixels, _ in looks]).to(self._device_of(encoder), encoder.dtype)
            valid = torch.from_numpy(np.stack([valid for _, valid in looks])).to(pixels.device)
            seen = encoder(pixels.flatten(0, 1), output_hidden_states=True)
            states = seen.hidden_states[-2].unflatten(0, pixels.shape[:2])  # (n, 6, N, C)
            if id_embeds is None:
                id_embeds = functional.normalize(seen.image_embeds.float(), dim=-1)[:: pixels.shape[1]]
        self.conditioner.check_embeddings(id_embeds)
        if not self.conditioner.uses_states:
            return IdentityConditioning(id_embeds=id_embeds)
        blank = self._blank_states()
        parts = torch.where(valid[:, :, None, None], states[:, 1:], blank)
        return IdentityConditioning(
            id_embeds=id_embeds.to(states.device),
            clip_states=states[:, 0],
            part_states=parts,
            part_valid=valid,
            blank_states=blank,
        )

    @torch.no_grad()
    def identity_from_embedding(self, id_embeds: torch.Tensor | np.ndarray) -> IdentityConditioning:
        """Condition on embeddings (b, E) or (E,) alone, known or made up; no picture, so no parts."""
        id_embeds = torch.atleast_2d(torch.as_tensor(id_embeds))
        self.conditioner.check_embeddings(id_embeds)
        if not self.conditioner.uses_states:
            return IdentityConditioning(id_embeds=id_embeds)
        blank = self._blank_states()
        people, parts = len(id_embeds), len(vocabulary.PARTS)
        return IdentityConditioning(
            id_embeds=id_embeds.to(blank.device),
            clip_states=blank.expand(people, -1, -1),
            part_states=blank[:, None].expand(people, parts, -1, -1),
            part_valid=torch.zeros(people, parts, dtype=torch.bool, device=blank.device),
            blank_states=blank,
        )

    def _blank_states(self) -> torch.Tensor:
        """States (1, N, C) of an image of zeros, as in training when the identity is dropped."""
        encoder = self._image_encoder()
        side = references.image_size(self.feature_extractor)
        zeros = torch.zeros(1, 3, side, side, device=self._device_of(encoder), dtype=encoder.dtype)
        return encoder(zeros, output_hidden_states=True).hidden_states[-2]

    def _image_encoder(self) -> Any:
        if self.image_encoder is None or self.feature_extractor is None:
            raise ValueError(
                "pipeline without image_encoder and feature_extractor: pass conditioning instead"
            )
        return self.image_encoder

    def _device_of(self, module: nn.Module) -> torch.device:
        """Where a module runs: an offloaded one sits on the CPU until it is called."""
        is_offloaded = hasattr(module, "_hf_hook")
        return self._execution_device if is_offloaded else next(module.parameters()).device  # type: ignore


def _key(picture: ImageSource) -> Any:
    return os.fspath(picture) if isinstance(picture, str | os.PathLike) else id(picture)
