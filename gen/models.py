"""Which files a model consists of: they are part of what decides a dataset."""

from __future__ import annotations

from pathlib import Path

from gen import atomic

_PARTS = (".safetensors", ".json", ".txt")


def folder(model: str) -> Path:
    """Find the files of "mini", of a folder, or of a hub id (downloaded to the hub's cache when absent).

    Raises:
        FileNotFoundError: it is none of them.
    """
    if Path(model).is_dir():
        return Path(model)
    if "/" not in model:
        import weights

        return weights.bundled(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, allow_patterns=[f"*{part}" for part in _PARTS]))
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        reason = str(error).splitlines()[0]
        raise FileNotFoundError(
            f"model {model!r}: neither a folder nor a reachable hub id ({reason})"
        ) from error


def fingerprint(model: str) -> dict[str, str]:
    """Hash the weights and configurations of a model: relative path -> SHA-256."""
    root = folder(model)
    files = sorted(path for path in root.rglob("*") if path.suffix in _PARTS and path.is_file())
    if not files:
        raise FileNotFoundError(f"model folder {root}: holds no weights (*.safetensors)")
    return {path.relative_to(root).as_posix(): atomic.sha256(path) for path in files}


def bundled(name: str) -> dict[str, str]:
    """Hash a further bundled model that decides on samples, under its name: name/path -> SHA-256."""
    import weights

    return within(name, str(weights.bundled(name)))


def within(name: str, model: str) -> dict[str, str]:
    """The same as `fingerprint`, of a further model, under a name: name/path -> SHA-256."""
    return {f"{name}/{path}": value for path, value in fingerprint(model).items()}
