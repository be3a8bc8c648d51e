"""Reference pictures made ready for the image encoder: the face, and each part of it on black."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from transformers import BaseImageProcessor

from faces import alignment, vocabulary
from faces.images import ImageSource, describe, open_image

LEAST_SHARE = 5e-4
"""Smallest share of the frame that counts as a part: 8 pixels at 128."""


class FaceEmbedder(Protocol):
    """An identity embedder of the user's, for checkpoints that were trained with another one than their own."""

    def __call__(self, image: np.ndarray) -> np.ndarray | torch.Tensor:
        """Embed the person in a picture (h, w, 3) uint8 RGB as (E,), normed or raw as the checkpoint expects."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reference:
    """One picture of a person."""

    frame: np.ndarray
    """The canonical frame, (S, S, 3) uint8."""
    frame_parsing: np.ndarray
    """Ids of `vocabulary.PARSING` in the frame, (S, S)."""
    photo: np.ndarray
    """The whole picture, (h, w, 3) uint8; the frame itself where there is no other."""
    photo_parsing: np.ndarray
    """The same ids in the whole picture, (h, w)."""


def open_reference(source: ImageSource, analyzer: Any) -> Reference:
    """Open a picture and find its largest face.

    Raises:
        ImageError: it cannot be used; `NoFaceFound`: it shows no face.
    """
    name = describe(source)
    photo = open_image(source, name=name)
    face = analyzer.require_face(photo, name=name)
    parsing = alignment.unalign_labels(face.parsing, face.matrix, photo.shape[:2])
    return Reference(frame=face.aligned, frame_parsing=face.parsing, photo=photo, photo_parsing=parsing)


def group_people(images: Any) -> list[list[ImageSource]]:
    """Read what a caller gave as references: one picture, pictures of one person, or a list of such lists.

    Raises:
        ValueError: nothing was given, or pictures and lists of pictures are mixed.
    """
    if not isinstance(images, list | tuple):
        return [[images]]
    nested = [list(item) for item in images if isinstance(item, list | tuple)]
    whole = bool(images) and (len(nested) == len(images) and all(nested) or not nested)
    if not whole:
        raise ValueError(
            "image: expected a picture, a list of pictures of one person, or one such list for each prompt"
        )
    return nested or [list(images)]


def part_masks(parsing: np.ndarray) -> np.ndarray:
    """Masks of the facial parts with their holes filled, (S, S) ids -> (5, S, S) bool."""
    masks = np.zeros((len(vocabulary.PARTS), *parsing.shape), np.uint8)
    for mask, ids in zip(masks, vocabulary.PARTS.values(), strict=True):
        outlines, _ = cv2.findContours(
            np.isin(parsing, ids).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        cv2.drawContours(mask, outlines, -1, 1, cv2.FILLED)
    return masks.astype(bool)


def part_views(image: np.ndarray, parsing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Show each part of a picture alone.

    Args:
        image: (h, w, 3) uint8.
        parsing: (h, w) ids of `vocabulary.PARSING`.

    Returns:
        The whole picture and five times the picture with all but one part black, (6, h, w, 3) uint8; which
        parts are there, (5,) bool.
    """
    masks = part_masks(parsing)
    views = np.concatenate([image[None], image * masks[..., None]])
    return views, masks.mean(axis=(1, 2)) >= LEAST_SHARE


def encoder_pixels(
    reference: Reference, processor: BaseImageProcessor, whole_photo: bool
) -> tuple[torch.Tensor, np.ndarray]:
    """Prepare a reference for the image encoder: (6, 3, s, s), the face and its parts, and which parts are there."""
    if whole_photo:
        views, valid = part_views(reference.photo, reference.photo_parsing)
        return photo_pixels(views, processor), valid
    views, valid = part_views(reference.frame, reference.frame_parsing)
    return frame_pixels(views, processor), valid


def frame_pixels(views: np.ndarray, processor: BaseImageProcessor) -> torch.Tensor:
    """Cut the face out of canonical frames (..., S, S, 3) uint8 as the image encoder sees it: (n, 3, s, s)."""
    crops = alignment.crop_face(views.reshape(-1, *views.shape[-3:]), image_size(processor))
    return normalised(torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255, processor)


def photo_pixels(views: np.ndarray, processor: BaseImageProcessor) -> torch.Tensor:
    """Prepare whole photographs (n, h, w, 3) uint8 as CLIP does: resize, centre crop, normalise."""
    return processor(list(views), return_tensors="pt").pixel_values


def normalised(pixels: torch.Tensor, processor: BaseImageProcessor) -> torch.Tensor:
    """Shift and scale (n, 3, s, s) in [0, 1] to the mean and deviation that the encoder expects."""
    mean, std = (torch.tensor(x).view(1, 3, 1, 1) for x in (processor.image_mean, processor.image_std))
    return (pixels - mean) / std


def image_size(processor: Any) -> int:
    """Side in pixels of what the encoder sees."""
    return int(processor.crop_size["height"])
