"""Researchers set a study up here and look at what came in; what raters answered is never edited."""

from . import history, posts, raters, studies, values
from .objects import ObjectField, show_json
from .rows import RaterRowAdmin, ReadOnlyAdmin, ReadOnlyInline, mark_simulated

__all__ = [
    "ObjectField",
    "RaterRowAdmin",
    "ReadOnlyAdmin",
    "ReadOnlyInline",
    "history",
    "mark_simulated",
    "posts",
    "raters",
    "show_json",
    "studies",
    "values",
]
