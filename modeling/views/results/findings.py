"""What a report says, in one line for each page, and its numbers in the order in which pages show them."""

from itertools import groupby
from typing import Any

from modeling.reports.evaluation_tables import tabulate_agreement
from modeling.reports.names import KNOWN_POSTS, KNOWN_RATERS, NEW_POSTS, PERSONALIZED, name_model
from modeling.reports.personal_tables import list_samples
from modeling.templatetags.figures import fixed, percent, signed

Measures = dict[str, Any]

COEFFICIENTS = {
    "ordinal": "ordinal alpha",
    "interval": "interval alpha",
    "percent_agreement": "percent agreement",
    "fleiss_kappa": "Fleiss’ kappa",
    "gwet_ac2": "Gwet’s AC2",
    "icc_1": "ICC(1)",
    "icc_k": "ICC(k)",
}
PROJECTED = "own_value"
P_LIMIT = 0.05
MOST_BARS = 9


def name_values(measures: Measures) -> dict[str, str]:
    """Return the names of the values by their keys."""
    return {value["key"]: value["name"] for value in measures["values"]}


def describe_range(people: Measures) -> dict[str, Any]:
    """Return the lowest, highest and median ordinal alpha over values, with the values' names."""
    names, found = name_values(people), people["alpha_range"]
    return {
        end: found[end] and {"name": names[found[end]["value"]], "alpha": found[end]["alpha"]}
        for end in ("lowest", "highest")
    } | {"median": found["median"]}


def describe_best(models: Measures) -> dict[str, Any] | None:
    """Return the condition that agrees best with held-out people, and its gain over one other person there."""
    best = models["best"]
    if not best or best["rho"] is None:
        return None
    baseline = (models["holdout"] or models)["human_human"]["rho"]
    improvement = (best["rho"] - baseline) / baseline if baseline else None
    return best | {"label": name_model(best["name"]), "improvement": improvement}


def draw_bars(measures: Measures) -> list[dict[str, Any]]:
    """Return the bars of the overview: one other person, groups of others or models; places are thousandths."""
    rows = tabulate_agreement(measures)
    if any(row.kind in ("model", "personalized") for row in rows):
        crowd = [row for row in rows if row.kind == "crowd"]
        shown = {"human", "model", "personalized"}  # those that know the rater have their own page
        rows = [row for row in rows if row.kind in shown or row is crowd[-1]]
    top = max((end for row in rows for end in (row.rho, row.high) if end is not None), default=0.0)

    def place(rho: float | None) -> int:
        return 0 if rho is None or top <= 0 else max(0, round(1000 * rho / top))

    return [
        {
            "label": row.label,
            "kind": row.kind,
            "rho": row.rho,
            "rho_at": place(row.rho),
            "low_at": place(row.low),
            "high_at": place(row.high),
        }
        for row in rows[:MOST_BARS]
    ]


def tabulate_values(people: Measures) -> list[dict[str, Any]]:
    """Return the values' coefficients under the names of their branches, in the value system's order."""
    named = {value["key"]: value for value in people["values"]}
    rows = [
        row | {"name": named[row["value"]]["name"], "group": named[row["value"]]["group"]}
        for row in people["by_value"]
    ]
    return [
        {"name": group, "rows": list(members)}
        for group, members in groupby(rows, key=lambda row: row["group"])
    ]


def list_undefined(people: Measures) -> list[str]:
    """Say of each coefficient that does not exist why: one line for all values that share a reason."""
    names = name_values(people)
    missing: dict[tuple[str, str], list[str]] = {}
    for row in people["by_value"]:
        for key, label in COEFFICIENTS.items():
            if row[key]["reason"]:
                missing.setdefault((label, row[key]["reason"]), []).append(names[row["value"]])
    return [
        f"{label[0].upper()}{label[1:]} of {_join(values, len(names))}: {reason}."
        for (label, reason), values in missing.items()
    ]


def _join(names: list[str], n_all: int) -> str:
    return "every value" if len(names) == n_all > 1 else ", ".join(names)


def summarize(people: Measures | None, models: Measures | None) -> dict[str, str]:
    """Return for each page of results what it says, in one line; '' where it has nothing to say yet."""
    return {
        "agreement": _say_agreement(people) if people else "",
        "models": _say_models(models) if models else "",
        "personalization": _say_personalization(models) if models else "",
        "values": _say_values(people) if people else "",
        "disputed": _say_disputed(people) if people else "",
        "planning": _say_planning(people) if people else "",
        "report": "Methods, tables and figures in one document." if people else "",
    }


