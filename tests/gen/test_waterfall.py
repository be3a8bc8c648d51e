"""Rejections by cell: a check that turns some looks down more often shows."""

from __future__ import annotations

import pytest
from toy_recipe import ToyRecipe

from gen import report
from gen.engine import generate
from gen.overview import Overview
from gen.plan import Plan
from gen.waterfall import tables


class Celled(ToyRecipe):
    """Counts its cells by pose and skin tone."""

    stages = ("contrast", "sharpness")

    def cells(self):
        return [("pose", "skin_tone"), ("skin_tone",)]


@pytest.fixture(scope="module")
def plan() -> Plan:
    made = Celled(count=12)
    return Plan.of(made, made.models())


def attempts(plan, fate):
    """Records and rejected rows, where `fate` gives for each row its rejections and whether it is kept."""
    records, rejected = [], []
    for number, row in enumerate(plan.rows):
        lost, kept = fate(number)
        rejected += [{"requested": row.requested, "rejected_by": check} for check in lost]
        if kept:
            records.append({f"requested_{name}": value for name, value in row.requested.items()})
    return records, rejected


def test_every_attempt_is_counted_in_its_cell(plan):
    def fate(number):
        return (
            (["sharpness", "contrast"], number == 1)
            if plan.rows[number].requested["skin_tone"] == 2
            else ([], True)
        )

    both, tone = tables(plan, *attempts(plan, fate))
    assert (both.name, tone.name) == ("pose x skin_tone", "skin_tone")
    assert tone.stages == ["contrast", "sharpness"]
    rows = tone.rows()
    assert [row["skin_tone"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[1] == {
        "skin_tone": 2, "planned": 2, "attempts": 5, "kept": 1, "out": {"contrast": 2, "sharpness": 2},
    }  # fmt: skip
    assert rows[0] == {"skin_tone": 1, "planned": 2, "attempts": 2, "kept": 2, "out": {}}
    assert both.rows()[1] == {"pose": "frontal", **rows[1]}


def test_a_recipe_that_names_no_cells_has_no_tables(plan):
    made = ToyRecipe(count=4)
    assert tables(Plan.of(made, made.models()), [], []) == []


def test_the_report_begins_with_the_worst_cell(tmp_path):
    made = Celled(count=24, rejected_share=0.4)
    generate(made, tmp_path / "set")
    overview = Overview.of(Plan.of(made, made.models()), tmp_path / "set")
    text = report.html(overview)
    assert (
        "<summary>pose x skin tone: " in text
        and "<th>sharpness</th>" in text
        and "<th>contrast</th>" not in text
    )
    shares = [row["kept"] / row["attempts"] for row in overview.cells[1].rows()]
    assert f"<summary>skin tone: {min(shares):.0%} to {max(shares):.0%} of attempts kept</summary>" in text
    assert sum(row["attempts"] for row in overview.cells[1].rows()) == len(overview.records) + len(
        overview.rejected
    )
