"""Pages of the demo and of an evaluation: HTML files with every picture in them, so that they can be sent on."""

from __future__ import annotations

import base64
import mimetypes
import os
import platform
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import mien
from faces import vocabulary
from gen import atomic
from gen.evaluation.bars import tally
from mien.demo import MAKEUP
from mien.demo_drag import GESTURES, SHOWN

if TYPE_CHECKING:
    from gen.evaluation.bars import Bar
    from mien.demo import Measured, Person, Results
    from mien.demo_texture import TexturedHead

_STYLE = Path(__file__).parent / "data" / "page.css"
_TASKS = {
    "portrait": "the portrait model", "identities": "the dataset", "expressions": "expression control",
    "perception": "face analysis", "makeup": "makeup", "drag": "drag editing", "texture": "texture completion",
}  # fmt: skip


def write(results: Results, path: Path) -> Path:
    """Write the page, whole or not at all."""
    atomic.write_bytes(path, html(results).encode())
    return path


def html(results: Results) -> str:
    """Lay the results out."""
    sections = [
        _people(results),
        *([_expressions(results)] if results.expressions else []),
        _makeup(results),
        _drag(results),
        _texture(results),
        _dataset(results),
    ]
    sections += [_measured(measured) for measured in results.measured]
    sections += [_provenance(results), _further(results)]
    lead = (
        "Portraits that keep a person, expressions, makeup, faces that follow a drag, heads with complete textures, "
        "and a labelled dataset of people who do not exist, all by the bundled diffusion models on "
        f"{escape(_machine())}."
    )
    return _document("Mien: demo", "What Mien just made on this machine", lead, [_tiles(results), *sections])


def write_evaluation(task: str, bars: Sequence[Bar], command: str, folder: Path) -> Path:
    """Lay out the lines of an evaluation with the plots and sheets that lie in a folder, as its index.html.

    Args:
        task: key of `gen.evaluation.bars.TASKS`.
        bars: what was measured.
        command: that measured it.
        folder: with PNG files; the page goes there.
    """
    lead = (
        f"{tally(bars)} passed, on {escape(_machine())}, by <code>{escape(command)}</code>. "
        "The control is the same measure where nothing should be found."
    )
    plots = "".join(
        f"<figure>{_picture(file, file.stem)}<figcaption>{escape(file.stem)}</figcaption></figure>"
        for file in sorted(folder.glob("*.png"))
    )
    sections = [_section("Bars", "Measured by a network that neither trained nor guided.", _bars(bars))]
    if plots:
        sections.append(
            _section("Plots and sheets", "Faces are synthetic.", _wrapped("div", "plots", [plots]))
        )
    page = _document(
        f"Mien: {task} measured", f"{_TASKS.get(task, task).capitalize()}, measured", lead, sections
    )
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / "index.html", page.encode())
    return folder / "index.html"


def _document(title: str, heading: str, lead: str, parts: Iterable[str]) -> str:
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{escape(title)}</title>'
        f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style></head><body><main>\n"
        f'<span class="badge">synthetic: made by a model</span><h1>{escape(heading)}</h1><p>{lead}</p>\n'
        + "\n".join(parts)
        + "\n</main></body></html>\n"
    )


def _machine() -> str:
    cores = os.cpu_count() or 1
    return f"{cores} CPU core{'s' if cores > 1 else ''} ({platform.machine()}, {platform.system()})"


def _tiles(results: Results) -> str:
    portraits = sum(len(person.portraits) for person in results.people)
    bars = [bar for measured in results.measured for bar in measured.bars]
    tiles = [
        (str(portraits), f"portraits of {len(results.people)} people in {results.portrait_seconds:.0f} s"),
        (str(results.dataset["pictures"]), f"labelled pictures in {results.dataset_seconds:.0f} s"),
        (str(results.settings.identities), "new identities"),
    ]
    if bars:
        tiles.append((tally(bars).removesuffix(" bars"), "bars passed in the quick evaluation"))
    return _wrapped(
        "div",
        "tiles",
        (f'<div class="tile"><b>{escape(a)}</b><span>{escape(b)}</span></div>' for a, b in tiles),
    )


