"""What recipes whose pictures a portrait pipeline draws have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, field_validator

from faces import captions
from gen.recipe import Recipe


class DrawnRecipe(Recipe):
    """A recipe of prompts: how they are worded, and how the pipeline draws them."""

    steps: int = Field(default=20, ge=1, le=1000)
    guidance: float = Field(default=2.5, ge=1, le=30)
    guidance_rescale: float = Field(default=0.7, ge=0, le=1)
    """Against overexposure, which drawing from a drawn portrait would add to."""
    identity_scale: float = Field(default=1.0, ge=0, le=2)
    words: str = Field(default="", max_length=200)
    """Free words that follow every prompt. Captions leave them out: nothing proves them."""
    negative_prompt: str = Field(default="", max_length=200)

    @field_validator("words", "negative_prompt")
    @classmethod
    def _adults_only(cls, text: str) -> str:
        captions.refuse_minors(text)
        return text

    def prompt(self, looks: Mapping[str, Any]) -> str:
        """Word looks, axis -> value; raises ValueError for what no prompt can say."""
        text = captions.prompt(**looks)
        return f"{text}, {self.words}" if self.words else text

    @property
    def drawing(self) -> dict[str, Any]:
        """Settings of a `Studio`."""
        names = ("steps", "guidance", "guidance_rescale", "identity_scale")
        return {name: getattr(self, name) for name in names}
