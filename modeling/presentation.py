"""A report's measures as rows for a page, a terminal or a figure."""

from dataclasses import dataclass
from typing import Any

from annotation.models import Study
from annotation.selectors import get_tree

NAMES = {
    "text": "Consensus from text",
    "text_forest": "Consensus from text, refitted without the person",
    "panel": "Consensus of other raters",
    "panel_forest": "Consensus of other raters, refitted without the person",
    "personalized": "Personalized",
    "human_human": "One other person",
}


@dataclass(frozen=True)
class AgreementRow:
    """One line of the agreement table and one bar of the figure."""

    label: str
    kind: str  # human, crowd, model or personalized
    rho: float | None
    low: float | None
    high: float | None
    n_posts: int
    n_undefined: int
    improvement: float | None


def tabulate_agreement(measures: dict[str, Any]) -> list[AgreementRow]:
    """Return every condition on the held-out posts, people first, as in the paper's Figure 5 and Table 2.

    Without a holdout the human measures are those of all posts. The improvement is relative to
    human-human on the same posts.
    """
    people = measures.get("holdout") or measures
    baseline = people["human_human"]["rho"]
    entries = [("One other person", "human", people["human_human"])]
    entries += [
        (_name_group(entry["size"]), "crowd", entry)
        for entry in people["human_consensus_by_size"]
        if entry["size"] > 1
    ]
    entries.append(("Consensus of all others", "crowd", people["human_consensus"]))
    entries += [
        (NAMES.get(name, name), "model", entry) for name, entry in (measures.get("models") or {}).items()
    ]
    if measures.get("personalized"):
        entries.append(("Personalized", "personalized", measures["personalized"]))
    return [_row(label, kind, entry, baseline) for label, kind, entry in entries]


def _name_group(size: int) -> str:
    return f"Consensus of {size} others"


def _row(label: str, kind: str, entry: dict[str, Any], baseline: float | None) -> AgreementRow:
    rho = entry["rho"]
    improvement = None if rho is None or not baseline or kind == "human" else (rho - baseline) / baseline
    return AgreementRow(
        label,
        kind,
        rho,
        entry["interval"][0],
        entry["interval"][1],
        entry["posts"],
        entry["undefined"],
        improvement,
    )


def tabulate_crowd_errors(measures: dict[str, Any], study: Study) -> list[dict[str, Any]]:
    """Return the rows of the MAE table with the values' names, largest human error first."""
    tree = get_tree(study.value_system)
    rows = [row | {"label": tree.leaf(row["value"]).name} for row in measures["mae_by_value"]]
    return sorted(rows, key=lambda row: -(row["human_crowd"] or 0))


def tabulate_differences(measures: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the paired differences with their names written out."""
    return [
        row | {"label": f"{NAMES.get(row['of'], row['of'])} \u2212 {NAMES.get(row['from'], row['from'])}"}
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
    lines += [_line(_row(label, "human", entry, None)) for label, entry in people]
    if measures["holdout"]:
        lines += ["", "On the held-out posts"]
        lines += [_line(row) for row in tabulate_agreement(measures)]
        lines += ["", "Distance from the rater's own ratings on the held-out posts (mean absolute error)"]
        entries = dict(measures["models"]) | (
            {"personalized": measures["personalized"]} if measures["personalized"] else {}
        )
        lines += [
            f"  {NAMES.get(name, name):<52} {_fixed(entry['mae']['mae'])}  {_ends(entry['mae']['interval'])}"
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


def _line(row: AgreementRow) -> str:
    return (
        f"  {row.label:<52} {_fixed(row.rho)}  {_ends([row.low, row.high])}  "
        f"{row.n_posts} posts, {row.n_undefined} undefined"
    )


def _fixed(number: float | None, *, sign: bool = False) -> str:
    return "  -  " if number is None else f"{number:{'+' if sign else ''}.3f}"


def _ends(interval: list[float | None]) -> str:
    return f"[{_fixed(interval[0])}, {_fixed(interval[1])}]"