def _people(results: Results) -> str:
    table = _table(results.people, [prompt.removeprefix("portrait of ") for prompt in results.prompts])
    lead = (
        "Left, one picture of a person; right, that person as each prompt asks. The bundled references are "
        "renders of heads that no network was trained on. A column shares its noise."
    )
    if results.settings.photo:
        lead += (
            " The bundled model has seen rendered heads only: expect a likeness in its style, no photograph."
        )
    return _section("Portraits", lead, table)


def _table(people: Iterable[Person], headings: Iterable[str]) -> str:
    """A row a person: the reference, then a picture under each heading."""
    heads = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    rows = []
    for person in people:
        cells = "".join(f"<td>{_picture(file, person.name)}</td>" for file in person.portraits)
        rows.append(f'<tr><td class="reference">{_picture(person.reference, person.name)}</td>{cells}</tr>')
    table = f'<table class="people"><tr><th>reference</th>{heads}</tr>{"".join(rows)}</table>'
    return f'<div class="scroll">{table}</div>'


def _expressions(results: Results) -> str:
    table = _table(results.expressions, vocabulary.EXPRESSIONS)
    lead = (
        f"The same people with expressions set by action units, in {results.expression_seconds:.0f} s. "
        "Prompts name hair, glasses and beard, no expression. A row shares its noise. "
        "An expression is displayed, not felt."
    )
    return _section("Expressions", lead, table)


def _makeup(results: Results) -> str:
    table = _table(results.makeup, MAKEUP)
    lead = (
        f"The same photographs made up, in {results.makeup_seconds:.0f} s. Only the change is brought into a "
        "photograph, so whatever lies away from the face keeps its bytes."
    )
    return _section("Makeup", lead, table)


def _drag(results: Results) -> str:
    table = _table(results.dragged, SHOWN)
    named = ", ".join(GESTURES[: len(results.dragged)])
    lead = (
        f"Points that are dragged to other points, in {results.drag_seconds:.0f} s; from above: {named}. Arrows "
        "start where a point is, rings mark points that stay. The hue of the flow tells the direction (red "
        "right, green down), its strength the length."
    )
    return _section("Drag editing", lead, table)


def _texture(results: Results) -> str:
    lead = (
        f"A head fitted to one photograph, and the texture that it shows in part completed, in "
        f"{results.texture_seconds:.0f} s for {len(results.textured)} of them. What is seen stays bit for bit, the "
        "rest is generated. The GLB files open in Blender, in browsers and wherever else glTF is read."
    )
    return _section(
        "Heads with complete textures", lead, "".join(_textured(head) for head in results.textured)
    )


def _textured(head: TexturedHead) -> str:
    side = "left" if head.yaw < 0 else "right"
    shares = head.shares
    text = (
        f"{escape(head.name.capitalize())}, turned {abs(head.yaw):.0f} degrees to the {side}: of the texels "
        f"{shares['seen']:.0%} are seen, {shares['mirrored']:.0%} generated after their mirror image, "
        f"{shares['generated']:.0%} generated; {head.seconds:.1f} s. "
        f'<a href="texture/{escape(head.glb.name)}">{escape(head.glb.name)}</a>'
    )
    return f"{_picture(head.picture, head.name, 'wide')}<p>{text}</p>"


def _dataset(results: Results) -> str:
    facts = results.dataset
    lead = (
        f"{results.settings.identities} identities that belong to nobody, balanced over age, skin and hair. "
        f"{facts['pictures']} of {facts['planned']} planned pictures kept; {facts['rejected']} attempts "
        "turned down by the checks, each with its reason. Each row is an identity, its reference first."
    )
    sheet = results.settings.out / "dataset" / "contact.jpg"
    body = _picture(sheet, "pictures of the dataset, one row an identity", "wide") if sheet.is_file() else ""
    if "report" in facts:
        body += '<p><a href="dataset/report.html">Its report</a> has the balance, checks and labels.</p>'
    return _section("A labelled dataset of new identities", lead, body)


def _measured(measured: Measured) -> str:
    title = f"Measured: {_TASKS.get(measured.task, measured.task)}"
    command = f"<code>mien evaluate {escape(measured.task)}</code>"
    if not measured.bars:
        return _section(
            title, f"Not measured here: {escape(measured.reason)}", f"<p>Measure it with {command}.</p>"
        )
    lead = (
        "By a network that neither trained nor guided the model. Few heads, hence wide intervals; "
        f"{command} measures all of them. The control is the same measure where nothing should be found."
    )
    return _section(title, lead, _bars(measured.bars))


