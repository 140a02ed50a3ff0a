"""PURE. Tables and words of what encoders came to. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .encoder_teaching import tabulate_teaching
from .names import SAYS_STANDIN
from .tables import Column, Measures, Table, count, has_numbers, name_values, say_left_out, say_level

# What is measured: its name, and whether more of it is better.
MEASURES: Mapping[str, tuple[str, bool]] = {
    "macro_f1": ("Macro F1", True),
    "rank": ("Rank agreement (rho)", True),
    "mae": ("Distance from the reference", False),
    "rps": ("Ranked probability score", False),
    "brier": ("Brier score", False),
    "ece": ("Calibration error (ECE)", False),
    "error_uncertainty": ("Rho of error and uncertainty", True),
}
SHOWN: Mapping[str, tuple[str, bool]] = {
    "macro_f1": MEASURES["macro_f1"],
    "macro_precision": ("Macro precision", True),
    "macro_recall": ("Macro recall", True),
} | {name: found for name, found in MEASURES.items() if name != "macro_f1"}
VERDICTS = {
    "better": "better, beyond chance",
    "worse": "worse, beyond chance",
    "noise": "within chance",
    "": "not known",
}
LOSSES = {
    "better": "lost, beyond chance",
    "worse": "gained, beyond chance",
    "noise": "within chance",
    "": "not known",
}
FINE = ("rps", "brier")  # squared, and so small that they need a decimal more
MEANINGS = (
    "A value counts as expressed from a mean rating of {threshold} on. Distance: of the mean rating from the "
    "reference, in scale points. Ranked probability score: squared distance of the cumulative distributions, from 0 "
    "to 1. Brier score and calibration error: of the probability that a rating is {threshold} or more, against the "
    "share of the reference’s ratings that are. Rho of error and uncertainty: whether the encoder is further from a "
    "single rating where its distribution is wide."
)


def tabulate_encoder(measures: Measures) -> dict[str, Table]:
    """Return the tables of a training's report by their keys, those without any number left out."""
    makers: tuple[Callable[[Measures], Table | None], ...] = (
        _tabulate_scores,
        _tabulate_differences,
        _tabulate_reliability,
        _tabulate_values,
        _tabulate_out_of_fold,
        tabulate_teaching,
    )
    return {table.key: table for table in (make(measures) for make in makers) if table is not None}


def tabulate_transfer(measures: Measures) -> dict[str, Table]:
    """Return the tables of a transfer check's report by their keys, those without any number left out."""
    makers = (_tabulate_cells, _tabulate_losses, _tabulate_sources)
    return {table.key: table for table in (make(measures) for make in makers) if table is not None}


def say_findings(measures: Measures) -> list[str]:
    """Return what soft labels changed, in sentences: what is beyond chance, and what is not.

    Intervals are not corrected for how many measures are looked at; the last sentence says so.
    """
    said = []
    for each in measures["differences"]:
        of_verdict: dict[str, list[str]] = {verdict: [] for verdict in VERDICTS}
        for name, found in each["measures"].items():
            of_verdict[found["verdict"]].append(f"{MEASURES[name][0].lower()} {_tell_ends(found, name)}")
        if each["label"]:
            said.append(f"{each['label']}:")
        for verdict, words in VERDICTS.items():
            if of_verdict[verdict]:
                said.append(f"{words[0].upper()}{words[1:]}: {'; '.join(of_verdict[verdict])}.")
    n_measures = len(MEASURES) * len(measures["differences"])
    if n_measures:
        said.append(
            f"{n_measures} differences are looked at, each at its own level of {say_level(measures)}: where nothing "
            "differs, about one in twenty seems to."
        )
    return said