def _say_agreement(people: Measures) -> str:
    found = describe_range(people)
    if not found["highest"]:
        return "No value has an alpha yet."
    if found["highest"] == found["lowest"]:
        return f"{found['highest']['name']}: ordinal alpha {fixed(found['highest']['alpha'])}."
    return (
        f"Most about {found['highest']['name']} (ordinal alpha {fixed(found['highest']['alpha'])}), "
        f"least about {found['lowest']['name']} ({fixed(found['lowest']['alpha'])})."
    )


def _say_models(models: Measures) -> str:
    best = describe_best(models)
    if not best:
        return "No model could be compared with people."
    gain = best["improvement"]
    beyond = "" if gain is None else f", {percent(gain)} against one other person"
    return f"{best['label']} agrees best: {fixed(best['rho'])}{beyond}."


def _say_personalization(models: Measures) -> str:
    gain = models["gain"]
    if gain["mean"] is None:
        return _end(gain["reason"]) or "No gain could be computed."
    better = f"; {_share(gain['share_better'])} of raters gain" if gain["share_better"] is not None else ""
    low, high = gain["interval"]
    return (
        f"Knowing the rater changes rho by {signed(gain['mean'])} ({signed(low)} to {signed(high)}){better}."
    )


def glance_at_samples(models: Measures) -> dict[str, dict[str, Any]]:
    """Return, of known raters and of new ones on known and new posts, the personalized model beside its consensus.

    Each has `rho` and `mae` of the two, and `rho_gain` and `mae_gain`, the paired differences; those that the report
    lacks are left out.
    """
    samples = list_samples(models)
    found = {}
    for key in (KNOWN_RATERS, KNOWN_POSTS, NEW_POSTS):
        gains = [
            row
            for row in models.get("rater_differences") or []
            if row["sample"] == key and row["from"] == models["consensus"]
        ]
        rows = {row["name"]: row for row in samples[key]["conditions"]} if key in samples else {}
        if gains and PERSONALIZED in rows:
            found[key] = {
                "personalized": rows[PERSONALIZED],
                "consensus": rows[models["consensus"]],
                "rho_gain": gains[0]["rho"],
                "mae_gain": gains[0]["mae"],
                "sample": samples[key],
            }
    return found


def list_absent(models: Measures) -> list[str]:
    """Return the names of the conditions that should stand beside the personalized one and that the fit lacks."""
    return [name_model(row["name"]) for row in (models.get("controls") or {}).get("absent", [])]


def _say_values(people: Measures) -> str:
    projection, circumplex = people["projection"], people["circumplex"]
    own = list_own_scores(people)
    said = []
    if own:
        n_clear = sum(term["p_holm"] is not None and term["p_holm"] < P_LIMIT for term in own)
        said.append(
            f"Own scores go with the ratings of {n_clear} of {len(own)} values (p < {P_LIMIT}, Holm)."
        )
    if circumplex["congruence"] is not None:
        said.append(f"Congruence with the circle: {circumplex['congruence']:.2f}.")
    return " ".join(said) or _end(projection["reason"] or circumplex["reason"])


def list_own_scores(people: Measures) -> list[dict[str, Any]]:
    """Return, of each value that has a projection, the term of the raters' own score for it."""
    terms = [term for row in people["projection"]["by_value"] for term in row["terms"]]
    return [term for term in terms if term["kind"] == PROJECTED and term["estimate"] is not None]


def _say_disputed(people: Measures) -> str:
    if not people["disputed"]:
        return "No post has two raters."
    first = people["disputed"][0]
    return f"Over {first['key']} two raters differ by {first['difference']:.2f} points on average."


def _say_planning(people: Measures) -> str:
    planning = people["planning"]
    if planning["reason"]:
        return _end(planning["reason"])
    curve = [point for point in planning["curve"] if point["rho"] is not None]
    if not curve:
        return "No forecast could be made."
    last = curve[-1]
    return f"A consensus of {last['size']} others is expected to reach {fixed(last['rho'])}."


def _share(part: float) -> str:
    return f"{part:.0%}".replace("%", "\u202f%")


def _end(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:].rstrip('.')}." if reason else ""