def _bars(bars: Iterable[Bar]) -> str:
    names = ("", "what", "value", "bar", "95 % interval", "control", "n", "measured on")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_bar(bar) for bar in bars)
    return f'<div class="scroll"><table class="bars"><tr>{head}</tr>{rows}</table></div>'


def _bar(bar: Bar) -> str:
    mark = '<td class="pass">pass</td>' if bar.passed else '<td class="fail">miss</td>'
    mark = mark if bar.has_limit or not bar.passed else "<td></td>"  # a line that is there to be read
    interval = "" if bar.ci95 is None else f"{_number(bar.ci95[0])} – {_number(bar.ci95[1])}"
    direction = {">=": "≥ ", "<=": "≤ "}.get(getattr(bar, "direction", ""), "")
    limit = direction + _number(bar.bar) if bar.has_limit else ""
    numbers = (_number(bar.value), limit, interval, _number(bar.control), str(bar.n))
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f'<tr>{mark}<td>{escape(bar.name)}</td>{cells}<td class="domain">{escape(bar.domain)}</td></tr>'


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _provenance(results: Results) -> str:
    settings = results.settings
    facts = {
        "model": f"{settings.model}, SHA-256 {results.model_sha256[:16]}",
        "trained on": "heads rendered from CC0 assets by this repository; no photograph of a real person",
        "seed": f"{settings.seed}, the same command makes the same pictures",
        "denoising steps": f"{settings.steps} for the portraits, {settings.dataset_steps} for the dataset",
        "versions": f"Mien {mien.__version__}, {_versions()}",
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    lead = (
        "Every picture here carries a record of how it was made (IPTC digital source type, model, seed), "
        "in the file itself. A record says that a picture is synthetic; it can be stripped, so its absence "
        "proves nothing."
    )
    return _section("Where it comes from", lead, f"<dl>{rows}</dl>")


def _versions() -> str:
    from importlib import metadata

    return ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "diffusers", "transformers"))


def _further(results: Results) -> str:
    commands = """make demo REF=photo.jpg                       # the same, with a picture of your own
. .venv/bin/activate
mien portrait photo.jpg --prompt "portrait of a person, smiling, facing slightly left" --count 4
mien expression photo.jpg --units AU12=0.8,AU4L=0.3 --out smile.png
mien makeup photo.jpg --reference other.jpg --out made-up.png
mien drag photo.jpg --drag "310,420 310,450" --pin 250,200 --out dragged.png
mien texture photo.jpg --out head.glb --turntable head.webp
mien analyze photo.jpg
mien generate identities --ids 50 --images-per-id 10 --out out/identities
mien generate expressions --per-class 50 --out out/expressions
mien generate makeup --faces 50 --styles 5 --out out/makeup
mien evaluate portrait --json out/portrait.json
mien doctor                                   # what else could be installed"""
    code = """from pipelines.portrait.pipeline import PortraitPipeline

pipe = PortraitPipeline.from_pretrained("mini")
pipe(image="photo.jpg", prompt="portrait of a person, smiling").images[0]"""
    return _section(
        "How to go on",
        f"Everything above lies in {escape(results.settings.out.as_posix())}: portraits as PNG, heads as GLB, the "
        "dataset as WebDataset shards with a parquet table.",
        f"<pre>{escape(commands)}</pre><pre>{escape(code)}</pre>",
    )


def _section(title: str, lead: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2><p>{lead}</p>{body}</section>"


def _wrapped(tag: str, name: str, parts: Iterable[str]) -> str:
    return f'<{tag} class="{name}">{"".join(parts)}</{tag}>'


def _picture(file: Path, text: str, name: str = "") -> str:
    kind = mimetypes.guess_type(file.name)[0] or "image/webp"  # some systems do not know webp
    data = base64.b64encode(file.read_bytes()).decode()
    css = f' class="{name}"' if name else ""
    return f'<img{css} src="data:{kind};base64,{data}" alt="{escape(text)}" loading="lazy">'
