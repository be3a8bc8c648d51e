"""What an installed Mien holds: modules, weights, shaders, references, and nothing of the tests."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("faces/", "gen/", "mien/", "pipelines/", "train/", "ui/", "weights/")


@pytest.mark.slow
def test_the_wheel_holds_everything_that_runs(tmp_path):
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]
    for name in names:  # a copy, because a build leaves folders in the source
        (tmp_path / "source" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, tmp_path / "source" / name)
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", tmp_path]
    subprocess.run([*build, tmp_path / "source"], check=True)
    (wheel,) = tmp_path.glob("mien-*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in names if name.startswith(PACKAGES)} - held == set()
    tops = {f"{name.split('/')[0]}/" for name in held if ".dist-info/" not in name}
    assert tops == set(PACKAGES)
    assert any(name.endswith("licenses/LICENSE") for name in held)
