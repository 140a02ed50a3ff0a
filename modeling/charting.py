"""The charts' JavaScript as a static file: Vega, Vega-Lite and Vega-Embed, as the drawing library carries them.

Whoever draws the figures on the server has the very library that draws them on the page, so the two always match.
The file is made when static files are collected, or when a developer's server is asked for it, and kept in VAR_DIR.
A process that serves pages never loads the drawing library.
"""

import os
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.contrib.staticfiles.utils import matches_patterns
from django.core.files.storage import FileSystemStorage

NAME = "js/vega.js"
DISTRIBUTION = "vl-convert-python"
SNIPPET = "window.vegaEmbed = vegaEmbed;"


def make_library() -> Path:
    """Return the folder that holds the file, making it first unless this version's is there."""
    mark = sha256(f"{version(DISTRIBUTION)} {SNIPPET}".encode()).hexdigest()[:12]
    folder = Path(settings.VAR_DIR) / "made-static" / mark
    path = folder / NAME
    if not path.exists():
        import vl_convert  # 80 MB that only whoever makes the file needs

        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=".", encoding="utf-8", delete=False
        ) as file:
            file.write(vl_convert.javascript_bundle(SNIPPET))
        Path(file.name).chmod(0o644)
        os.replace(file.name, path)  # nobody ever sees half of it  # noqa: PTH105
    return folder


class ChartLibraryFinder(BaseFinder):
    """Finds `js/vega.js`."""

    def check(self, **kwargs) -> list:
        return []

    def find(self, path: str, find_all: bool = False) -> str | list[str]:
        if path != NAME:
            return []
        found = str(make_library() / NAME)
        return [found] if find_all else found

    def list(self, ignore_patterns: list[str] | None) -> Iterator[tuple[str, FileSystemStorage]]:
        if not matches_patterns(NAME, ignore_patterns):
            storage = FileSystemStorage(location=make_library())
            storage.prefix = ""
            yield NAME, storage
