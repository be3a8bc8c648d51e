"""The page that shows a dataset: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import json
from html import escape
from typing import Any

import numpy as np

from faces import vocabulary
from gen import contact, plots
from gen.axes import ordered
from gen.overview import Overview

_PAIRS = 8
_REJECTED = 24

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>{title}</title><style>
:root {{ --ink:#2b2f36; --soft:#6b7480; --line:#e3e7eb; --accent:#2f7f79; --paper:#fff; --back:#f5f6f8 }}
* {{ box-sizing:border-box }}
body {{ margin:0; background:var(--back); color:var(--ink); font:15px/1.55 system-ui,Roboto,sans-serif }}
main {{ max-width:1080px; margin:0 auto; padding:40px 20px 80px }}
h1 {{ font-size:30px; line-height:1.2; margin:8px 0 6px; letter-spacing:-.02em }}
h2 {{ font-size:19px; margin:0 0 4px }}
p {{ margin:4px 0 14px; color:var(--soft); max-width:72ch }}
section, .tile {{ background:var(--paper); border:1px solid var(--line); border-radius:12px }}
section {{ padding:22px 24px; margin:18px 0 }}
.tiles {{ display:grid; grid-template-columns:repeat(auto-fit,minmax(140px,1fr)); gap:12px; margin:22px 0 }}
.tile {{ padding:14px 16px }}
.tile b {{ display:block; font-size:26px; line-height:1.2; letter-spacing:-.02em }}
.tile b {{ font-variant-numeric:tabular-nums }}
.tile span {{ color:var(--soft); font-size:13px }}
.two {{ display:grid; grid-template-columns:repeat(auto-fit,minmax(400px,1fr)); gap:24px }}
svg, .wide {{ max-width:100%; height:auto; display:block }}
.row {{ display:flex; flex-wrap:wrap; gap:14px }}
figure {{ margin:0; width:max-content; max-width:280px }}
figure img {{ border-radius:6px; display:block }}
figcaption {{ color:var(--soft); font-size:12px; line-height:1.35; max-width:200px; margin-top:4px }}
table {{ border-collapse:collapse; font-size:13px; font-variant-numeric:tabular-nums; margin:8px 0 }}
th, td {{ text-align:left; padding:2px 14px 2px 0; border-bottom:1px solid var(--line); font-weight:400 }}
th {{ color:var(--soft) }}
pre {{ background:var(--back); border-radius:8px; padding:14px; overflow:auto; font-size:12px }}
.badge {{ display:inline-block; background:#e4f1ef; color:var(--accent); border-radius:99px }}
.badge {{ padding:2px 10px; font-size:12px; font-weight:600 }}
</style></head><body><main>
<span class="badge">synthetic: no real person</span><h1>{title}</h1><p>{lead}</p>
<div class="tiles">{tiles}</div>
{sections}
</main></body></html>
"""


def html(overview: Overview) -> str:
    """Write the page."""
    recipe = overview.plan.recipe
    title = recipe.title()
    lead = (
        f"Seed {recipe.seed}, model {escape(overview.settings['model'])}, licence {escape(recipe.licence)}. Requested "
        "and measured "
        f"values are kept apart; numbers here come from {overview.origin.measures}."
    )
    sections = [
        _contact(overview), _waterfall(overview), _cells(overview), _labels(overview),
        _similarity(overview), _motion(overview), _skins(overview), _balance(overview),
        _obedience(overview), _neighbours(overview), _rejected(overview), _duplicates(overview),
        _settings(overview),
    ]  # fmt: skip
    return _PAGE.format(
        title=escape(title[0].upper() + title[1:]),
        lead=lead,
        tiles=_tiles(overview),
        sections="\n".join(sections),
    )


def _tiles(overview: Overview) -> str:
    made = len(overview.records) + len(overview.rejected)
    values = [
        (f"{len(overview.records):,}", "pictures kept"), (f"{overview.identities:,}", "identities"),
        (f"{len(overview.records) / max(1, made):.0%}", "of attempts accepted"),
        (f"{overview.missing:,}", "rows left empty"), (f"{len(overview.duplicates):,}", "repeated pictures"),
    ]  # fmt: skip
    return "".join(f'<div class="tile"><b>{value}</b><span>{name}</span></div>' for value, name in values)


