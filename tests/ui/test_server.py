"""How the page is served, and what is refused before it is."""

from __future__ import annotations

import socket

import httpx
import pytest
from gradio_client import Client

from tests.ui.toy_services import ToyServices
from ui.page import build_app
from ui.server import Address, launch_options, serve


def test_only_this_machine_is_private():
    private = [host for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.0.7", "mien.example")
               if Address(host=host).is_private]  # fmt: skip
    assert private == ["127.0.0.1", "localhost", "::1"]


def test_tools_of_assistants_share_a_session_and_are_for_this_machine_alone():
    with pytest.raises(ValueError, match=r"^mcp: .* not for 0\.0\.0\.0$"):
        serve(Address(host="0.0.0.0", mcp=True), ToyServices())


def test_a_port_that_is_taken_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"^127.0.0.1:{port}: cannot be opened; choose another --port$"):
            serve(Address(port=port), ToyServices())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("line", ["name", ":password", "name:"])
def test_names_without_passwords_are_refused(tmp_path, line):
    file = tmp_path / "visitors"
    file.write_text(f"ada:lovelace\n\n{line}\n")
    with pytest.raises(ValueError, match="a line without NAME:PASSWORD"):
        serve(Address(auth=file), ToyServices())


def test_who_has_no_password_gets_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    app = build_app(ToyServices())
    options = launch_options() | {"auth": [("ada", "lovelace")]}
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **options)
    try:
        api = f"{url}gradio_api/"
        asked = {"data": [], "fn_index": 0, "session_hash": "a"}
        answers = [
            httpx.get(f"{url}config"), httpx.get(f"{api}info"), httpx.get(f"{api}file=/etc/hosts"),
            httpx.post(f"{api}upload", files={"files": ("a.png", b"x")}), httpx.post(f"{api}queue/join", json=asked),
            httpx.post(f"{api}run/stop", json=asked), httpx.post(f"{api}call/models", json=asked),
        ]  # fmt: skip
        assert [one.status_code for one in answers] == [401] * len(answers)
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]
        client = Client(url, auth=("ada", "lovelace"), verbose=False)
        assert client.predict(api_name="/models")["data"]
        client.close()
    finally:
        app.close()
