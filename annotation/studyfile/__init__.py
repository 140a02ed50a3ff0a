"""A study as one file: written, read, checked and made into a study again."""

from .faults import Fault, StudyFileError
from .loading import duplicate, find_free_slug, load
from .paper import create_from_paper
from .reading import read
from .writing import dump, to_json

__all__ = [
    "Fault",
    "StudyFileError",
    "create_from_paper",
    "dump",
    "duplicate",
    "find_free_slug",
    "load",
    "read",
    "to_json",
]