def group_findings(measures: Measures) -> list[dict[str, Any]]:
    """Return for each pair of encoders what is better, worse and within chance, for a page to show."""
    groups = []
    for each in measures["differences"]:
        rows = [
            {"verdict": verdict, "words": words, "differences": found}
            for verdict, words in VERDICTS.items()
            if (
                found := [
                    {"name": MEASURES[name][0], "told": _tell_ends(one, name), **one}
                    for name, one in each["measures"].items()
                    if one["verdict"] == verdict
                ]
            )
        ]
        groups.append({"label": each["label"], "rows": rows})
    return groups


def _tell_ends(found: Mapping[str, Any], name: str) -> str:
    if found["estimate"] is None:
        return f"({found['reason']})" if found["reason"] else "(no number)"
    style = "+.4f" if name in FINE else "+.3f"
    told = f"{found['estimate']:{style}}"
    low, high = found["interval"]
    if low is not None:
        told += f" ({low:{style}} to {high:{style}})"
    elif found["reason"]:
        told += f" ({found['reason']})"
    return told.replace("-", "\u2212")


def say_reference(measures: Measures) -> str:
    """Return which posts the numbers rest on, and what counts as the truth."""
    posts = count(measures["n_posts"], "post", "posts")
    truth = (
        "by what experts say" if measures["by_experts"] else "by the means of their own soft labels, held out"
    )
    return f"Judged on {posts} that no encoder was taught, {truth}; {measures['n_pairs']:,} pairs of post and value."


def say_resampled(measures: Measures) -> str:
    """Return what the intervals come from."""
    return (
        f"Intervals ({say_level(measures)}) are from {measures['n_resamples']:,} bootstrap resamples of the posts "
        "judged; other posts to teach by would move the numbers too."
    )


def _mark(measures: Measures) -> str:
    return f" {SAYS_STANDIN}" if measures["n_standin"] else ""


def _explain(measures: Measures) -> str:
    return MEANINGS.format(threshold=measures["threshold"])


def _tabulate_scores(measures: Measures) -> Table | None:
    models = measures["models"]
    rows = []
    for name, (label, is_more_better) in SHOWN.items():
        row: list[Any] = [label, "more" if is_more_better else "less"]
        for model in models:
            row += [model[name]["estimate"], model[name]["interval"]]
        reasons = {model[name]["reason"] for model in models} - {""}
        rows.append([*row, "; ".join(sorted(reasons))])
    if not has_numbers(rows, *range(2, 2 + 2 * len(models), 2)):
        return None
    names = name_values(measures)
    keys = list(names)
    left_out = [names[keys[value]] for value, _ in models[0]["left_out"]]
    caption = (
        f"{say_reference(measures)} {_explain(measures)} {say_resampled(measures)}"
        + say_left_out(left_out, "Not in the macro measures, as the reference has one class only")
        + _mark(measures)
    )
    columns = [Column("measure", "Measure", "text"), Column("better", "Better", "text")]
    for model in models:
        columns += [
            Column(model["key"], model["label"]),
            Column(f"{model['key']}_interval", f"{say_level(measures)} interval", "interval"),
        ]
    columns.append(Column("note", "Note", "text"))
    return Table("encoder_scores", "What each encoder came to", caption, tuple(columns), rows)


