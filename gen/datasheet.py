"""The README of a dataset: front matter that `datasets` understands, and a datasheet for people.

Sections after Gebru et al., "Datasheets for datasets", CACM 2021, with what face data needs beside them:
consent, age floor, and what the demographic axes do and do not mean.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from faces.provenance import GENERATED
from gen.overview import Overview
from gen.writers import WRITERS

if TYPE_CHECKING:
    from datasets import Features

_LICENCES = {"CC0-1.0": "cc0-1.0", "CC-BY-4.0": "cc-by-4.0", "Apache-2.0": "apache-2.0"}
_TASKS = {"drags": ["image-to-image"], "textures": ["unconditional-image-generation", "image-to-image"]}
"""Of recipes that are not for the tasks below."""
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))

_OPENING = """## Opening it

```python
from datasets import load_dataset

dataset = load_dataset("path/of/this/folder", split="train")
```"""


def markdown(overview: Overview) -> str:
    """Write the README."""
    recipe = overview.plan.recipe
    sections = [
        f"---\n{yaml.safe_dump(_front_matter(overview), sort_keys=False)}---",
        f"# {recipe.title().capitalize()}",
        f"{len(overview.records)} synthetic {overview.origin.pictures} of {overview.identities} synthetic identities, "
        "made by Mien. "
        "**No picture shows a real person.** Open `report.html` for pictures and plots.",
        _counts(overview),
        _motivation(overview),
        _composition(overview),
        _process(overview),
        _consent(overview),
        _axes(overview),
        *filter(None, [recipe.notes(), _layout(overview)]),
        _uses(overview),
        f"## Licence\n\n{recipe.licence}, for images and labels. Each row repeats it in `licence`. "
        + overview.origin.terms,
        _OPENING,
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(overview: Overview) -> dict[str, Any]:
    recipe, count = overview.plan.recipe, len(overview.records)
    patterns = WRITERS[recipe.format].patterns(recipe.name)
    features = WRITERS[recipe.format].features()
    return {
        "license": _LICENCES.get(recipe.licence, "other"),
        "pretty_name": recipe.title().capitalize(),
        "size_categories": [next((name for limit, name in _SIZES if count < limit), "n>1M")],
        "task_categories": _TASKS.get(recipe.kind, ["image-classification", "image-feature-extraction"]),
        "tags": ["synthetic", "faces", "mien"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": patterns}]}],
        **(_described(features) if features else {}),
    }


def _described(features: Features) -> dict[str, Any]:
    """Types of columns as front matter."""
    from datasets.info import DatasetInfo, DatasetInfosDict
    from huggingface_hub import DatasetCardData

    card = DatasetCardData()
    DatasetInfosDict(default=DatasetInfo(features=features, config_name="default")).to_dataset_card_data(card)
    return {"dataset_info": card.to_dict()["dataset_info"]}


def _counts(overview: Overview) -> str:
    rows = [
        ("planned samples", len(overview.plan.rows)), ("kept", len(overview.records)),
        ("planned but never accepted", overview.missing), ("rejected attempts", len(overview.rejected)),
        ("identities", overview.identities), ("repeated pictures (`duplicates.jsonl`)",
        len(overview.duplicates)),
    ]  # fmt: skip
    table = _table(["", "count"], [[name, str(count)] for name, count in rows])
    stages = _table(
        ["check", "attempts", "turned down"], [[name, str(n), str(lost)] for name, n, lost in overview.funnel]
    )
    return f"## Counts\n\n{table}\n\n{stages}"


def _motivation(overview: Overview) -> str:
    return (
        "## Motivation\n\nMade to train and to test software on faces without anybody's likeness: "
        f"{overview.origin.motivation}, so no consent of a depicted person is needed or possible."
    )


def _composition(overview: Overview) -> str:
    splits = dict.fromkeys(("train", "validation", "test"), 0)
    for record in overview.records:
        splits[record["split"]] += 1
    shares = ", ".join(f"{name} {count}" for name, count in splits.items())
    return (
        "## Composition\n\nOne row an image. `requested_*` is what the generator was asked for, "
        "`measured_*` what was "
        "measured on the picture afterwards; they are never mixed, and the request is no proof of the "
        "result. "
        f"`identity_id` says who is shown; {overview.origin.points}`split` keeps identities whole: {shares}. Rejected "
        "attempts stand with "
        "their reasons in `rejected/`."
    )


def _process(overview: Overview) -> str:
    plan = overview.plan
    lines = "\n".join(
        f"    {line}" for line in yaml.safe_dump(overview.settings, sort_keys=False).splitlines()
    )
    rows = [[name, value] for name, value in plan.models.items() if name.endswith(".safetensors")]
    models = _table(["file", "SHA-256"], rows) if rows else ""
    return (
        f"## Process\n\nMien's recipe below, plan `{plan.digest[:16]}`. Every picture is a function of the "
        "seed, its id "
        "and its batch, all of them in the plan: the same recipe and model give the same bytes on the same "
        "kind of "
        f"machine.\n\n{lines}\n\n{models}"
    ).rstrip()


def _consent(overview: Overview) -> str:
    kinds = sorted({record["digital_source_type"] for record in overview.records}, reverse=True)
    source = " or ".join(f"`{kind}`" for kind in kinds or [GENERATED])
    return (
        "## People, consent and age\n\n"
        "- Depicted people: none. Consent status: not applicable, no real person is shown.\n"
        f"- Age floor: {overview.origin.age_floor}.\n"
        f"- Every file says that it is synthetic (IPTC digital source type {source} in the XMP packet)."
    )


def _axes(overview: Overview) -> str:
    tables = []
    for name, counts in overview.axes.items():
        tables.append(_table([name, "images"], [[value, str(count)] for value, count in counts.items()]))
    return "\n\n".join([overview.origin.axes, *tables])


def _layout(overview: Overview) -> str:
    """What the textures of a set have in common, and in which files it stands."""
    found = overview.layout
    if not found:
        return ""
    facts = [[f"`{name}`", f"`{json.dumps(found[name])}`"] for name in ("mesh_id", "size", "v_down")]
    files = [[f"`{name}`", found["files"][name]] for name in sorted(found["files"])]
    return (
        f"## Layout\n\nAll textures have one layout, that of the mesh `{found['mesh_id']}`.\n\n"
        f"{_table(['', 'value'], facts)}\n\n{_table(['file', 'what it holds'], files)}"
    )


def _uses(overview: Overview) -> str:
    return (
        f"## Uses\n\nFor: training and testing of {overview.origin.uses}; teaching. "
        "Not for: recognising real people, inferring traits or emotions of people, or claims about how a "
        "system treats "
        "groups of people. Numbers measured on rendered or generated faces do not carry over to "
        "photographs by themselves."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
