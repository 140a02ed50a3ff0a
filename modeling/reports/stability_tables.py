"""PURE. The tables of a stability report. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from .calibration_tables import STANDIN_MARK, say_threshold
from .names import SAYS_STANDIN
from .tables import Column, Measures, Table, count, has_numbers, name_values, say_left_out, say_level

ALL = "All values"
MORE_SAMPLES = (
    "A spread needs at least two samples of each post: make a version of the annotator model with more runs per post "
    "and a temperature above 0, and have it read the development posts."
)


def tabulate_stability(measures: Measures) -> dict[str, Table]:
    """Return the tables of a stability report by their keys, those without any number left out."""
    tables = (_tabulate_repeats(measures), _tabulate_wordings(measures))
    return {table.key: table for table in tables if table is not None}


def say_wordings(measures: Measures) -> str:
    """Return whether paraphrases change more than repeating does, in words."""
    found = measures["wordings"]
    share = found["flips"]["estimate"]
    if share is None:
        return ""
    said = f"In other words, {share:.1%} of the values change between expressed and not expressed"
    floor = found["noise_floor"]
    if floor is None:
        return f"{said}. How much would change without other words is not known: the run has one sample of each post."
    said += f"; two samples of one wording differ in {floor:.1%}"
    if found["is_above_noise"] is None:
        return f"{said}. There are too few posts to tell the two apart."
    if found["is_above_noise"]:
        return f"{said}: more than repeating alone explains."
    return f"{said}: no more than repeating alone may explain."


def _caption(measures: Measures, *sentences: str) -> str:
    name = measures["label"] + (STANDIN_MARK if measures["is_standin"] else "")
    intervals = f"Intervals ({say_level(measures)}) are from {measures['n_resamples']:,} bootstrap resamples of posts."
    standin = [SAYS_STANDIN] if measures["is_standin"] else []
    head = f"Run {measures['run']} of {name}."
    return " ".join([head, *sentences, say_threshold(measures), intervals, *standin])


def _tabulate_repeats(measures: Measures) -> Table | None:
    found, names = measures["repeats"], name_values(measures)
    lines = [(ALL, found), *((names[row["value"]], row) for row in found["by_value"])]
    rows = [
        [
            name,
            line["n_posts"],
            line["flips"]["estimate"],
            line["flips"]["interval"],
            line["disagreement"]["estimate"],
            line["disagreement"]["interval"],
            line["spread"]["estimate"],
            line["spread"]["interval"],
            line["flips"]["reason"],
        ]
        for name, line in lines
    ]
    if not has_numbers(rows, 2):
        return None
    sentences = [
        f"{count(found['n_runs'], 'sample', 'samples')} of each of {count(found['n_posts'], 'post', 'posts')}.",
    ]
    if found["n_left_out"]:
        sentences.append(f"{count(found['n_left_out'], 'post', 'posts')} without two readings left out.")
    if measures["n_failed"]:
        sentences.append(f"{measures['n_failed']:,} readings failed.")
    caption = _caption(measures, *sentences) + say_left_out(
        [row[0] for row in rows if row[2] is None], "Not defined"
    )
    level = say_level(measures)
    columns = (
        Column("value", "Value", "text"),
        Column("posts", "Posts", "count"),
        Column("flips", "Flips in some sample", "share"),
        Column("flips_interval", f"{level} interval", "interval"),
        Column("disagreement", "Two samples differ", "share"),
        Column("disagreement_interval", "Its interval", "interval"),
        Column("spread", "Spread"),
        Column("spread_interval", "Its interval ", "interval"),
        Column("note", "Note", "text"),
    )
    return Table("stability_repeats", "How far repeated readings say the same", caption, columns, rows)


def _tabulate_wordings(measures: Measures) -> Table | None:
    found, names = measures["wordings"], name_values(measures)
    lines = [(ALL, found | {"n_posts": found["n_originals"]})]
    lines += [(names[row["value"]], row) for row in found["by_value"]]
    rows = [
        [
            name,
            line["n_posts"],
            line["flips"]["estimate"],
            line["flips"]["interval"],
            line["difference"]["estimate"],
            line["difference"]["interval"],
            line["flips"]["reason"],
        ]
        for name, line in lines
    ]
    if not has_numbers(rows, 2):
        return None
    sentences = [
        f"{count(found['n_variants'], 'paraphrase', 'paraphrases')} of {count(found['n_originals'], 'post', 'posts')}.",
        say_wordings(measures),
    ]
    if found["n_left_out"]:
        sentences.append(
            f"{count(found['n_left_out'], 'paraphrase', 'paraphrases')} without a reading left out."
        )
    rho = found["rho"]
    if rho["estimate"] is not None:
        sentences.append(
            f"Mean Spearman's rho of a paraphrase with its original: {rho['estimate']:.3f}; not defined for "
            f"{found['n_rho_undefined']:,}, since one side is constant."
        )
    caption = _caption(measures, *sentences) + say_left_out(
        [row[0] for row in rows if row[2] is None], "Not defined"
    )
    columns = (
        Column("value", "Value", "text"),
        Column("posts", "Posts", "count"),
        Column("flips", "Changes with the wording", "share"),
        Column("flips_interval", f"{say_level(measures)} interval", "interval"),
        Column("difference", "Mean absolute difference"),
        Column("difference_interval", "Its interval", "interval"),
        Column("note", "Note", "text"),
    )
    return Table("stability_wordings", "How far other words change the reading", caption, columns, rows)
