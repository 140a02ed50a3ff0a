"""The parts of a study that other rooms keep: each makes its own known, as steps do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.module_loading import import_string

from annotation.models import Study

from .faults import Fault


@dataclass(frozen=True)
class Outline:
    """What of a file a part's check may look at besides the part itself.

    `value_keys` is None while the value system cannot be read; `post_keys` are those of the posts to label.
    """

    value_keys: frozenset[str] | None
    post_keys: frozenset[str]


@dataclass(frozen=True)
class Part:
    """One part of a study file, under the name `key`.

    Paths name functions, loaded at first use: `dump_path` one of (study) that returns the part as JSON has it;
    `check_path` one of (data, outline) that returns every fault; `load_path` one of (study, data) that stores
    a part without faults; `paper_path` one of () that returns the part of the paper's design.
    """

    key: str
    dump_path: str
    check_path: str
    load_path: str
    paper_path: str

    @property
    def dump(self) -> Callable[[Study], Any]:
        return import_string(self.dump_path)

    @property
    def check(self) -> Callable[[Any, Outline], list[Fault]]:
        return import_string(self.check_path)

    @property
    def load(self) -> Callable[[Study, Any], None]:
        return import_string(self.load_path)

    @property
    def describe_paper(self) -> Callable[[], Any]:
        return import_string(self.paper_path)


PARTS: dict[str, Part] = {}


def register(part: Part) -> None:
    """Make a part known. Raises ValueError when another one has its key."""
    if PARTS.setdefault(part.key, part) != part:
        raise ValueError(f"the part {part.key!r} of a study file is registered already")
