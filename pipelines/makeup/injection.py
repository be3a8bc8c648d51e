"""New people who wear a look: a portrait is drawn, then made up in its own frame.

BeautyBank (Lu et al. 2024, arXiv:2411.11231, section 4) injects a makeup code beside a random bare code into one
generator. Here the portrait is the bare face, so the person does not change with the look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipelines.makeup.pipeline import MakeupOutput, MakeupPipeline
from pipelines.portrait.pipeline import PortraitPipeline


def draw_wearing(
    portraits: PortraitPipeline,
    makeup_pipeline: MakeupPipeline,
    makeup: Any,
    *,
    region: str | Sequence[str] | None = None,
    strength: float | Sequence[float] = 1.0,
    makeup_steps: int = 8,
    generator: torch.Generator | list[torch.Generator] | None = None,
    output_type: str = "pil",
    **portrait: Any,
) -> MakeupOutput:
    """Draw portraits of people who wear a look.

    Args:
        portraits: draws the people.
        makeup_pipeline: of the same frame size; makes them up.
        makeup: as for `MakeupPipeline`: a photograph, a `MakeupLook`, a code, a `Blend`, or one for each portrait.
        region: as for `MakeupPipeline`.
        strength: the same.
        makeup_steps: denoising steps of the makeup.
        generator: of both, one or one a portrait.
        output_type: "pil", "np" or "pt".
        **portrait: for the call of `portraits`, such as prompt, image or negative_prompt.

    Raises:
        ValueError: the two models work on frames of different sizes.

    Examples:
        >>> look = makeup_pipeline.encode_look("reference.jpg")[0]
        >>> draw_wearing(portraits, makeup_pipeline, look, image="person.jpg", prompt="portrait of a woman")
    """
    side = portraits.unet.config.sample_size * portraits.vae_scale_factor
    if side != makeup_pipeline.frame_size:
        raise ValueError(
            f"portraits of {side} px and makeup for {makeup_pipeline.frame_size} px: the frames must be equal"
        )
    drawn = portraits(**portrait, generator=generator, output_type="np").images
    frames = [(np.asarray(picture) * 255).round().astype(np.uint8) for picture in drawn]
    made: Any = makeup_pipeline(
        frames,
        makeup,
        region=region,
        strength=strength,
        num_inference_steps=makeup_steps,
        generator=generator,
        aligned=True,
        output_type=output_type,
    )
    return made
