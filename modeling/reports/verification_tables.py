"""PURE. The tables of a verification's report."""

from __future__ import annotations

from typing import Any

from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import Column, Measures, Table, count, has_numbers, say_level

ALL_RULES = "All rules together"
BEFORE, AFTER = "The model alone", "With all decisions"


def tabulate_verification(measures: Measures) -> dict[str, Table]:
    """Return the tables of a report by their keys; one without anything to say is left out."""
    found = (
        _tabulate_rules(measures),
        _tabulate_effect(measures),
        _tabulate_f1(measures),
        _tabulate_unknown(measures),
        _tabulate_values(measures),
    )
    return {table.key: table for table in found if table is not None}


def say_held(measures: Measures) -> str:
    """Return what the rules were held against, and from where on a value counts as expressed."""
    told = [
        f"{measures['rule_set']}, held against {count(measures['n_posts'], 'post', 'posts')} as read in run "
        f"{measures['run']} ({measures['annotator']}); a value is expressed from {measures['threshold']:g} on."
    ]
    if measures["n_unread"]:
        told.append(
            f"{count(measures['n_unread'], 'post', 'posts')} without a reading are flagged by no rule."
        )
    if measures["n_test"]:
        told.append(f"{count(measures['n_test'], 'test post', 'test posts')} of expert sets are left out.")
    return " ".join(told)


def _caption(measures: Measures, *sentences: str) -> str:
    said = " ".join(sentence for sentence in (*sentences, say_held(measures)) if sentence)
    return f"{said} {SAYS_STANDIN}" if measures["is_standin"] else said


def _tabulate_rules(measures: Measures) -> Table | None:
    rows = [
        [
            rule["title"],
            rule["key"],
            rule["n_flagged"],
            rule["load"],
            rule["n_only"],
            rule["n_undecided"],
            rule["n_decided"],
            rule["n_unsure"],
            rule["precision"],
            rule["interval"],
            rule["n_elsewhere"],
            rule["precision_reason"],
        ]
        for rule in measures["rules"]
    ]
    caption = _caption(
        measures,
        "Precision: the share of decided posts in which experts say another presence of a value that the rule flagged "
        f"the post for. Intervals ({say_level(measures)}) are Wilson’s. Posts of which experts are unsure are no "
        "decided ones.",
    )
    columns = (
        Column("title", "Rule", "text"),
        Column("key", "Key", "text"),
        Column("flagged", "Flagged", "count"),
        Column("load", "Per 1,000 posts"),
        Column("only", "By it alone", "count"),
        Column("undecided", "Unknown", "count"),
        Column("decided", "Decided", "count"),
        Column("unsure", "Unsure", "count"),
        Column("precision", "Precision", "share"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("elsewhere", "Wrong in another value", "count"),
        Column("reason", "Note", "text"),
    )
    return (
        Table("verification_rules", "How often each rule is right", caption, columns, rows) if rows else None
    )


def _tabulate_effect(measures: Measures) -> Table | None:
    if not measures["has_reference"]:
        return None
    entries = [
        (ALL_RULES, measures["effect"]),
        *((rule["title"], rule["effect"]) for rule in measures["rules"]),
    ]
    rows: list[list[Any]] = [
        [
            title,
            effect["difference"],
            effect["interval"],
            effect["p"],
            effect["n_decided_in_reference"],
            effect["n_better"],
            effect["n_worse"],
            effect["n_decided_without_reference"],
            effect["reason"],
        ]
        for title, effect in entries
    ]
    caption = _caption(
        measures,
        "Macro F1 against the experts’ reference on development posts, with the decisions about a rule’s posts in "
        "place of the model’s ratings, less that of the model alone. Intervals "
        f"({say_level(measures)}) are from {measures['n_resamples']:,} resamples of posts, p from swapping the two "
        "in posts drawn at random.",
    )
    columns = (
        Column("rule", "Rule", "text"),
        Column("difference", "Change of macro F1", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("p", "p", "p"),
        Column("decided", "Decided, with a reference", "count"),
        Column("better", "Posts better", "count"),
        Column("worse", "Posts worse", "count"),
        Column("without", "Decided, without", "count"),
        Column("reason", "Note", "text"),
    )
    return Table("verification_effect", "What each rule’s decisions change", caption, columns, rows)


def _tabulate_f1(measures: Measures) -> Table | None:
    effect = measures["effect"]
    rows = [
        [BEFORE, effect["before"], effect["before_interval"], effect["n_posts"]],
        [AFTER, effect["after"], effect["after_interval"], effect["n_posts"]],
    ]
    if not has_numbers(rows, 1):
        return None
    caption = _caption(measures, "Macro F1 against the experts’ reference on development posts.")
    columns = (
        Column("readings", "Readings", "text"),
        Column("f1", "Macro F1"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("posts", "Posts", "count"),
    )
    return Table("verification_f1", "Before and after the decisions", caption, columns, rows)


def _tabulate_unknown(measures: Measures) -> Table | None:
    rows = [
        [rule["title"], entry["place"], entry["words"], entry["n"], entry["n"] / measures["n_posts"]]
        for rule in measures["rules"]
        for entry in rule["unknown"]
        if measures["n_posts"]
    ]
    if not rows:
        return None
    caption = _caption(
        measures,
        "Conditions that could be told neither true nor false for some value: no distribution, a single sample, or "
        "another run without a reading.",
    )
    columns = (
        Column("rule", "Rule", "text"),
        Column("place", "Place", "text"),
        Column("condition", "Condition", "text"),
        Column("posts", "Posts", "count"),
        Column("share", "Of all", "share"),
    )
    return Table("verification_unknown", "What could not be told", caption, columns, rows)


def _tabulate_values(measures: Measures) -> Table | None:
    names = {value["key"]: value["name"] for value in measures["values"]}
    rows = [
        [names[entry["value"]], entry["n_added"], entry["n_changed"] - entry["n_added"]]
        for entry in measures["by_value"]
        if entry["n_changed"]
    ]
    if not rows:
        return None
    rows.sort(key=lambda row: -(row[1] + row[2]))
    caption = _caption(measures, "Decided posts in which experts say another presence than the model.")
    columns = (
        Column("value", "Value", "text"),
        Column("added", "Experts see it, the model does not", "count"),
        Column("removed", "The model sees it, experts do not", "count"),
    )
    return Table("verification_values", "Which values were corrected", caption, columns, rows)