def _tabulate_differences(measures: Measures) -> Table | None:
    rows = [
        [
            each["label"],
            MEASURES[name][0],
            found["estimate"],
            found["interval"],
            found.get("p"),
            VERDICTS[found["verdict"]],
            found["reason"],
        ]
        for each in measures["differences"]
        for name, found in each["measures"].items()
    ]
    if not has_numbers(rows, 2):
        return None
    caption = (
        f"{say_reference(measures)} The first less the second, on the same posts. {say_resampled(measures)} "
        "Macro F1 is judged by its p, from swapping the two encoders in random posts; the others by whether the "
        "interval leaves out zero. No correction is made for the number of differences." + _mark(measures)
    )
    columns = (
        Column("difference", "Difference", "text"),
        Column("measure", "Measure", "text"),
        Column("estimate", "Estimate", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("p", "p", "p"),
        Column("verdict", "The first is", "text"),
        Column("note", "Note", "text"),
    )
    return Table("encoder_differences", "Soft labels compared with hard labels", caption, columns, rows)


def _tabulate_reliability(measures: Measures) -> Table | None:
    rows = [
        [
            model["label"],
            *(each[name] for name in ("low", "high", "n", "probability", "observed", "interval")),
        ]
        for model in measures["models"]
        for each in model["bins"]
        if each["n"]
    ]
    if not rows:
        return None
    caption = (
        f"{say_reference(measures)} Pairs of post and value by the probability that the encoder gives to a rating of "
        f"{measures['threshold']} or more, in {len(measures['models'][0]['bins'])} bins of equal width, and the share "
        f"of the reference’s ratings that are. {say_resampled(measures)}{_mark(measures)}"
    )
    columns = (
        Column("encoder", "Encoder", "text"),
        Column("from", "From"),
        Column("to", "to"),
        Column("pairs", "Pairs", "count"),
        Column("probability", "Mean probability"),
        Column("observed", "Share of ratings"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
    )
    return Table("encoder_reliability", "Are the probabilities right?", caption, columns, rows)


def _tabulate_values(measures: Measures) -> Table | None:
    models = measures["models"]
    rows = []
    for place, name in enumerate(name_values(measures).values()):
        own = [model["per_value"][place] for model in models]
        row: list[Any] = [name, own[0]["n_true"], own[0]["n_posts"]]
        for each in own:
            row += [each["f1"]["estimate"], each["f1"]["interval"]]
        row += [own[0]["rank"]["estimate"], own[0]["rank"]["interval"]]
        rows.append(
            [*row, "; ".join(dict.fromkeys(each["f1"]["reason"] for each in own if each["f1"]["reason"]))]
        )
    if not has_numbers(rows, *range(3, 3 + 2 * len(models), 2)):
        return None
    caption = (
        f"{say_reference(measures)} F1 at a mean rating of {measures['threshold']} or more. "
        f"{say_resampled(measures)}{_mark(measures)}"
    )
    columns = [
        Column("value", "Value", "text"),
        Column("true", "Posts that express it", "count"),
        Column("posts", "Posts", "count"),
    ]
    for model in models:
        columns += [
            Column(f"{model['key']}_f1", f"F1, {model['label'].lower()}"),
            Column(f"{model['key']}_interval", f"{say_level(measures)} interval", "interval"),
        ]
    columns += [
        Column("rho", f"Rho over posts, {models[0]['label'].lower()}", "signed"),
        Column("rho_interval", f"{say_level(measures)} interval", "interval"),
        Column("note", "Note", "text"),
    ]
    return Table("encoder_by_value", "Value by value", caption, tuple(columns), rows)


def _tabulate_out_of_fold(measures: Measures) -> Table | None:
    found = measures["out_of_fold"]
    if not found:
        return None
    rows = [
        [
            label,
            "more" if more else "less",
            found[name]["estimate"],
            found[name]["interval"],
            found[name]["reason"],
        ]
        for name, (label, more) in SHOWN.items()
    ]
    if not has_numbers(rows, 2):
        return None
    caption = (
        f"Of the {measures['n_taught']:,} posts taught, {measures['n_shown']:,} as read by an encoder that was taught "
        f"the other {measures['n_folds'] - 1} of {measures['n_folds']} folds, against their own soft labels. "
        f"{say_resampled(measures)}{_mark(measures)}"
    )
    columns = (
        Column("measure", "Measure", "text"),
        Column("better", "Better", "text"),
        Column("estimate", measures["models"][0]["label"]),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("note", "Note", "text"),
    )
    return Table("encoder_out_of_fold", "The posts it was taught, read out of fold", caption, columns, rows)


# --- transfer -----------------------------------------------------------------------------------


def name_pair(cell: Mapping[str, Any]) -> str:
    """Return what a pair of sources is called."""
    if cell["train"] == cell["test"]:
        return f"{cell['test']}, by its own"
    return f"{cell['test']}, by {cell['train']}"


def say_transfer(measures: Measures) -> list[str]:
    """Return what was lost between sources, in sentences."""
    said = []
    f1_of_own = {cell["test"]: cell["macro_f1"] for cell in measures["cells"] if not cell["loss"]}
    for cell in measures["cells"]:
        if not cell["loss"]:
            continue
        loss, own = cell["loss"]["macro_f1"], f1_of_own[cell["test"]]
        said.append(
            f"Taught “{cell['train']}” and judged on “{cell['test']}”: macro F1 {_tell(cell['macro_f1'])}, and "
            f"{_tell(own)} when taught its own; own less other {_tell_ends(loss, 'macro_f1')}: "
            f"{LOSSES[loss['verdict']]}."
        )
    return said


def _tell(score: Mapping[str, Any]) -> str:
    return "does not exist" if score["estimate"] is None else f"{score['estimate']:.3f}"


def _tabulate_cells(measures: Measures) -> Table | None:
    counts = {each["name"]: each for each in measures["sources"]}
    shown = ("macro_f1", "rank", "ece", "rps")
    rows = []
    for cell in measures["cells"]:
        row: list[Any] = [cell["test"], cell["train"], counts[cell["train"]]["n_taught"], cell["n_posts"]]
        for name in shown:
            row += [cell[name]["estimate"], cell[name]["interval"]]
        rows.append(
            [*row, "; ".join(dict.fromkeys(cell[name]["reason"] for name in shown if cell[name]["reason"]))]
        )
    if not has_numbers(rows, 4, 6, 8, 10):
        return None
    caption = f"{_explain(measures)} {say_resampled(measures)}{_mark(measures)}"
    columns = [
        Column("judged_on", "Judged on", "text"),
        Column("taught", "Taught", "text"),
        Column("n_taught", "Posts taught", "count"),
        Column("n_judged", "Posts judged", "count"),
    ]
    for name in shown:
        columns += [
            Column(name, MEASURES[name][0]),
            Column(f"{name}_interval", f"{say_level(measures)} interval", "interval"),
        ]
    columns.append(Column("note", "Note", "text"))
    return Table("transfer_scores", "Every source on every other", caption, tuple(columns), rows)


def _tabulate_losses(measures: Measures) -> Table | None:
    rows = [
        [
            cell["test"],
            cell["train"],
            MEASURES[name][0],
            found["estimate"],
            found["interval"],
            found.get("p"),
            LOSSES[found["verdict"]],
            found["reason"],
        ]
        for cell in measures["cells"]
        if cell["loss"]
        for name, found in cell["loss"].items()
    ]
    if not has_numbers(rows, 3):
        return None
    caption = (
        "What the encoder taught the source itself comes to, less what the one taught the other source comes to, on "
        f"the same held-out posts. {say_resampled(measures)} No correction is made for the number of differences."
        + _mark(measures)
    )
    columns = (
        Column("judged_on", "Judged on", "text"),
        Column("taught", "Taught", "text"),
        Column("measure", "Measure", "text"),
        Column("loss", "Own less other", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("p", "p", "p"),
        Column("verdict", "So it is", "text"),
        Column("note", "Note", "text"),
    )
    return Table("transfer_losses", "What is lost on another source", caption, columns, rows)


def _tabulate_sources(measures: Measures) -> Table:
    rows = [
        [each["name"], each["n_posts"], each["n_taught"], each["n_judged"], ""]
        for each in measures["sources"]
    ]
    rows += [[name, n_posts, 0, 0, "too few posts"] for name, n_posts in measures["left_out"]]
    columns = (
        Column("source", "Source", "text"),
        Column("posts", "Posts with text and labels", "count"),
        Column("taught", "Taught", "count"),
        Column("judged", "Judged on", "count"),
        Column("note", "Note", "text"),
    )
    caption = "Every source is taught by as many posts as the others." + _mark(measures)
    return Table("transfer_sources", "The sources", caption, columns, rows)
