"""Tests of transformers run where their packages are installed; the head of the run says what is left out."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .tiny import PIECES, WORDS, make_config, make_tensors

NEEDS = {
    "test_tokens.py": ("tokenizers",),
    "test_forward.py": (),
    "test_folders.py": ("tokenizers", "safetensors"),
    "test_training_free.py": ("tokenizers",),
    "test_training.py": ("tokenizers", "safetensors", "torch"),
}


def _list_missing(name: str) -> list[str]:
    return [package for package in NEEDS[name] if importlib.util.find_spec(package) is None]


collect_ignore = [name for name in NEEDS if _list_missing(name)]


def pytest_report_header() -> list[str]:
    return [
        f"left out: {Path(__file__).parent.name}/{name} ({', '.join(_list_missing(name))} not installed)"
        for name in collect_ignore
    ]


def write_tiny_folder(
    folder: Path, config: dict[str, Any] | None = None, tensors: dict[str, Any] | None = None
) -> Path:
    """Write the folder of a small BERT that knows 144 invented words."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True)
    config = make_config() if config is None else config
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_text("\n".join(PIECES + WORDS) + "\n")
    save_file(make_tensors(config) if tensors is None else tensors, folder / "model.safetensors")
    return folder


@pytest.fixture
def write_folder(tmp_path: Path) -> Callable[..., Path]:
    """Writes such a folder under a name of its own."""

    def write(name: str = "tiny", **contents: Any) -> Path:
        return write_tiny_folder(tmp_path / name, **contents)

    return write
