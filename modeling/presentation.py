"""A report of people and models as text for a terminal."""

from typing import Any

from .reports.evaluation_tables import name_model, tabulate_agreement


def tabulate_differences(measures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the paired differences with their names written out."""
    return [
        row | {"label": f"{name_model(row['of'])} \u2212 {name_model(row['from'])}"}
        for row in measures["differences"]
    ]


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
            f"  {name_model(name):<52} {_fixed(entry['mae']['mae'])}  {_ends(entry['mae']['interval'])}"
            for name, entry in entries.items()
        ]
        lines += ["", "Paired differences over the held-out posts"]
        lines += [
            f"  {row['label']:<75} {_fixed(row['rho'], sign=True)}  {_ends(row['interval'])}"
            for row in tabulate_differences(measures)
        ]
    lines += ["", "Distance from the crowd, by value (MAE, standard error)"]
    lines += [
        f"  {row['value']:<32} human {_fixed(row['human_crowd'])} ({_fixed(row['human_crowd_se'])})"
        f"   model {_fixed(row['model_crowd'])} ({_fixed(row['model_crowd_se'])})"
        for row in [*measures["mae_by_value"], {"value": "overall"} | measures["mae_overall"]]
    ]
    lines += ["", *measures["notes"]]
    return "\n".join(lines)


def _line(label: str, rho: float | None, interval: list[float | None], posts: int, undefined: int) -> str:
    return f"  {label:<52} {_fixed(rho)}  {_ends(interval)}  {posts} posts, {undefined} undefined"


def _fixed(number: float | None, *, sign: bool = False) -> str:
    return "  -  " if number is None else f"{number:{'+' if sign else ''}.3f}"


def _ends(interval: list[float | None]) -> str:
    return f"[{_fixed(interval[0])}, {_fixed(interval[1])}]"
