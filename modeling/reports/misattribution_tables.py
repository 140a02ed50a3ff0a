"""PURE. The tables of an error report, and how two of them differ. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .names import SAYS_STANDIN
from .tables import Column, Measures, Table, count, name_values

PAIRS, MATRIX = "misattributions", "confusions"
NOTHING = "nothing"  # in the place of a value: experts say that the post expresses none
NOTHING_SEEN = "None of the values"
GONE, STAYS, NEW = "gone", "stays", "new"


def tabulate_misattributions(measures: Measures) -> dict[str, Table]:
    """Return the tables of an error report by their keys, those without any number left out."""
    tables = (_tabulate_pairs(measures), _tabulate_matrix(measures))
    return {table.key: table for table in tables if table is not None}


def name_source(names: Mapping[str, str], key: str) -> str:
    """Return what experts see where the model errs, in words: the name of a value, or that it is none."""
    return names.get(key, NOTHING_SEEN)


def list_recurrent(measures: Measures) -> list[Measures]:
    """Return the pairs that are told from chance, the most frequent first."""
    return [pair for pair in measures["pairs"] if pair["is_recurrent"]]


def list_seen(measures: Measures, example: Measures, pair: Measures) -> list[str]:
    """Return the values of which somebody's rating of an example is worth showing: the pair's, then those expressed."""
    threshold = measures["threshold"]
    said = [example["reference"], example["model"], *(each["ratings"] for each in example["experts"])]
    keys = [value["key"] for value in measures["values"]]
    expressed = [key for key in keys if any((ratings[key] or 0) >= threshold for ratings in said)]
    first = [key for key in (pair["given"], pair["instead_of"]) if key in keys]
    return [*first, *(key for key in expressed if key not in first)]


def compare_recurrent(before: Measures, now: Measures) -> list[dict[str, Any]]:
    """Return which recurrent misattributions of an earlier run are gone, stay, or are new, each as it was and is.

    A pair that was tested on only one side has None on the other. Gone is what is not told from chance any more: with
    fewer posts to err on, less is told from chance.
    """
    of_before, of_now = (
        {(pair["given"], pair["instead_of"]): pair for pair in measures["pairs"]}
        for measures in (before, now)
    )
    found = []
    for state, keys in (
        (STAYS, [key for key in of_now if _recurs(of_now, key) and _recurs(of_before, key)]),
        (NEW, [key for key in of_now if _recurs(of_now, key) and not _recurs(of_before, key)]),
        (GONE, [key for key in of_before if _recurs(of_before, key) and not _recurs(of_now, key)]),
    ):
        found += [
            {
                "state": state,
                "given": given,
                "instead_of": instead_of,
                "before": of_before.get((given, instead_of)),
                "now": of_now.get((given, instead_of)),
            }
            for given, instead_of in keys
        ]
    return found


def _recurs(pairs: Mapping[tuple[str, str], Measures], key: tuple[str, str]) -> bool:
    return key in pairs and pairs[key]["is_recurrent"]


def say_ground(measures: Measures) -> str:
    """Return what the numbers rest on."""
    return (
        f"{count(measures['n_posts'], 'development post', 'development posts')} with a reference and a reading; a "
        f"value is expressed from a rating of {measures['threshold']:g} on. Test posts were not looked at."
    )


def _caption(measures: Measures, *sentences: str) -> str:
    standin = SAYS_STANDIN if measures["n_standin"] else ""
    return " ".join(filter(None, (*sentences, say_ground(measures), standin)))


def _tabulate_pairs(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows: list[list[Any]] = [
        [
            names[pair["given"]],
            name_source(names, pair["instead_of"]),
            pair["rate"],
            pair["wrong"],
            pair["chances"],
            pair["expected"],
            pair["ratio"],
            pair["replaced"],
            pair["p"],
            pair["p_adjusted"],
            _say_verdict(names, pair),
        ]
        for pair in measures["pairs"]
    ]
    if not rows:
        return None
    sure = f"{1 - measures['level']:.0%}".replace("%", "\u202f%")
    caption = _caption(
        measures,
        "A value that the model gives where experts see another one and not this. The rate is over the posts with the "
        "other and without this; by chance is the rate among posts with neither, nor with another value found to be "
        "mistaken for this.",
        f"Tests are exact and one-sided, corrected by Holm's method for all {measures['n_tests']:,} of them, so that "
        f"with a probability of at least {sure} none is called recurrent without ground. One that goes with others "
        "stands out by itself, but not beside these.",
    )
    columns = (
        Column("given", "The model gives", "text"),
        Column("instead_of", "Where experts see", "text"),
        Column("rate", "Rate", "share"),
        Column("wrong", "Posts given it", "count"),
        Column("chances", "of", "count"),
        Column("expected", "By chance", "share"),
        Column("ratio", "Times chance"),
        Column("replaced", "And the other missed", "count"),
        Column("p", "p", "p"),
        Column("p_adjusted", "p (Holm)", "p"),
        Column("recurrent", "Told from chance", "text"),
    )
    return Table(PAIRS, "What is mistaken for what", caption, columns, rows)


def _say_verdict(names: Mapping[str, str], pair: Measures) -> str:
    if pair["is_recurrent"]:
        return "recurrent"
    if pair["explained_by"]:
        return f"goes with {', '.join(name_source(names, key) for key in pair['explained_by'])}"
    return ""


def _tabulate_matrix(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows: list[list[Any]] = [
        [name_source(names, row["seen"]), *(cell["rate"] for cell in row["cells"])]
        for row in measures["matrix"]
    ]
    if not _has_numbers(rows):
        return None
    caption = _caption(
        measures,
        "Of the posts in which experts see the value of the row, and not that of the column, the share in which the "
        "model gives the value of the column; on the diagonal, the share of its posts in which the model finds it. The "
        "last row: posts in which experts see no value.",
    )
    columns = (
        Column("seen", "Experts see", "text"),
        *(Column(key, label, "share") for key, label in names.items()),
    )
    return Table(MATRIX, "What the model gives where experts see what", caption, columns, rows)


def _has_numbers(rows: Sequence[Sequence[Any]]) -> bool:
    return any(cell is not None for row in rows for cell in row[1:])
