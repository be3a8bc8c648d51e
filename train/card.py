"""The model card of an export: what it is, what it was trained on and how, what it is for."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version

from train.config import TrainConfig

_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "numpy")
_DEFAULTS = {
    "data": "The task does not say.",
    "data_licence": "unknown",
    "licence": "apache-2.0",
    "intended_use": "Research on synthetic faces.",
    "limits": "Not for identifying, judging or imitating real people.",
}


def model_card(config: TrainConfig, facts: Mapping[str, str], step: int, values: Mapping[str, float]) -> str:
    """Return the card as markdown with Hugging Face's metadata header.

    Args:
        config: The run's configuration.
        facts: `Task.card`: summary, data, data_licence, licence, intended_use, limits.
        step: Optimizer steps the weights have seen.
        values: The numbers of the last validation.
    """
    facts = {**_DEFAULTS, **facts}
    rows = "\n".join(f"| {name} | {value:.5g} |" for name, value in values.items()) or "| none | |"
    versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"""---
license: {facts["licence"]}
library_name: diffusers
tags: [faces, synthetic, mien]
---

# {config.name}

{facts.get("summary", f"Weights of the task `{config.task.kind}`, trained by Mien.")}

## Intended use and limits

{facts["intended_use"]}

{facts["limits"]}

## Data

{facts["data"]} Licence of the data: {facts["data_licence"]}.

## Measurements

Averaged weights on the task's validation samples, after {step} steps ({step * config.batch_size} samples):

| measure | value |
|---|---|
{rows}

## Provenance

Seed {config.seed}; Python {platform.python_version()}, {versions}. The configuration of the run:

```json
{json.dumps(config.to_dict(), indent=2)}
```
"""
