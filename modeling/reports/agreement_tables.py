"""PURE. The tables of an agreement report: people with people, value by value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from .names import SAYS_STANDIN
from .tables import (
    Column,
    Measures,
    Table,
    count,
    has_numbers,
    name_values,
    say_left_out,
    say_level,
    say_resampling,
    say_sample,
)

RHO = "Spearman's rho"
OWN_SCORE = "own score"  # as `modeling.stats.perception` calls it
COEFFICIENTS = (
    ("ordinal", "Alpha, ordinal"),
    ("interval", "Alpha, interval"),
    ("nominal", "Alpha, nominal"),
    ("fleiss_kappa", "Fleiss' kappa"),
    ("gwet_ac2", "Gwet's AC2"),
    ("icc_1", "ICC(1)"),
    ("icc_k", "ICC(k)"),
    ("percent_agreement", "Percent agreement"),
)


def tabulate_agreement_report(measures: Measures) -> dict[str, Table]:
    """Return the tables of an agreement report by their keys, those without any number left out."""
    makers: tuple[Callable[[Measures], Table | None], ...] = (
        _tabulate_alpha,
        _tabulate_coefficients,
        _tabulate_consensus,
        _tabulate_ratings,
        _tabulate_raters_per_post,
        _tabulate_circumplex,
        _tabulate_correlations,
        _tabulate_projection,
        _tabulate_disputed,
        _tabulate_expected_consensus,
        _tabulate_precision,
        _tabulate_screening,
    )
    tables = (make(measures) for make in makers)
    return {table.key: table for table in tables if table is not None}


def _tabulate_alpha(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows = [
        [
            names[entry["value"]],
            entry["ordinal"]["alpha"],
            entry["ordinal"]["interval"],
            entry["ordinal"]["posts"],
            entry["ordinal"]["ratings"],
            entry["ordinal"]["left_out"],
            entry["ordinal"]["reason"],
        ]
        for entry in measures["by_value"]
    ]
    if not has_numbers(rows, 1):
        return None
    rows.sort(key=lambda row: (row[1] is None, -(row[1] or 0.0)))
    missing = [row[0] for row in rows if row[1] is None]
    caption = (
        "Krippendorff's alpha for ordered ratings: 1 is perfect agreement, 0 what chance would give. "
        f"{say_sample(measures)} {say_resampling(measures)} Ratings of posts that only one rater rated are left out."
        + say_left_out(missing, "Not defined")
    )
    columns = (
        Column("value", "Value", "text"),
        Column("alpha", "Alpha"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("posts", "Posts", "count"),
        Column("ratings", "Ratings", "count"),
        Column("left_out", "Left out", "count"),
        Column("reason", "Why not defined", "text"),
    )
    return Table("alpha_by_value", "How far raters agree about each value", caption, columns, rows)


def _tabulate_coefficients(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows = []
    for entry in measures["by_value"]:
        row: list[Any] = [names[entry["value"]]]
        for key, _ in COEFFICIENTS:
            found = entry[key]
            row += [found["alpha"] if "alpha" in found else found["estimate"], found["interval"]]
        rows.append(row)
    places = range(1, 1 + 2 * len(COEFFICIENTS), 2)
    if not has_numbers(rows, *places):
        return None
    rows.sort(key=lambda row: (row[1] is None, -(row[1] or 0.0)))
    depth = next((entry["icc_k"].get("k") for entry in measures["by_value"]), None)
    n_missing = sum(row[place] is None for row in rows for place in places)
    caption = (
        "Alpha, kappa, AC2 and ICC are corrected for chance, each in its own way; percent agreement is not. "
        "AC2 has quadratic weights. ICC(1) is about one rater, ICC(k) about the mean of the "
        f"{f'{depth:.1f} ' if depth else ''}raters that a post has on average. "
        f"{say_sample(measures)} {say_resampling(measures)}"
        + (f" {count(n_missing, 'coefficient is', 'coefficients are')} not defined." if n_missing else "")
    )
    columns = [Column("value", "Value", "text")]
    for key, label in COEFFICIENTS:
        name = f"alpha_{key}" if label.startswith("Alpha") else key
        columns += [Column(name, label), Column(f"{name}_interval", "Interval", "interval")]
    return Table(
        "reliability_coefficients", "Eight coefficients of reliability", caption, tuple(columns), rows
    )


def _tabulate_consensus(measures: Measures) -> Table | None:
    entries = [(f"{entry['size']}", entry) for entry in measures["human_consensus_by_size"]]
    entries.append(("all others", measures["human_consensus"]))
    rows = [
        [size, entry["rho"], entry["interval"], entry["posts"], entry["undefined"], entry["compared"]]
        for size, entry in entries
    ]
    if not has_numbers(rows, 1):
        return None
    caption = (
        f"Mean {RHO} between a rater's ratings of a post and the rounded mean of other raters of the same post, "
        f"who are drawn at random. {say_sample(measures)} {say_resampling(measures)} A comparison with ratings that "
        "are all alike is not defined and left out: the table says how many."
    )
    columns = (
        Column("size", "Others", "text"),
        Column("rho", "Rho"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("posts", "Posts", "count"),
        Column("undefined", "Not defined", "count"),
        Column("compared", "Comparisons", "count"),
    )
    title = "How far one rater agrees with a group of others"
    return Table("consensus_by_size", title, caption, columns, rows)


def _tabulate_ratings(measures: Measures) -> Table | None:
    names = name_values(measures)
    entries = [entry for entry in measures["by_value"] if entry["mean"] is not None]
    if not entries:
        return None
    entries.sort(key=lambda entry: -entry["mean"])
    levels = _list_levels(measures) if any(entry["shares"] for entry in entries) else []
    rows = [
        [names[entry["value"]], entry["n_ratings"], entry["mean"], entry["sd"], entry["share_zero"]]
        + (list(entry["shares"]) or [None] * len(levels))
        for entry in entries
    ]
    missing = [names[e["value"]] for e in measures["by_value"] if e["mean"] is None]
    low, high = measures["scale"]
    caption = (
        f"Ratings from {low} (not at all) to {high}; values with the highest mean stand first. "
        f"{say_sample(measures)}" + say_left_out(missing, "Never rated")
    )
    columns = (
        Column("value", "Value", "text"),
        Column("n_ratings", "Ratings", "count"),
        Column("mean", "Mean"),
        Column("sd", "Standard deviation"),
        Column("share_zero", "Rated zero", "share"),
        *(Column(f"share_{level}", f"Rated {level}", "share") for level in levels),
    )
    return Table("rating_distribution", "How strongly each value was seen", caption, columns, rows)


def _list_levels(measures: Measures) -> list[int]:
    low, high = measures["scale"]
    return list(range(int(low), int(high) + 1))


def _tabulate_raters_per_post(measures: Measures) -> Table | None:
    found = measures["raters_per_post"]
    rows = [[entry["raters"], entry["posts"]] for entry in found["histogram"]]
    if len(rows) < 2:  # where all posts have equally many, a sentence says it
        return None
    caption = (
        f"From {found['min']:,} to {found['max']:,} raters per post, {found['median']:,.4g} in the median and "
        f"{found['mean']:,.1f} on average. {say_sample(measures)}"
    )
    columns = (Column("raters", "Raters", "count"), Column("posts", "Posts", "count"))
    return Table("raters_per_post", "How many raters each post has", caption, columns, rows)


def _tabulate_circumplex(measures: Measures) -> Table | None:
    found = measures["circumplex"]
    names = name_values(measures)
    rows = [
        [names[point["value"]]] + [point[key] for key in ("angle", "theory_angle", "error", "x", "y")]
        for point in found["points"]
    ]
    if not has_numbers(rows, 4):
        return None
    placed = {row[0] for row in rows if row[4] is not None}
    missing = [name for name in names.values() if name not in placed]
    fit = [
        f"{word} {found[key]:.2f}"
        for key, word in (
            ("stress", "stress"),
            ("congruence", "congruence with the circle"),
            ("order_correlation", "correlation of the order"),
        )
        if found[key] is not None
    ]
    p = "" if found["order_p"] is None else f" (p {_write_p(found['order_p'])})"
    caption = (
        "Values that are seen together in posts lie close together: a two-dimensional scaling of the correlations "
        f"between their ratings, turned onto the theory's circle. {say_sample(measures)}"
        + (f" Fit: {', '.join(fit)}{p}." if fit else "")
        + say_left_out(missing, "Without a place")
    )
    columns = (
        Column("value", "Value", "text"),
        Column("angle", "Angle"),
        Column("theory_angle", "Angle in theory"),
        Column("error", "Difference in degrees", "signed"),
        Column("x", "x", "signed"),
        Column("y", "y", "signed"),
    )
    return Table("circumplex", "The order of the values in the ratings and in theory", caption, columns, rows)


def _write_p(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")


def _tabulate_correlations(measures: Measures) -> Table | None:
    names = name_values(measures)
    matrix = measures["circumplex"]["correlations"]
    pairs = [number for place, row in enumerate(matrix) for number in row[place + 1 :]]
    n_missing = pairs.count(None)
    if n_missing == len(pairs):
        return None
    rows = [[name, *row] for name, row in zip(names.values(), matrix, strict=True)]
    caption = f"Correlation between the ratings of two values. {say_sample(measures)}" + (
        f" {count(n_missing, 'pair is', 'pairs are')} not defined." if n_missing else ""
    )
    columns = (
        Column("value", "Value", "text"),
        *(Column(key, label, "signed") for key, label in names.items()),
    )
    return Table("value_correlations", "Which values are seen together", caption, columns, rows)


def _tabulate_projection(measures: Measures) -> Table | None:
    found = measures["projection"]
    names = name_values(measures)
    rows = [
        [
            names[entry["value"]],
            term["name"],
            term["estimate"],
            term["se"],
            [term["low"], term["high"]],
            term["p"],
            term["p_holm"],
            entry["n_ratings"],
            entry["n_raters"],
        ]
        for entry in found["by_value"]
        for term in entry["terms"]
        if term["kind"] != "intercept"
    ]
    if not has_numbers(rows, 2):
        return None
    missing = [names[entry["value"]] for entry in found["by_value"] if not entry["terms"]]
    source = f" Own scores: {found['source']}." if found["source"] else ""
    beside = [name for name in found["covariates"] if name != OWN_SCORE]
    others = f" beside {', '.join(beside)}" if beside else ""
    caption = (
        "Least squares of the ratings of a value on the raters' own score for that value"
        f"{others}; {say_level(measures)} intervals from standard errors clustered by rater. {say_sample(measures)}"
        f"{source}" + say_left_out(missing, "Not estimated")
    )
    columns = (
        Column("value", "Value", "text"),
        Column("term", "Goes with", "text"),
        Column("estimate", "Coefficient", "signed"),
        Column("se", "Standard error"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("p", "p", "p"),
        Column("p_holm", "p (Holm)", "p"),
        Column("n_ratings", "Ratings", "count"),
        Column("n_raters", "Raters", "count"),
    )
    return Table(
        "value_projection", "What the ratings of a value go with in the rater", caption, columns, rows
    )


def _tabulate_disputed(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows = []
    for entry in measures["disputed"]:
        worst = [value for value in entry["by_value"] if value["sd"] is not None]
        first = worst[0] if worst else None
        rows.append(
            [
                entry["key"],
                entry["n_raters"],
                entry["difference"],
                entry["rho"],
                names[first["value"]] if first else "",
                first["mean"] if first else None,
                first["sd"] if first else None,
                _count_ratings(first["ratings"]) if first else "",
                ", ".join(names[value["value"]] for value in worst[1:]),
            ]
        )
    if not has_numbers(rows, 2):
        return None
    least = min(row[1] for row in rows)
    caption = (
        "The posts on which two raters differ most, on average over all values, with the value they differ most about. "
        f"Only posts with at least {least:,} raters. {say_sample(measures)}"
    )
    columns = (
        Column("post", "Post", "text"),
        Column("n_raters", "Raters", "count"),
        Column("difference", "Mean difference of two raters"),
        Column("rho", "Rho", "signed"),
        Column("value", "Most disputed value", "text"),
        Column("mean", "Its mean"),
        Column("sd", "Its standard deviation"),
        Column("ratings", "Raters by its rating", "text"),
        Column("also", "Also disputed", "text"),
    )
    return Table("disputed_posts", "The posts that raters differ about most", caption, columns, rows)


def _count_ratings(ratings: Sequence[float]) -> str:
    """Return how many raters gave each rating.

    >>> _count_ratings([0, 0, 6])
    '0: 2, 6: 1'
    """
    counts = Counter(sorted(ratings))
    return ", ".join(f"{rating:g}: {n}" for rating, n in counts.items())


def _tabulate_expected_consensus(measures: Measures) -> Table | None:
    rows = [
        [
            point["size"],
            point["rho"],
            [point["low"], point["high"]],
            "observed" if point["observed"] else "expected",
        ]
        for point in measures["planning"]["curve"]
    ]
    if not has_numbers(rows, 1):
        return None
    caption = (
        f"Mean {RHO} between a rater and the rounded mean of so many others: observed in this study, and what is "
        f"expected between and beyond. {say_sample(measures)} {say_resampling(measures)}"
    )
    columns = (
        Column("size", "Others", "count"),
        Column("rho", "Rho"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("observed", "Where from", "text"),
    )
    title = "Agreement with a consensus to expect from more raters"
    return Table("planning_consensus", title, caption, columns, rows)


def _tabulate_precision(measures: Measures) -> Table | None:
    found = measures["planning"]
    names = name_values(measures)
    rows = [
        [
            entry["posts"],
            entry["raters_per_post"],
            entry["raters"],
            None if entry["cost"] is None else round(entry["cost"] / 100),
            entry["rho"],
            entry["half_width_median"],
            entry["half_width_worst"],
            names.get(entry["worst_value"], ""),
        ]
        for entry in found["rows"]
    ]
    if not has_numbers(rows, 5):
        return None
    currency = found["currency"]
    pay = (
        f" Costs are for {found['posts_per_rater']:,} posts per rater and include the platform's fee."
        if currency
        else ""
    )
    caption = (
        f"Half the width of alpha's {say_level(measures)} interval for the value in the middle; the table also has the "
        f"value with the widest. From this study's spread between posts: {say_sample(measures).strip()}{pay}"
    )
    columns = (
        Column("posts", "Posts", "count"),
        Column("raters_per_post", "Raters per post", "count"),
        Column("raters", "Raters", "count"),
        Column("cost", f"Cost ({currency})" if currency else "Cost", "count"),
        Column("rho", "Rho with the others' consensus"),
        Column("half_width_median", "Half width, middle value"),
        Column("half_width_worst", "Half width, widest value"),
        Column("worst_value", "Widest value", "text"),
    )
    title = "How precisely reliability would be known with more raters"
    return Table("planning_precision", title, caption, columns, rows)


def _tabulate_screening(measures: Measures) -> Table | None:
    names = name_values(measures)
    rows = [
        [
            names[entry["value"]],
            entry["difference"],
            [entry["low"], entry["high"]],
            entry["in_mean"],
            entry["out_mean"],
            entry["t"],
            entry["df"],
            entry["p"],
            entry["n_in"],
            entry["n_out"],
            entry["reason"],
        ]
        for entry in measures["screening"]
    ]
    if not has_numbers(rows, 1):
        return None
    rows.sort(key=lambda row: (row[1] is None, -(row[1] or 0.0)))
    missing = [row[0] for row in rows if row[1] is None]
    caption = (
        "Mean human rating of posts that were screened in for a value minus that of the other posts, in scale points, "
        f"with Welch's test and its {say_level(measures)} interval over posts. {say_sample(measures)}"
        + say_left_out(missing, "Not defined")
        + (f" Screened by the stand-in. {SAYS_STANDIN}" if measures.get("screened_by_standin") else "")
    )
    columns = (
        Column("value", "Value", "text"),
        Column("difference", "Difference", "signed"),
        Column("interval", f"{say_level(measures)} interval", "interval"),
        Column("in_mean", "Screened in"),
        Column("out_mean", "Others"),
        Column("t", "t", "signed"),
        Column("df", "Degrees of freedom"),
        Column("p", "p", "p"),
        Column("n_in", "Posts screened in", "count"),
        Column("n_out", "Other posts", "count"),
        Column("reason", "Why not defined", "text"),
    )
    return Table("screening_effect", "Whether raters see what posts were chosen for", caption, columns, rows)
