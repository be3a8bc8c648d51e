"""What stands beside the shards: README, Croissant (check D4), report; `datasets` opens every format."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from toy_recipe import ToyRecipe

from gen.engine import generate
from gen.record import SCHEMA
from gen.writers import WRITERS


@pytest.fixture(scope="module", params=["webdataset", "folder", "parquet"])
def dataset(request, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp(request.param) / "set"
    generate(ToyRecipe(count=14, format=request.param), out)
    return out


def test_readme_says_what_a_user_must_know(dataset):
    text = (dataset / "README.md").read_text()
    front = yaml.safe_load(text.split("---")[1])
    summary = json.loads((dataset / "summary.json").read_text())
    assert front["license"] == "cc0-1.0" and front["size_categories"] == ["n<1K"]
    for words in (
        "No picture shows a real person",
        "Consent status",
        "adults of 18 or more",
        "rendered parameters",
    ):
        assert words in text
    for section in ("Motivation", "Composition", "Process", "Demographic axes", "Uses", "Licence", "Counts"):
        assert f"## {section}" in text
    assert f"| kept | {summary['kept']} |" in text
    assert summary["kept"] + summary["missing"] == summary["planned"] == 14
    assert sum(row["out"] for row in summary["waterfall"]) == summary["rejected_attempts"]


def test_datasets_opens_it(dataset, tmp_path):
    from datasets import load_dataset

    opened = load_dataset(str(dataset), split="train", cache_dir=str(tmp_path))
    format = json.loads((dataset / "plan/plan.json").read_text())["settings"]["format"]
    entries = list(WRITERS[format].read(dataset / "data", "train"))
    assert len(opened) == len(entries)
    records = opened["json"] if format == "webdataset" else opened
    assert sorted(record["id"] for record in records) == sorted(entry.key for entry in entries)
    stored = {entry.key: entry.record for entry in entries}
    row = opened[3]
    record = row["json"] if format == "webdataset" else row
    assert (row["png"] if format == "webdataset" else row["image"]).size == (32, 32)
    for name in ("caption", "requested_skin_tone", "sha256", "seed"):
        assert record[name] == stored[record["id"]][name]


class LateRecipe(ToyRecipe):
    """An age is read off the later pictures only."""

    def maker(self, out):
        made = super().maker(out)
        draw = made._one
        made._one = lambda row: add_age(draw(row)) if int(row.id[1:]) >= 8 else draw(row)
        return made


def add_age(sample):
    return dataclasses.replace(sample, measured={**sample.measured, "age_years": 41.5})


def test_a_column_that_begins_with_nulls_opens(tmp_path):
    from datasets import load_dataset

    generate(LateRecipe(count=14, rejected_share=0, shard_size=16), tmp_path / "set")
    opened = load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "cache"))
    ages = [record["measured_age_years"] for record in opened["json"]]
    assert ages == [None] * 8 + [41.5] * 6


def test_croissant_describes_files_and_fields(dataset):
    found = json.loads((dataset / "croissant.json").read_text())
    assert found["conformsTo"] == "http://mlcommons.org/croissant/1.0" and found["@type"] == "sc:Dataset"
    assert all(found[name] for name in ("name", "description", "license", "version", "citeAs"))
    objects = [item for item in found["distribution"] if item["@type"] == "cr:FileObject"]
    assert objects
    for item in objects:
        content = (dataset / item["contentUrl"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == item["sha256"]
        assert item["encodingFormat"] != "application/octet-stream"
    (rows,) = (item for item in found["distribution"] if item["@type"] == "cr:FileSet")
    files = sorted(dataset.glob(rows["includes"]))
    columns = set.intersection(*map(_columns, files))
    (records,) = found["recordSet"]
    assert files and [field["name"] for field in records["field"]] == SCHEMA.names
    for field in records["field"]:
        assert field["source"]["extract"]["column"] in columns
        assert field["source"]["fileSet"]["@id"] == rows["@id"]


def _columns(path: Path) -> set[str]:
    if path.suffix == ".parquet":
        return set(pq.read_schema(path).names)
    return set(json.loads(path.read_text().splitlines()[0]))


def test_report_is_one_file_that_needs_nothing_else(dataset):
    text = (dataset / "report.html").read_text()
    assert not re.search(r'(src|href)="(?!data:|#)', text) and "http-equiv" not in text
    for words in ("Accept waterfall", "Balance", "Rejected", "Recipe", "synthetic: no real person"):
        assert words in text
    assert text.count("<svg") >= 2 and text.count("data:image/jpeg") >= 2
    assert (dataset / "contact.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_planted_repetitions_are_listed(tmp_path):
    out = tmp_path / "set"
    generate(ToyRecipe(count=8, rejected_share=0, repeat=((5, 1),)), out)
    (row,) = [json.loads(line) for line in (out / "duplicates.jsonl").read_text().splitlines()]
    assert row == {"key": "s0005", "first": "s0001", "kind": "exact", "score": 1.0}
    assert "Repeated pictures" in (out / "report.html").read_text()


def test_a_set_without_any_kept_sample_is_still_summed_up(tmp_path):
    out = tmp_path / "set"
    run = generate(ToyRecipe(count=4, rejected_share=1.0), out)
    assert run.kept == 0 and run.complete
    assert "No sample was kept" in (out / "report.html").read_text()
    assert json.loads((out / "summary.json").read_text())["rejected_attempts"] == 8
