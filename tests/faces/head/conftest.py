"""Head assets are read by path; without them, or without EGL, these tests skip and say why."""

from __future__ import annotations

import os

import pytest

from faces.head.assets import ENVIRONMENT


@pytest.fixture(scope="session")
def makehuman() -> str:
    folder = os.environ.get(ENVIRONMENT)
    if not folder:
        pytest.skip(f"head assets: set {ENVIRONMENT} to MakeHuman's data folder")
    return folder


@pytest.fixture(scope="session")
def collection(makehuman):
    pytest.importorskip("moderngl", reason="rendering needs the extra: pip install 'mien[render]'")
    from faces.head.dataset import HeadCollection, HeadsConfig

    try:
        return HeadCollection(HeadsConfig(count=64, seed=5, pictures_per_identity=4), makehuman)
    except RuntimeError as error:
        pytest.skip(f"no EGL context: {error}")


@pytest.fixture(scope="session")
def assets(makehuman):
    from faces.head.assets import load_assets

    return load_assets(makehuman)
