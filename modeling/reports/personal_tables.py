"""PURE. The tables of the two questions of personalization, of its controls, its curves and its intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .names import (
    KNOWN_POSTS,
    KNOWN_RATERS,
    NEW_POSTS,
    SAMPLE_NAMES,
    VIEWS,
    name_model,
    order_names,
    say_knowledge,
)
from .tables import (
    Column,
    Measures,
    Table,
    has_numbers,
    name_values,
    say_left_out,
    say_level,
    say_resampling,
    say_sample,
)

RHO = "Spearman’s rho"
POSTS = {KNOWN_POSTS: "Known", NEW_POSTS: "New"}
VIEW_NAMES = {"known": "Known raters", "new": "New raters"}
READINGS = {"better": "better", "worse": "worse", "unclear": "not told apart", "same": "the same"}
CURVE_TITLES = {
    "answers": "What each further answer of a new rater brings",
    "raters": "What more raters to learn from bring to a new one",
}
CURVE_COUNTS = {"answers": "Answers", "raters": "Raters learned from"}
LONGER = {
    "answers": "only the first answers of each new rater are used",
    "raters": "the fit is repeated with fewer raters to learn from",
}


def list_samples(measures: Measures) -> dict[str, Mapping[str, Any]]:
    """Return the samples of raters and posts that the report has, by their keys, those without any row left out."""
    cold = measures.get("cold_start") or {}
    found = {
        KNOWN_RATERS: measures.get("controls"),
        **{key: cold.get(key) for key in (KNOWN_POSTS, NEW_POSTS)},
    }
    return {key: sample for key, sample in found.items() if sample and sample["conditions"]}


def _tabulate_controls(measures: Measures) -> Table | None:
    sample = list_samples(measures).get(KNOWN_RATERS)
    if sample is None:
        return None
    rows = [[name_model(row["name"]), say_knowledge(row["name"]), *_cells(row)] for row in _list_rows(sample)]
    if not has_numbers(rows, 2, 5):
        return None
    caption = (
        f"What raters of known history can be predicted from on held-out posts. {_MEANS} {_say_rows(measures, sample)} "
        f"{say_resampling(measures, 'raters')}"
    )
    columns = (
        Column("condition", "Predicted from", "text"),
        Column("knows", "It knows", "text"),
        *_columns(measures),
    )
    return Table("controls", "Known raters on new posts, beside what must be beaten", caption, columns, rows)


_MEANS = (
    "Mean over raters of a rater’s mean rho within posts, and of the distance from the "
    "rater’s own ratings in scale points."
)


def _tabulate_cold_start(measures: Measures) -> Table | None:
    samples = {key: sample for key, sample in list_samples(measures).items() if key != KNOWN_RATERS}
    rows = [
        [name_model(row["name"]), POSTS[key], *_cells(row)]
        for key, sample in samples.items()
        for row in _list_rows(sample)
    ]
    if not has_numbers(rows, 2, 5):
        return None
    counts = "; on ".join(
        f"{POSTS[key].lower()} posts: {_count(sample)}" for key, sample in samples.items() if sample["n_rows"]
    )
    caption = (
        "New raters, of whom only the answers to the questionnaire are known: on posts that others had rated for the "
        f"fit (known) and on held-out ones (new). {_MEANS} {say_sample(measures, posts=None, ratings=None)} New ones "
        f"on {counts}. {say_resampling(measures, 'raters')}"
    )
    columns = (
        Column("condition", "Predicted from", "text"),
        Column("posts", "Posts", "text"),
        *_columns(measures),
    )
    return Table("cold_start", "New raters who only answered the questionnaire", caption, columns, rows)


def _columns(measures: Measures) -> tuple[Column, ...]:
    level = f"{say_level(measures)} interval"
    return (
        Column("rho", "Rho"),
        Column("interval", level, "interval"),
        Column("undefined", "Rows without rho", "count"),
        Column("mae", "Distance"),
        Column("mae_interval", level, "interval"),
        Column("raters", "Raters", "count"),
    )


def _cells(row: Mapping[str, Any]) -> list[Any]:
    return [row[key] for key in ("rho", "interval", "undefined", "mae", "mae_interval", "raters")]


def _list_rows(sample: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    by_name = {row["name"]: row for row in sample["conditions"]}
    return [by_name[name] for name in order_names(row["name"] for row in sample["conditions"])]


def _count(sample: Mapping[str, Any]) -> str:
    return f"{sample['n_raters']:,} raters, {sample['n_posts']:,} posts, {sample['n_rows']:,} annotations"


def _say_rows(measures: Measures, sample: Mapping[str, Any]) -> str:
    return say_sample(
        measures,
        raters=sample["n_raters"],
        posts=None,
        ratings=None,
        **{"held-out posts": sample["n_posts"], "annotations": sample["n_rows"]},
    )


def _tabulate_rater_differences(measures: Measures) -> Table | None:
    rows = [
        [
            SAMPLE_NAMES[row["sample"]],
            f"{name_model(row['of'])} \u2212 {name_model(row['from'])}",
            *(
                cell
                for measure in ("rho", "mae")
                for cell in (
                    row[measure]["difference"],
                    row[measure]["interval"],
                    READINGS.get(row[measure]["direction"], ""),
                )
            ),
            row["rho"]["raters"],
        ]
        for row in measures.get("rater_differences") or []
    ]
    if not has_numbers(rows, 2, 5):
        return None
    caption = (
        "Differences of rho and of distance over the same annotations, averaged within raters, then over them. Above 0 "
        "in rho and below 0 in distance is better; “not told apart” is an interval that holds 0. "
        f"{say_sample(measures, posts=None, ratings=None)} "
        f"{say_resampling(measures, 'raters')}"
    )
    level = f"{say_level(measures)} interval"
    columns = (
        Column("sample", "Of", "text"),
        Column("difference", "Difference", "text"),
        Column("rho", "Of rho", "signed"),
        Column("interval", level, "interval"),
        Column("rho_reading", "In rho", "text"),
        Column("mae", "Of distance", "signed"),
        Column("mae_interval", level, "interval"),
        Column("mae_reading", "In distance", "text"),
        Column("raters", "Raters", "count"),
    )
    return Table("rater_differences", "What personalization adds", caption, columns, rows)


def _make_curve(kind: str) -> Callable[[Measures], Table | None]:
    def tabulate(measures: Measures) -> Table | None:
        curve = (measures.get("curves") or {}).get(kind)
        if not curve or not curve["points"]:
            return None
        rows = [
            [
                point["count"],
                *(
                    cell
                    for measure in ("rho", "mae")
                    for cell in (point[measure]["difference"], point[measure]["interval"])
                ),
                point["rho"]["raters"],
            ]
            for point in curve["points"]
        ]
        if not has_numbers(rows, 1, 3):
            return None
        caption = (
            f"Personalized minus consensus, for new raters on all of their posts, when {LONGER[kind]}. Above 0 in rho "
            f"and below 0 in distance is better. {say_sample(measures, posts=None, ratings=None)} Of them new: "
            f"{_count(curve)}. {say_resampling(measures, 'raters')} All points share their resamples."
        )
        level = f"{say_level(measures)} interval"
        columns = (
            Column("count", CURVE_COUNTS[kind], "count"),
            Column("rho", "Gain in rho", "signed"),
            Column("interval", level, "interval"),
            Column("mae", "Change in distance", "signed"),
            Column("mae_interval", level, "interval"),
            Column("raters", "New raters", "count"),
        )
        return Table(f"learning_{kind}", CURVE_TITLES[kind], caption, columns, rows)

    return tabulate


def _make_values(key: str, samples: tuple[str, ...], title: str) -> Callable[[Measures], Table | None]:
    def tabulate(measures: Measures) -> Table | None:
        names = name_values(measures)
        there = list_samples(measures)
        rows = [
            [
                names[row["value"]],
                SAMPLE_NAMES[sample],
                name_model(name),
                *(found[cell] for cell in ("rho", "interval", "mae", "mae_interval")),
                row["ratings"],
                found["reason"],
            ]
            for sample in samples
            if sample in there
            for row in there[sample]["by_value"]
            for name in order_names(row["models"])
            for found in [row["models"][name]]
        ]
        if not has_numbers(rows, 3, 5):
            return None
        missing = list(dict.fromkeys(str(row[0]) for row in rows if row[3] is None))
        counts = "; ".join(
            f"{SAMPLE_NAMES[sample]}: {_count(there[sample])}" for sample in samples if sample in there
        )
        caption = (
            f"{RHO} between the ratings of a value and what is predicted, over all rows, and the mean distance between "
            f"the two in scale points. {say_sample(measures, posts=None, ratings=None)} {counts}. "
            f"{say_resampling(measures, 'raters')} Ranks are not taken anew."
            + say_left_out(missing, "Rho not always defined")
        )
        level = f"{say_level(measures)} interval"
        columns = (
            Column("value", "Value", "text"),
            Column("sample", "Of", "text"),
            Column("condition", "Predicted from", "text"),
            Column("rho", "Rho", "signed"),
            Column("interval", level, "interval"),
            Column("mae", "Distance"),
            Column("mae_interval", level, "interval"),
            Column("ratings", "Ratings", "count"),
            Column("reason", "Why rho is not defined", "text"),
        )
        return Table(key, title, caption, columns, rows)

    return tabulate


def _tabulate_coverage(measures: Measures) -> Table | None:
    found = measures.get("coverage")
    if not found:
        return None
    names = name_values(measures)
    by_value = {view: {row["value"]: row for row in found[view]["by_value"]} for view in VIEWS}
    rows = [[names[key], *_cover(by_value, key)] for key in names]
    rows.append(["All values", *_cover({view: {"all": found[view]} for view in VIEWS}, "all")])
    if not has_numbers(rows, 1, 5):
        return None
    counts = "; ".join(
        f"{VIEW_NAMES[view]}: {found[view]['raters']:,} raters, {found[view]['posts']:,} posts"
        for view in VIEWS
        if found[view]["ratings"]
    )
    level = f"{found['level']:.0%}".replace("%", "\u202f%")
    caption = (
        f"Share of ratings within the {level} prediction interval of the personalized model, and how many scale points "
        f"it is wide on average. {counts}. {say_sample(measures, posts=None, ratings=None)} "
        f"{say_resampling(measures, 'raters')}"
    )
    columns = [Column("value", "Value", "text")]
    for view in VIEWS:
        label = VIEW_NAMES[view].lower()
        columns += [
            Column(f"{view}_coverage", f"Within, {label}", "share"),
            Column(f"{view}_interval", "Interval of the share", "interval"),
            Column(f"{view}_width", "Width"),
            Column(f"{view}_ratings", "Ratings", "count"),
        ]
    title = "Do ratings lie within their prediction intervals?"
    return Table("interval_coverage", title, caption, tuple(columns), rows)


def _cover(rows: Mapping[str, Mapping[str, Any]], key: str) -> list[Any]:
    cells: list[Any] = []
    for view in VIEWS:
        row = rows[view].get(key, {})
        cells += [row.get(name) for name in ("coverage", "interval", "width", "ratings")]
    return cells


def tabulate_weights(measures: Measures) -> Table | None:
    """Return how much each member of the blend counts; None where nothing is blended."""
    found = measures.get("weights")
    if not found or not found["members"]:
        return None
    weights = [found[view] or [None] * len(found["members"]) for view in VIEWS]
    rows = [[name_model(name), *cells] for name, *cells in zip(found["members"], *weights, strict=True)]
    caption = (
        "What the personalized prediction is blended from. The weights were chosen on predictions for posts, and for "
        f"new raters also raters, that the members had not seen. {say_sample(measures, posts=None, ratings=None)}"
    )
    columns = (
        Column("member", "Member", "text"),
        *(Column(view, VIEW_NAMES[view], "number") for view in VIEWS),
    )
    return Table("blend_weights", "The weights of the blend", caption, columns, rows)


PERSONAL: tuple[Callable[[Measures], Table | None], ...] = (
    _tabulate_controls,
    _make_values("values_known", (KNOWN_RATERS,), "Known raters on new posts, value by value"),
    _tabulate_rater_differences,
    _tabulate_cold_start,
    _make_values("values_new", (KNOWN_POSTS, NEW_POSTS), "New raters, value by value"),
    _make_curve("answers"),
    _make_curve("raters"),
    _tabulate_coverage,
    tabulate_weights,
)
