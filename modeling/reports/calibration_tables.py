"""PURE. The tables of a calibration report, and what is said of gains. Pages import it: it loads nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .names import SAYS_STANDIN
from .tables import Column, Measures, Table, count, has_numbers, name_values, say_left_out, say_level

PROMPT, ENCODER = "prompt: ", "encoder: "
STANDIN_MARK = " (stand-in)"
NOISE_LEVEL = 0.05
CERTAINTY_SCORES = ("overconfidence", "ece", "brier", "error_uncertainty")


def tabulate_calibration(measures: Measures) -> dict[str, Table]:
    """Return the tables of a calibration report by their keys, those without any number left out."""
    makers = (
        _tabulate_history,
        _tabulate_gains,
        _tabulate_newest,
        _tabulate_certainty,
        _tabulate_reliability,
        _tabulate_experts,
        _tabulate_values,
    )
    tables = (make(measures) for make in makers)
    return {table.key: table for table in tables if table is not None}


def name_version(run: Measures, *, in_family: bool = True) -> str:
    """Return what a version is called: 'main, version 3'.

    >>> name_version({"family": "prompt: main", "version": 3}), name_version({"family": "encoder: E5", "version": 1})
    ('main, version 3', 'E5, version 1')
    """
    family = run["family"].removeprefix(PROMPT).removeprefix(ENCODER)
    return f"{family}, version {run['version']}" if in_family else f"version {run['version']}"


def name_run(run: Measures) -> str:
    """Return what a run is called where several stand together; a stand-in is named so wherever it stands.

    >>> name_run({"family": "prompt: main", "version": 3, "line": "gpt", "run": 7, "is_standin": True})
    'main, version 3, by gpt (stand-in), run 7'
    """
    return (
        f"{name_version(run)}, by {run['line']}{STANDIN_MARK if run['is_standin'] else ''}, run {run['run']}"
    )


def find_run(measures: Measures, number: int | None) -> Measures | None:
    """Return what a report says of a run."""
    return next((run for run in measures["runs"] if run["run"] == number), None)


def say_threshold(measures: Measures) -> str:
    """Return from when on a value counts as expressed."""
    low, high = measures["scale"]
    return f"A value counts as expressed from {measures['threshold']:g} on the scale from {low} to {high}."


def say_posts(measures: Measures) -> str:
    """Return which posts the numbers rest on."""
    kind = "test" if measures["split"] == "test" else "development"
    said = (
        f"{measures['n_posts']:,} of {count(measures['n_items'], f'{kind} post has', f'{kind} posts have')}"
    )
    said += " a reference by experts."
    if measures["n_unlabeled"]:
        said += f" {count(measures['n_unlabeled'], 'post has', 'posts have')} no label yet."
    if measures["n_open"]:
        said += f" {count(measures['n_open'], 'value of a post is', 'values of posts are')} open, since experts differ."
    return said


def say_gain(pair: Measures | None) -> str:
    """Return in words what the second of two runs gained over the first, and whether that is noise.

    >>> say_gain({"difference": 0.04, "interval": [0.01, 0.07], "p": 0.0004, "is_within_noise": False, "n_posts": 80})
    'Macro F1 rose by 0.040 (0.010 to 0.070, p < 0.001, 80 posts): more than noise.'
    >>> say_gain({"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0, "is_within_noise": True, "n_posts": 80})
    'Macro F1 stayed as it was (0.000 to 0.000, p = 1.000, 80 posts): within noise.'
    """
    if pair is None:
        return ""
    if pair["difference"] is None:
        return f"No difference can be told: {pair['reason']}."
    difference = f"{abs(pair['difference']):.3f}"
    moved = f"{'rose' if pair['difference'] > 0 else 'fell'} by {difference}"
    if not float(difference):
        moved = "stayed as it was"
    p = pair["p"]
    told = [] if p is None else ["p < 0.001" if p < 0.001 else f"p = {p:.3f}"]
    low, high = pair["interval"]
    if low is not None:
        told.insert(0, f"{_minus(low)} to {_minus(high)}")
    told.append(count(pair["n_posts"], "post", "posts"))
    said = f"Macro F1 {moved} ({', '.join(told)})"
    if p is None:
        return f"{said}: whether this is noise cannot be told, {pair['reason']}."
    return f"{said}: {'within noise' if pair['is_within_noise'] else 'more than noise'}."


def say_noise(pair: Measures | None) -> str:
    """Return a cell's word for a difference."""
    if pair is None or pair["p"] is None:
        return ""
    if pair["is_within_noise"]:
        return "within noise"
    return "better" if pair["difference"] > 0 else "worse"


def say_left_out_of(run: Measures, names: Mapping[str, str]) -> list[str]:
    """Return what a run could not be measured on, each in a sentence."""
    told = []
    if run["n_taught"]:
        told.append(f"{count(run['n_taught'], 'post', 'posts')} left out that the model was taught.")
    if run["n_unread"]:
        told.append(f"{count(run['n_unread'], 'post has', 'posts have')} no reading with ratings.")
    if run["n_failed"]:
        kinds = ", ".join(f"{kind}: {number:,}" for kind, number in run["failures"].items())
        told.append(f"{run['n_failed']:,} of {run['n_readings']:,} readings failed ({kinds}).")
    by_reason: dict[str, list[str]] = {}
    for each in run["left_out"]:
        by_reason.setdefault(each["reason"], []).append(names[each["value"]])
    told += [f"Without an F1, {reason}: {'; '.join(found)}." for reason, found in by_reason.items()]
    told += [f"Macro F1: {run['f1']['reason']}."] if run["f1"]["reason"] else []
    return told


def say_source(certainty: Measures) -> str:
    """Return where a run's probabilities come from.

    >>> say_source({"from": "samples", "n_samples": 5})
    'share of 5 samples'
    """
    if certainty["from"] == "samples":
        return f"share of {certainty['n_samples']} samples"
    return "its distributions"


def say_certainty(run: Measures) -> str:
    """Return in words how sure a run is against how often it is right.

    >>> say_certainty({"certainty": None, "certainty_reason": "it has one sample"})
    'How sure it is cannot be told: it has one sample.'
    """
    found = run.get("certainty")
    if found is None:
        return f"How sure it is cannot be told: {run.get('certainty_reason') or 'it was not measured'}."
    signed = found["overconfidence"]
    said = f"{found['confidence']:.1%} sure on average and right in {found['accuracy']:.1%}: "
    low, high = signed["interval"]
    if low is None:
        return f"{said}whether that is more than chance cannot be told, {signed['reason']}."
    numbers = f"{_minus(signed['estimate'], '+.3f')}, {_minus(low, '+.3f')} to {_minus(high, '+.3f')}"
    if found["verdict"] == "neither":
        return f"{said}neither overconfident nor underconfident beyond chance ({numbers})."
    return f"{said}{found['verdict']} ({numbers})."


def _minus(number: float, style: str = ".3f") -> str:
    return f"{number:{style}}".replace("-", "\u2212")


def _caption(measures: Measures, *sentences: str, of_models: bool = True) -> str:
    intervals = f"Intervals ({say_level(measures)}) are from {measures['n_resamples']:,} bootstrap resamples of posts."
    said = " ".join([*sentences, say_posts(measures), say_threshold(measures), intervals])
    return said + (_say_standins(measures) if of_models else "")


def _say_standins(measures: Measures) -> str:
    names = dict.fromkeys(run["line"] for run in measures["runs"] if run["is_standin"])
    return f" {SAYS_STANDIN.removesuffix('.')}: {'; '.join(names)}." if names else ""


def _note(run: Measures) -> str:
    notes = [SAYS_STANDIN] if run["is_standin"] else []
    return " ".join(notes + ([f"{run['f1']['reason']}."] if run["f1"]["reason"] else []))


def _tabulate_history(measures: Measures) -> Table | None:
    rows = []
    for run in measures["runs"]:
        before = run["before"] or {}
        rows.append(
            [
                name_version(run),
                run["line"] + (STANDIN_MARK if run["is_standin"] else ""),
                run["run"],
                run["finished"][:16].replace("T", " "),
                run["n_posts"],
                run["precision"]["estimate"],
                run["recall"]["estimate"],
                run["f1"]["estimate"],
                run["f1"]["interval"],
                run["n_values"],
                before.get("difference"),
                before.get("interval"),
                before.get("p"),
                say_noise(run["before"]),
                run["rank"]["estimate"],
                run["rank"]["interval"],
                run["n_taught"],
                run["n_failed"],
                run["cost_per_1000"],
                _note(run),
            ]
        )
    if not rows:
        return None
    caption = _caption(
        measures,
        "Precision, recall and F1 are means over the values that have one.",
        "The gain is the difference in macro F1 to the version before it by the same model, on the posts both have "
        "read; p is two-sided, from swapping the two within posts.",
    )
    columns = (
        Column("version", "Version", "text"),
        Column("model", "Model", "text"),
        Column("run", "Run", "count"),
        Column("finished", "Done (UTC)", "text"),
        Column("posts", "Posts", "count"),
        Column("precision", "Precision"),
        Column("recall", "Recall"),
        Column("f1", "Macro F1"),
        Column("f1_interval", f"{say_level(measures)} interval", "interval"),
        Column("values", "Values", "count"),
        Column("gain", "Gain", "signed"),
        Column("gain_interval", "Its interval", "interval"),
        Column("gain_p", "p", "p"),
        Column("gain_says", "Gain is", "text"),
        Column("rank", "Rank agreement"),
        Column("rank_interval", "Its interval", "interval"),
        Column("taught", "Taught", "count"),
        Column("failed", "Failed readings", "count"),
        Column("cost_per_1000", "Dollars per 1,000 readings"),
        Column("note", "Note", "text"),
    )
    return Table("calibration_history", "Versions and models against experts", caption, columns, rows)


def _tabulate_gains(measures: Measures) -> Table | None:
    """Each run less the best one."""
    best = find_run(measures, measures["best"])
    rows = [
        [
            name_run(run),
            *(pair[key] for key in ("difference", "interval", "p")),
            say_noise(pair),
            pair["n_posts"],
        ]
        for run in measures["runs"]
        if (pair := run["from_best"])
    ]
    if best is None or not has_numbers(rows, 1):
        return None
    caption = _caption(
        measures,
        f"Macro F1 of each run less that of {name_run(best)}, on the posts both have read.",
        "The best is the best of these posts; among many it may be so by luck.",
    )
    columns = (
        Column("run", "Run", "text"),
        Column("difference", "Difference", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("p", "p", "p"),
        Column("says", "Difference is", "text"),
        Column("posts", "Posts", "count"),
    )
    return Table("calibration_best", "Each run beside the best", caption, columns, rows)


def _tabulate_newest(measures: Measures) -> Table | None:
    newest = find_run(measures, measures["newest"])
    if newest is None:
        return None
    before = find_run(measures, (newest["before"] or {}).get("other"))
    changes = {row["value"]: row for row in (newest["before"] or {}).get("by_value", ())}
    names = name_values(measures)
    rows = []
    for place, found in enumerate(newest["by_value"]):
        older = before["by_value"][place] if before else None
        change = changes.get(found["value"], {})
        rows.append(
            [
                names[found["value"]],
                found["n_true"],
                found["f1"]["estimate"],
                found["f1"]["interval"],
                older["f1"]["estimate"] if older else None,
                older["f1"]["interval"] if older else None,
                change.get("difference"),
                change.get("interval"),
                change.get("p_adjusted"),
                found["f1"]["reason"],
            ]
        )
    if not has_numbers(rows, 2, 4):
        return None
    label = name_version(newest)
    caption = _caption(
        measures,
        f"{name_run(newest)}"
        + (
            f", beside {name_run(before)}. p is adjusted by Holm's method over the values." if before else "."
        ),
    )
    caption += say_left_out([row[0] for row in rows if row[2] is None], "Without an F1")
    columns = (
        Column("value", "Value", "text"),
        Column("n_true", "Posts that express it", "count"),
        Column("f1", label),
        Column("f1_interval", f"{say_level(measures)} interval", "interval"),
        Column("f1_before", name_version(before) if before else "Before"),
        Column("f1_before_interval", "Its interval", "interval"),
        Column("difference", "Difference", "signed"),
        Column("difference_interval", "Its interval ", "interval"),
        Column("p_adjusted", "p, adjusted", "p"),
        Column("note", "Note", "text"),
    )
    title = "F1 of each value, and before" if before else "F1 of each value"
    return Table("calibration_newest", title, caption, columns, rows)


def _tabulate_certainty(measures: Measures) -> Table | None:
    rows = [
        [
            name_run(run),
            say_source(found),
            found["confidence"],
            found["accuracy"],
            *_score_cells(found["overconfidence"]),
            found["p"],
            {"neither": "neither beyond chance", "": "not told"}.get(found["verdict"], found["verdict"]),
            *_score_cells(found["ece"]),
            found["ece_by_chance"],
            found["ece_p"],
            *_score_cells(found["brier"]),
            *_score_cells(found["error_uncertainty"]),
            found["n_pairs"],
            found["n_posts"],
            found["n_left_out"],
            "; ".join(
                dict.fromkeys(found[key]["reason"] for key in CERTAINTY_SCORES if found[key]["reason"])
            ),
        ]
        for run in measures["runs"]
        if (found := run.get("certainty"))
    ]
    if not rows:
        return None
    caption = _caption(
        measures,
        "Overconfidence is how sure a run is on average, less the share in which it is right: above 0 where it is too "
        "sure. By chance is the calibration error to be expected of these probabilities if they were right.",
    )
    caption += say_left_out(
        [name_run(run) for run in measures["runs"] if not run.get("certainty")], "Without probabilities"
    )
    columns = (
        Column("run", "Run", "text"),
        Column("from", "Sure by", "text"),
        Column("confidence", "Mean confidence"),
        Column("accuracy", "Share right"),
        Column("overconfidence", "Overconfidence", "signed"),
        Column("overconfidence_interval", f"{say_level(measures)} interval", "interval"),
        Column("overconfidence_p", "p", "p"),
        Column("says", "It is", "text"),
        Column("ece", "Calibration error"),
        Column("ece_interval", "Its interval", "interval"),
        Column("ece_by_chance", "By chance"),
        Column("ece_p", "Its p", "p"),
        Column("brier", "Brier score"),
        Column("brier_interval", "Its interval", "interval"),
        Column("error_uncertainty", "Error with spread, rho", "signed"),
        Column("error_uncertainty_interval", "Its interval", "interval"),
        Column("pairs", "Pairs", "count"),
        Column("posts", "Posts", "count"),
        Column("left_out", "Pairs left out", "count"),
        Column("note", "Note", "text"),
    )
    return Table("calibration_certainty", "How sure, how often right", caption, columns, rows)


def _tabulate_reliability(measures: Measures) -> Table | None:
    rows: list[list[Any]] = [
        [
            name_run(run),
            f"{found['low']:.1f} to {found['high']:.1f}",
            found["n"],
            found["probability"],
            found["observed"],
            found["interval"],
        ]
        for run in measures["runs"]
        for found in (run.get("certainty") or {}).get("bins", ())
        if found["n"]
    ]
    if not rows:
        return None
    caption = _caption(
        measures,
        "Pairs of post and value by the probability that the run gives to the value being expressed, and the share in "
        "which it is by experts.",
    )
    columns = (
        Column("run", "Run", "text"),
        Column("bin", "Probability from", "text"),
        Column("pairs", "Pairs", "count"),
        Column("probability", "Mean probability"),
        Column("observed", "Share expressed"),
        Column("observed_interval", f"{say_level(measures)} interval", "interval"),
    )
    title = "What probabilities turned out to be"
    return Table("calibration_reliability", title, caption, columns, rows)


def _tabulate_experts(measures: Measures) -> Table | None:
    experts, names = measures["experts"], name_values(measures)
    rows = [
        [
            names[row["value"]],
            n_expressed,
            row["n_posts"],
            row["alpha"],
            row["interval"],
            row["kappa"],
            ceiling,
            "; ".join(dict.fromkeys(filter(None, (row["reason"], row["kappa_reason"])))),
        ]
        for row, ceiling, n_expressed in zip(
            experts["by_value"], experts["ceiling"]["by_value"], measures["n_expressed"], strict=True
        )
    ]
    if not has_numbers(rows, 3, 5, 6):
        return None
    caption = _caption(
        measures,
        f"{count(experts['n'], 'expert', 'experts')}. Krippendorff's alpha (ordinal) of the ratings; Cohen's kappa of "
        "what is expressed, averaged over pairs; F1 of one expert against the majority of the others, averaged over "
        "experts.",
        of_models=False,
    )
    columns = (
        Column("value", "Value", "text"),
        Column("n_expressed", "Posts that express it", "count"),
        Column("posts", "Posts with two labels", "count"),
        Column("alpha", "Alpha"),
        Column("alpha_interval", f"{say_level(measures)} interval", "interval"),
        Column("kappa", "Kappa"),
        Column("ceiling", "F1 of an expert"),
        Column("note", "Note", "text"),
    )
    return Table("calibration_experts", "How far experts agree with each other", caption, columns, rows)


def _tabulate_values(measures: Measures) -> Table | None:
    """Everything by run and value: for the file, too long for a page."""
    names = name_values(measures)
    rows: list[list[Any]] = [
        [
            name_run(run),
            names[found["value"]],
            found["n_posts"],
            found["n_true"],
            found["n_predicted"],
            *(cell for key in ("precision", "recall", "f1") for cell in _score_cells(found[key])),
            found["n_left_out"],
            found["f1"]["reason"],
        ]
        for run in measures["runs"]
        for found in run["by_value"]
    ]
    if not has_numbers(rows, 9):
        return None
    columns = (
        Column("run", "Run", "text"),
        Column("value", "Value", "text"),
        Column("posts", "Posts", "count"),
        Column("n_true", "Expressed", "count"),
        Column("n_predicted", "Found", "count"),
        Column("precision", "Precision"),
        Column("precision_interval", "Its interval", "interval"),
        Column("recall", "Recall"),
        Column("recall_interval", "Its interval", "interval"),
        Column("f1", "F1"),
        Column("f1_interval", "Its interval", "interval"),
        Column("left_out", "Left out", "count"),
        Column("note", "Note", "text"),
    )
    return Table("calibration_values", "Every run, value by value", _caption(measures), columns, rows)


def _score_cells(score: Measures) -> tuple[Any, Any]:
    return score["estimate"], score["interval"]
