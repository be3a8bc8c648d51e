"""What `mien doctor` finds: what is installed and works here, and the command that gets what is missing.

Nothing is called usable because it can be imported; it is tried.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from rich.console import Group
from rich.markup import escape
from rich.table import Table

import mien
import weights
from mien.errors import one_line
from mien.portrait import model_digest

Status = Literal["ok", "optional", "missing", "broken"]
"""`optional`: rarely needed. `missing`: some task needs it. `broken`: Mien does not work without it."""

PACKAGES = (
    "torch", "diffusers", "transformers", "accelerate", "safetensors", "peft", "gradio", "numpy", "scipy",
    "pillow", "opencv-python-headless", "pydantic", "pyarrow", "webdataset", "datasets", "trimesh",
    "matplotlib",
)  # fmt: skip
MARKS = {
    "ok": "[green]ok[/]",
    "optional": "[dim]-[/]",
    "missing": "[yellow]missing[/]",
    "broken": "[red]broken[/]",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Extra:
    """An optional package."""

    module: str
    use: str
    licence: str
    package: str = ""
    """Name of the distribution, where it is not the module's."""


EXTRAS = {
    "render": Extra(module="moderngl", use="rendering heads", licence="MIT"),
    "xformers": Extra(module="xformers", use="attention on CUDA and ROCm", licence="BSD-3-Clause"),
    "ray": Extra(module="ray", use="dataset generation on several machines", licence="Apache-2.0"),
    "insightface": Extra(
        module="insightface",
        use="face analysis",
        licence="code MIT, model packs non-commercial research only",
    ),
    "mediapipe": Extra(
        module="mediapipe", use="face analysis, with a face_landmarker.task of yours", licence="Apache-2.0"
    ),
    "trackers": Extra(
        module="tensorboard", use="training curves", licence="Apache-2.0 (wandb, trackio: MIT)"
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One line of the report."""

    group: str
    name: str
    status: Status
    detail: str
    fix: str = ""
    """Command that gets what is missing."""

    def to_json(self) -> dict[str, str]:
        """Return the fields, for programs."""
        return asdict(self)


def examine() -> list[Finding]:
    """Look at everything, in the order of the report."""
    parts: tuple[Callable[[], Iterable[Finding]], ...] = (
        _machine, _packages, _bundled, _heads, _extras, _attention,
    )  # fmt: skip
    return [finding for part in parts for finding in part()]


def as_table(findings: Iterable[Finding]) -> Group:
    """Lay the findings out for a terminal, and below them the commands that get what is missing."""
    found = Table(title=f"Mien {mien.__version__}", title_justify="left", box=None, show_header=False)
    fixes = Table(title="\nTo get it", title_justify="left", box=None, show_header=False)
    group = ""
    for finding in findings:
        if finding.group != group:
            group = finding.group
            found.add_row("", f"[bold]{group}[/]")
        found.add_row(MARKS[finding.status], finding.name, escape(finding.detail))
        if finding.fix:
            fixes.add_row(f"{finding.group}: {finding.name}", escape(finding.fix))
    return Group(found, fixes) if fixes.row_count else Group(found)


def install(what: str) -> str:
    """Return the command that installs an extra ("mien[ray]") or a package, from a clone or from anywhere."""
    clone = Path(mien.__file__).parents[1]
    if not (clone / "constraints.txt").is_file():
        return f"pip install '{what}'"
    what = what.replace("mien[", ".[")
    return f"pip install -c constraints.txt {'-e ' if what.startswith('.') else ''}'{what}'"


def _machine() -> Iterator[Finding]:
    from pipelines.device import best_device

    version = platform.python_version()
    is_supported = sys.version_info >= (3, 11)
    yield Finding(
        group="machine",
        name="python",
        status="ok" if is_supported else "broken",
        detail=f"{version} on {platform.system()} {platform.machine()}",
        fix="" if is_supported else "install Python 3.11 or newer",
    )
    yield Finding(group="machine", name="cores", status="ok", detail=str(_cores()))
    yield Finding(group="machine", name="device", status="ok", detail=str(best_device()))


def _cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        version = _version(name)
        yield Finding(
            group="packages",
            name=name,
            status="ok" if version else "broken",
            detail=version or "not installed",
            fix="" if version else install(name),
        )
    yield _torchvision()


def _torchvision() -> Finding:
    """A torchvision that does not match torch breaks transformers and diffusers; none at all is fine."""
    name, group = "torchvision", "packages"
    if importlib.util.find_spec(name) is None:
        return Finding(group=group, name=name, status="ok", detail="not installed, not needed")
    try:
        importlib.import_module(name)
    except (ImportError, RuntimeError, OSError) as error:
        detail = f"does not match torch ({one_line(error)})"
        return Finding(group=group, name=name, status="broken", detail=detail, fix=f"pip uninstall {name}")
    return Finding(group=group, name=name, status="ok", detail=_version(name) or "installed")


def _bundled() -> Iterator[Finding]:
    present = weights.available()
    for name in dict.fromkeys([*weights.CONTENTS, *present]):
        use = weights.CONTENTS.get(name, "")
        if name not in present:
            detail = f"not bundled here: {use}"
            yield Finding(group="weights", name=name, status="missing", detail=detail, fix=weights.REMEDY)
            continue
        size = sum(path.stat().st_size for path in present[name].rglob("*") if path.is_file())
        detail = (
            f"{size / 1e6:.1f} MB, sha256 {model_digest(str(present[name]))[:12]}{': ' if use else ''}{use}"
        )
        yield Finding(group="weights", name=name, status="ok", detail=detail)


def _heads() -> Iterator[Finding]:
    from faces.head.assets import ENVIRONMENT, AssetError, find_folder

    try:
        found = Finding(group="heads", name="assets", status="ok", detail=str(find_folder()))
    except AssetError as error:
        fix = f"export {ENVIRONMENT}=/path/to/makehuman/data"
        found = Finding(group="heads", name="assets", status="optional", detail=one_line(error), fix=fix)
    yield found
    yield _egl()


def _egl() -> Finding:
    """Open a context and let it clear one pixel: drivers fail at any of these steps."""
    try:
        import moderngl

        context = moderngl.create_context(standalone=True, backend="egl")  # pyright: ignore[reportArgumentType]
        frame = context.simple_framebuffer((1, 1))
        frame.clear(1.0, 0.0, 0.0, 1.0)
        is_right = frame.read() == b"\xff\x00\x00"
        renderer = context.info["GL_RENDERER"]
        context.release()
    except ImportError:
        fix = install("mien[render]")
        return Finding(group="heads", name="EGL", status="optional", detail="moderngl not installed", fix=fix)
    except Exception as error:  # moderngl raises plain Exception for every EGL failure
        fix = "apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri"
        return Finding(group="heads", name="EGL", status="missing", detail=one_line(error), fix=fix)
    status: Status = "ok" if is_right else "broken"
    return Finding(
        group="heads", name="EGL", status=status, detail=renderer if is_right else f"{renderer} draws nothing"
    )


def _extras() -> Iterator[Finding]:
    for name, extra in EXTRAS.items():
        found = importlib.util.find_spec(extra.module) is not None
        version = _version(extra.package or extra.module) or "installed"
        yield Finding(
            group="extras",
            name=name,
            status="ok" if found else "optional",
            detail=f"{version if found else 'not installed'}: {extra.use}. Licence: {extra.licence}",
            fix="" if found else install(f"mien[{name}]"),
        )


def _attention() -> Iterator[Finding]:
    from pipelines.device import best_device

    device = best_device()
    for name, attend in (("native", _native), ("xformers", _xformers)):
        try:
            attend(device)
        except (ImportError, NotImplementedError, RuntimeError, ValueError) as error:
            detail = f"not usable on {device}: {one_line(error)[:120]}"
            yield Finding(group="attention", name=name, status="optional", detail=detail)
        else:
            yield Finding(group="attention", name=name, status="ok", detail=f"tried on {device}")


def _native(device: object) -> None:
    import torch

    query = torch.ones(1, 1, 8, 16, device=device)  # pyright: ignore[reportArgumentType]
    torch.nn.functional.scaled_dot_product_attention(query, query, query)


def _xformers(device: object) -> None:
    """Its package imports on any machine and diffusers then calls it available; only the operator tells."""
    import torch
    import xformers.ops

    query = torch.ones(1, 8, 1, 16, device=device)  # pyright: ignore[reportArgumentType]
    xformers.ops.memory_efficient_attention(query, query, query)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
