"""A page of stand-ins on a launched server, and somebody who uses it."""

from __future__ import annotations

import pytest
from gradio_client import Client, handle_file
from PIL import Image

from tests.pipelines.texture_components import toy_photo
from tests.ui.toy_services import ToyServices
from ui.page import build_app, sessions_of_a_page
from ui.server import launch_options


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        patch.setenv("GRADIO_IS_E2E_TEST", "1")  # heartbeats every quarter of a second
        sessions = sessions_of_a_page(grace=1.0, unclaimed=3.0)
        services = ToyServices(
            examine=lambda: [{"group": "machine", "name": "cores", "status": "ok", "detail": "2"}]
        )
        app = build_app(services, sessions)
        options = launch_options()
        _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **options)
        yield url, sessions
        app.close()


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "face.png"
    Image.fromarray(toy_photo(0)).save(path)
    return handle_file(str(path))


@pytest.fixture
def client(server):
    client = Client(server[0], verbose=False)
    yield client
    client.close()
