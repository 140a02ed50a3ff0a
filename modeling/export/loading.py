"""PURE. An archive on its way back in: the ratings of its included raters, as `load_study` stores them."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from modeling.errors import ImportRefused
from modeling.imports import StudyImport, arrange, read_study

from .cells import guard, unguard

LOADING = "for_load_study"
FORMAT = "parallax-ratings-1"
DESCRIPTION = "load.json"
_FILES = ("ratings", "posts", "calibration")
_DAMAGED = "The archive is damaged or was changed: {}. Export the study again."


def read_export(path: Path) -> tuple[StudyImport, str]:
    """Read the ratings of an archive, in the order in which the study had them; also return the study's name.

    Everything in the files is checked as files from anywhere else are.

    Raises
    ------
    ImportRefused
        If the file is no archive of an export, or holds no ratings, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
            names = {
                Path(name).name: name for name in archive.namelist() if Path(name).parent.name == LOADING
            }
            if DESCRIPTION not in names:
                raise ImportRefused(
                    [f"{path.name} has no folder {LOADING}: it is no export, or nobody in it is included."]
                )
            description = json.loads(archive.read(names[DESCRIPTION]))
            if description.get("format") != FORMAT:
                raise ImportRefused([f"{path.name} was exported by another version of Parallax."])
            paths = {}
            for role in _FILES:
                if (name := f"{role}.csv") in names:
                    paths[role] = Path(folder) / name
                    with archive.open(names[name]) as source, paths[role].open("wb") as target:
                        shutil.copyfileobj(source, target, 1 << 20)
            if not description["questions"]:
                paths.pop("calibration", None)
            lowest, highest = description["scale"]
            data = read_study(
                paths["ratings"],
                scale=(lowest, highest),
                posts=paths["posts"],
                calibration=paths.get("calibration"),
            )
            return _restore(data, description), str(description["name"])
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError) as error:
        if isinstance(error, ImportRefused):
            raise
        if isinstance(error, OSError):
            raise ImportRefused([f"{path} cannot be read ({error.strerror})."]) from error
        raise ImportRefused([_DAMAGED.format(error)]) from error


def _restore(data: StudyImport, description: dict[str, Any]) -> StudyImport:
    """Put everything in the study's own order, and texts as they were before they became cells."""
    stored = {guard(key).strip(): key for key in description["posts"]}
    data = replace(
        data,
        posts=tuple(
            replace(
                post,
                key=stored[post.key],
                text=unguard(post.text),
                context_text=unguard(post.context_text),
                metadata=json.loads(unguard(post.metadata["metadata"])),
            )
            for post in data.posts
        ),
    )
    data = arrange(
        data,
        raters=description["raters"],
        posts=description["posts"],
        values=[key for key, _ in description["values"]],
        questions=[(post, value) for post, value in description["questions"]],
    )
    names = dict(description["values"])
    return replace(data, values=tuple(replace(value, name=names[value.name]) for value in data.values))
