"""Reports of people and models as text for a terminal."""

from collections.abc import Iterator
from typing import Any

from .reports.comparison_tables import (
    list_apart,
    name_annotator,
    order_models,
    say_common,
)
from .reports.evaluation_tables import tabulate_agreement
from .reports.names import NEW_POSTS, SAMPLE_NAMES, SAYS_STANDIN, VIEWS, name_model, order_names
from .reports.personal_tables import VIEW_NAMES, list_samples


def tabulate_differences(measures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the paired differences with their names written out."""
    return [row | {"label": _name_difference(row)} for row in measures["differences"]]


def write_text(measures: dict[str, Any]) -> str:
    """Return the report as plain text for a terminal."""
    lines = [
        f"Study {measures['study']}: {measures['n_annotations']:,} annotations by {measures['n_raters']:,} raters "
        f"of {measures['n_posts']:,} posts, {measures['n_values']} values.",
        f"Included: {measures['inclusion']}"
        + (f" ({measures['n_excluded']:,} excluded)." if measures.get("n_excluded") else ".")
        + (f" {measures['n_simulated']:,} raters are SIMULATED." if measures["n_simulated"] else ""),
        "",
        "Agreement over all posts (mean Spearman's rho, 95 % bootstrap interval over posts)",
    ]
    people = [("human-human", measures["human_human"]), ("human-consensus", measures["human_consensus"])]
    people += [(f"  with {entry['size']}", entry) for entry in measures["human_consensus_by_size"]]
    lines += [
        _line(label, entry["rho"], entry["interval"], entry["posts"], entry["undefined"])
        for label, entry in people
    ]
    if measures["holdout"]:
        lines += ["", "On the held-out posts"]
        lines += [
            _line(row.label, row.rho, [row.low, row.high], row.n_posts, row.n_undefined)
            for row in tabulate_agreement(measures)
        ]
        lines += ["", "Distance from the rater's own ratings on the held-out posts (mean absolute error)"]
        entries = dict(measures["models"]) | (
            {"personalized": measures["personalized"]} if measures["personalized"] else {}
        )
        lines += [
            f"  {name_model(name):<54} {_fixed(entry['mae']['mae'])}  {_ends(entry['mae']['interval'])}"
            for name in order_names(entries)
            for entry in [entries[name]]
        ]
        lines += ["", "Paired differences over the held-out posts"]
        lines += [
            f"  {row['label']:<75} {_fixed(row['rho'], sign=True)}  {_ends(row['interval'])}"
            for row in tabulate_differences(measures)
        ]
    if "verdict" in measures:
        lines += _write_questions(measures)
        lines += _write_curves(measures)
        lines += _write_coverage(measures)
        lines += _write_weights(measures)
    lines += ["", "Distance from the crowd, by value (MAE, standard error)"]
    lines += [
        f"  {row['value']:<32} human {_fixed(row['human_crowd'])} ({_fixed(row['human_crowd_se'])})"
        f"   model {_fixed(row['model_crowd'])} ({_fixed(row['model_crowd_se'])})"
        for row in [*measures["mae_by_value"], {"value": "overall"} | measures["mae_overall"]]
    ]
    lines += ["", *measures["notes"]]
    return "\n".join(lines)


def write_comparison(measures: dict[str, Any]) -> str:
    """Return a comparison of annotator models as plain text for a terminal."""
    lines = [f"Annotator models of study {measures['study']}, on {say_common(measures)}"]
    people = (("one other person", "human_human"), ("consensus of all others", "human_consensus"))
    lines += [
        _line(label, entry["rho"], entry["interval"], entry["posts"], entry["undefined"])
        for label, key in people
        for entry in [measures[key]]
    ]
    for model in order_models(measures):
        work = model["work"]
        cost = (
            work["cost_reason"]
            if work["cost"] is None
            else f"{work['cost_per_thousand']:.3f} dollars per 1,000 posts"
        )
        seconds = (
            work["latency_reason"]
            if work["latency_median"] is None
            else f"{work['latency_median']:.2f} s in the median, {work['latency_p95']:.2f} s at the 95th percentile"
        )
        lines += [
            _line(name_annotator(model), model["rho"], model["interval"], model["posts"], model["undefined"]),
            f"    distance {_fixed(model['error']['mae'])}; read {work['read']:,} of {work['asked']:,} posts, "
            f"{work['failed']:,} readings failed; {cost}; {seconds}",
        ]
        if model["is_standin"]:
            lines.append(f"    {SAYS_STANDIN}")
    lines += list_apart(measures)
    lines += [f"Not compared: {row['label']}: {row['reason']}." for row in measures["absent"]]
    return "\n".join(lines)


def _write_questions(measures: dict[str, Any]) -> Iterator[str]:
    yield from ("", "PERSONALIZATION", measures["verdict"]["sentence"])
    yield measures["controls"]["permuted"]["sentence"]
    for line in measures["could_see"]:
        yield f"What the model could see: {line}"
    samples = list_samples(measures)
    for key, sample in samples.items():
        yield from (
            "",
            f"{SAMPLE_NAMES[key]} ({sample['n_raters']:,} raters, {sample['n_posts']:,} posts, "
            f"{sample['n_rows']:,} annotations; means over raters, 95 % bootstrap intervals over raters)",
            f"  {'':<54} {'rho':<5}  {'':<16}  distance",
        )
        rows = {row["name"]: row for row in sample["conditions"]}
        for name in order_names(rows):
            row = rows[name]
            yield (
                f"  {name_model(name):<54} {_fixed(row['rho'])}  {_ends(row['interval'])}  "
                f"{_fixed(row['mae'])}  {_ends(row['mae_interval'])}"
            )
        for row in measures["rater_differences"]:
            if row["sample"] == key:
                yield (
                    f"  {_name_difference(row):<75} rho {_say_difference(row['rho'])}; "
                    f"distance {_say_difference(row['mae'])}"
                )
    if measures["cold_start"]["reason"]:
        yield from ("", f"New raters: {measures['cold_start']['reason']}.")
    elif NEW_POSTS not in samples:
        yield from ("", "New raters, new posts: no new rater rated a held-out post.")
    if measures["controls"]["absent"]:
        names = "; ".join(name_model(row["name"]) for row in measures["controls"]["absent"])
        yield from ("", f"Not beside it, for this fit did not compute: {names}.")


def _write_curves(measures: dict[str, Any]) -> Iterator[str]:
    for kind, curve in measures["curves"].items():
        yield from ("", f"Personalized minus consensus for new raters, by {kind}")
        if curve["reason"]:
            yield f"  None: {curve['reason']}."
        for point in curve["points"]:
            yield (
                f"  {point['count']:>6,} {kind:<8} rho {_say_difference(point['rho'])}; "
                f"distance {_say_difference(point['mae'])}"
            )


def _write_coverage(measures: dict[str, Any]) -> Iterator[str]:
    found = measures["coverage"]
    yield from ("", f"Ratings within their {found['level']:.0%} prediction interval")
    for view in VIEWS:
        row = found[view]
        yield (
            f"  {VIEW_NAMES[view]:<14} none: {row['reason']}"
            if row["reason"]
            else f"  {VIEW_NAMES[view]:<14} {_fixed(row['coverage'])}  {_ends(row['interval'])}  "
            f"{_fixed(row['width'])} scale points wide, {row['ratings']:,} ratings"
        )


def _write_weights(measures: dict[str, Any]) -> Iterator[str]:
    found = measures["weights"]
    yield from ("", "Weights of the blend (known raters, new raters)")
    if found["reason"]:
        yield f"  None: {found['reason']}."
    for place, name in enumerate(found["members"]):
        known, new = (None if found[view] is None else found[view][place] for view in VIEWS)
        yield f"  {name_model(name):<54} {_fixed(known)}  {_fixed(new)}"


def _name_difference(row: dict[str, Any]) -> str:
    return f"{name_model(row['of'])} \u2212 {name_model(row['from'])}"


def _say_difference(found: dict[str, Any]) -> str:
    return (
        f"{_fixed(found['difference'], sign=True)} {_ends(found['interval'])} {found['direction']}".rstrip()
    )


def _line(label: str, rho: float | None, interval: list[float | None], posts: int, undefined: int) -> str:
    return f"  {label:<54} {_fixed(rho)}  {_ends(interval)}  {posts} posts, {undefined} undefined"


def _fixed(number: float | None, *, sign: bool = False) -> str:
    return "  -  " if number is None else f"{number:{'+' if sign else ''}.3f}"


def _ends(interval: list[float | None]) -> str:
    return f"[{_fixed(interval[0])}, {_fixed(interval[1])}]"