def _contact(overview: Overview) -> str:
    if not overview.records:
        return _section("Pictures", "No sample was kept.", "")
    first = "the reference portrait, then pictures" if overview.anchors else "pictures"
    one = "identity"
    if overview.labels:
        one = f"label ({', '.join(ordered('expression', {record['label'] for record in overview.records}))})"
    if overview.plan.recipe.sheet == "edit":
        one = f"kind of edit ({', '.join(ordered('expression', {row['edit'] for row in overview.records}))})"
        first = (
            "of each pair the picture with five drags (red) and pins (blue), the true flow (the hue tells its "
            "direction, right is red; the saturation its length) and the target,"
        )
    if overview.layout:
        one, first = "person", "of each style the texture, and the head that wears it,"
    image = _image(contact.jpeg(contact.of(overview)), "contact sheet", "wide")
    return _section("Pictures", f"One {one} a row: {first} in the order of the plan, unselected.", image)


def _waterfall(overview: Overview) -> str:
    text = "Attempts that reach each check and that it turns down. Rejected rows are tried again, reseeded."
    return _section("Accept waterfall", text, plots.waterfall(overview.funnel))


def _cells(overview: Overview) -> str:
    text = "The same within each cell: where one keeps less than another, the checks bias the set. Lowest share first."
    details = []
    for table in overview.cells:
        rows = sorted(table.rows(), key=lambda row: row["kept"] / max(1, row["attempts"]))
        head = [*table.axes, "planned", "attempts", *table.stages, "kept", "of attempts"]
        body = [
            [*(row[name] for name in (*table.axes, "planned", "attempts")),
             *(row["out"].get(stage, 0) for stage in table.stages), row["kept"],
             f"{row['kept'] / max(1, row['attempts']):.0%}"]
            for row in rows
        ]  # fmt: skip
        shares = f"{body[0][-1]} to {body[-1][-1]} of attempts kept" if body else "no cells"
        name = escape(table.name.replace("_", " "))
        details.append(f"<details><summary>{name}: {shares}</summary>{_table(head, body)}</details>")
    return _section("Waterfall by cell", text, "".join(details)) if details else ""


def _labels(overview: Overview) -> str:
    names = list(next(iter(overview.labels.values()), {}))
    body = [[intended, *row.values()] for intended, row in overview.labels.items()]
    text = "Kept pictures by the expression that was intended (rows) and the label that they have (columns)."
    return _section("Labels", text, _table(["intended", *names], body)) if body else ""


def _similarity(overview: Overview) -> str:
    own, other = overview.measured("id_sim_to_ref"), overview.measured("id_sim_to_other")
    if not len(own):
        return ""
    groups = {"own reference": own} | ({"nearest other reference": other} if len(other) else {})
    plot = plots.histograms(groups, "cosine of identity embeddings", "pictures")
    second = ""
    training = np.array([anchor.facts["nn_sim_to_train"] for anchor in overview.anchors])
    if len(training):
        inside = np.array([anchor.facts["nn_sim_in_set"] for anchor in overview.anchors[1:]])
        both = {"nearest training identity": training} | (
            {"nearest earlier identity": inside} if len(inside) else {}
        )
        second = plots.histograms(both, "cosine of identity embeddings", "identities", bins=24)
    text = "How like its own reference each picture is, beside the nearest other; how new the identities are."
    return _section("Identity", text, f'<div class="two">{plot}{second}</div>')


def _motion(overview: Overview) -> str:
    groups: dict[str, list[float]] = {}
    for record in overview.records:
        if record["edit"] is not None and record["measured_longest_motion"] is not None:
            groups.setdefault(record["edit"], []).append(record["measured_longest_motion"] / record["width"])
    if not groups:
        return ""
    found = {name: np.array(groups[name]) for name in sorted(groups)}
    text = "How far the point goes that goes farthest, as a share of the width, by what happens to the head."
    return _section("Motion", text, plots.crossing(found, "longest motion, of the width"))


