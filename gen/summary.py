"""What stands beside the shards of a finished dataset: README, report, contact sheet, Croissant, counts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from gen import atomic, contact, croissant, datasheet, report
from gen.overview import Overview
from gen.plan import Plan


def write(plan: Plan, out: Path) -> None:
    """Write all of it, from what the shards hold."""
    overview = Overview.of(plan, out)
    lines = "".join(json.dumps(asdict(row), sort_keys=True) + "\n" for row in overview.duplicates)
    atomic.write_bytes(out / "duplicates.jsonl", lines.encode())
    atomic.write_json(out / "summary.json", overview.summary())
    atomic.write_bytes(out / "contact.jpg", contact.jpeg(contact.of(overview)))
    atomic.write_bytes(out / "README.md", datasheet.markdown(overview).encode())
    atomic.write_json(out / "croissant.json", croissant.metadata(overview))
    atomic.write_bytes(out / "report.html", report.html(overview).encode())