def _skins(overview: Overview) -> str:
    text = "Of the photoreal texture of each person: how much its two sides differ in light, and how near the next is."
    drawn = [
        plots.histograms({"persons": values}, label, "persons", bins=24)
        for name, label in (
            ("asymmetry", "difference of both sides, of the range"),
            ("nearest_texture", "difference to the nearest earlier person, of the range"),
        )
        if len(values := overview.measured(name, once=True))
    ]
    return _section("Textures", text, f'<div class="two">{"".join(drawn)}</div>') if drawn else ""


def _balance(overview: Overview) -> str:
    text = "Kept pictures over the values that were requested: rendered looks, never what a person is."
    return _section("Balance", text, plots.bars(overview.axes)) if overview.axes else ""


def _obedience(overview: Overview) -> str:
    groups: dict[str, list[float]] = {}
    for record in overview.records:
        if record["requested_pose"] is not None and record["measured_yaw_deg"] is not None:
            groups.setdefault(record["requested_pose"], []).append(record["measured_yaw_deg"])
    ordered = {name: np.array(groups[name]) for name in vocabulary.POSES if name in groups}
    if len(ordered) < 2:
        return ""
    text = "Measured turn of the head within each requested pose: an estimate from landmarks, in degrees."
    return _section("Requested against measured", text, plots.crossing(ordered, "measured yaw, degrees"))


def _neighbours(overview: Overview) -> str:
    figures = [
        _figure(_tile(first.image, second.image), f"{first.id}, {second.id}: cosine {cosine:.3f}")
        for first, second, cosine in overview.nearest_identities(_PAIRS)
    ]
    text = (
        "The identities that the encoder finds most alike. If two look like one person, lower max_similarity."
    )
    return _section("Nearest pairs", text, _row(figures)) if figures else ""


def _rejected(overview: Overview) -> str:
    shown = [row for row in overview.rejected if row["picture"]][:_REJECTED]
    figures = []
    for row in shown:
        jpeg = (overview.out / "rejected" / row["picture"]).read_bytes()
        figures.append(_figure(jpeg, f"<b>{escape(row['rejected_by'])}</b><br>{escape(row['reason'])}"))
    text = f"{len(overview.rejected)} attempts were turned down. The first ones; all stand in rejected/."
    return _section("Rejected", text, _row(figures)) if overview.rejected else ""


def _duplicates(overview: Overview) -> str:
    shown = overview.duplicates[:_PAIRS]
    pictures = overview.pictures(key for row in shown for key in (row.key, row.first))
    figures = [
        _figure(_tile(pictures[row.first], pictures[row.key]), f"{row.kind}: {row.first}, {row.key}")
        for row in shown
    ]
    text = "Pictures that repeat an earlier one, as listed in duplicates.jsonl; they are part of the set."
    return _section("Repeated pictures", text, _row(figures)) if shown else ""


def _settings(overview: Overview) -> str:
    settings = escape(json.dumps(overview.settings, indent=2))
    body = f"<details><summary>settings</summary><pre>{settings}</pre></details>"
    return _section("Recipe", f"Plan {overview.plan.digest}", body)


def _section(title: str, text: str, body: str) -> str:
    return f"<section><h2>{title}</h2><p>{text}</p>{body}</section>"


def _table(head: list[str], rows: list[list[Any]]) -> str:
    first = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in head)
    others = ["".join(f"<td>{escape(str(value))}</td>" for value in row) for row in rows]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in (first, *others))}</table>"


def _row(figures: list[str]) -> str:
    return f'<div class="row">{"".join(figures)}</div>'


def _tile(*pictures: np.ndarray) -> bytes:
    return contact.jpeg(contact.sheet([pictures]))


def _figure(jpeg: bytes, caption: str) -> str:
    return f"<figure>{_image(jpeg, '')}<figcaption>{caption}</figcaption></figure>"


def _image(jpeg: bytes, alt: str, style: str = "") -> str:
    data = base64.b64encode(jpeg).decode()
    return f'<img class="{style}" alt="{alt}" src="data:image/jpeg;base64,{data}">'
