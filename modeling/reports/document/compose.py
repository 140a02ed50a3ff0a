"""From stored measures and figures to a document: what was found, how, and what was left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modeling.reports.comparison_tables import (
    list_apart,
    name_annotator,
    order_models,
    say_common,
)
from modeling.reports.names import SAYS_STANDIN, is_aside, order_names

from .blocks import Block, Document, Facts, Heading, Paragraph, Picture, Points, make_grid, write_cell
from .personal import (
    BY_RATER,
    SECTIONS,
    list_gains,
    list_reasons,
    say_method,
    show_cautions,
    show_reasons,
    show_weights,
)

Measures = Mapping[str, Any]

LONGEST_TABLE, WIDEST_TABLE = 45, 10  # rows and columns; a larger one is read better as a file
CONDITIONS = {
    "text": "the consensus predicted from the post's text",
    "text_forest": "a forest on that consensus that does not know the person",
    "panel": "the consensus of other raters",
    "panel_forest": "a forest on the consensus of others that does not know the person",
    "forest": "the paper's forest, which knows the post and the person",
    "personalized": "the personalized prediction",
}
SOURCES = (
    "Spearman, C. (1904). The proof and measurement of association between two things. American Journal of "
    "Psychology, 15(1), 72-101.",
    "Krippendorff, K. (2011). Computing Krippendorff's alpha-reliability. University of Pennsylvania.",
    "Fleiss, J. L. (1971). Measuring nominal scale agreement among many raters. Psychological Bulletin, 76(5), "
    "378-382.",
    "Gwet, K. L. (2008). Computing inter-rater reliability and its variance in the presence of high agreement. "
    "British Journal of Mathematical and Statistical Psychology, 61(1), 29-48.",
    "Shrout, P. E., & Fleiss, J. L. (1979). Intraclass correlations: uses in assessing rater reliability. "
    "Psychological Bulletin, 86(2), 420-428.",
    "Efron, B. (1979). Bootstrap methods: another look at the jackknife. Annals of Statistics, 7(1), 1-26.",
    "Breiman, L. (2001). Random forests. Machine Learning, 45, 5-32.",
    "Epstein, Z., et al. Whose Values? Measuring the (Subjective) Expression of Basic Human Values in Social "
    "Media Posts.",
)


@dataclass(frozen=True)
class StoredFigure:
    """A figure of a report as it is stored."""

    key: str
    title: str
    caption: str
    svg: str
    table: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """A stored report: its measures, its figures and when it was made."""

    measures: Measures
    figures: Sequence[StoredFigure]
    made: str


@dataclass(frozen=True)
class About:
    """What is known of the study beside its reports; dates and versions as texts."""

    name: str
    version: str
    made: str


def compose(
    about: About, agreement: Part | None, evaluation: Part | None, comparison: Part | None = None
) -> Document:
    """Return the document of a study's stored reports.

    Raises
    ------
    ValueError
        If there is no report at all.
    """
    parts = [part for part in (agreement, evaluation, comparison) if part is not None]
    if not parts:
        raise ValueError("a document shows stored reports, and there is none; make one first")
    first = parts[0].measures
    blocks: list[Block] = []
    if first["n_simulated"]:
        blocks.append(
            Paragraph(
                f"{first['n_simulated']:,} of the {first['n_raters']:,} raters are simulated. Their figures show how "
                "the software works; they are no evidence about people or about any method.",
                is_warning=True,
            )
        )
    findings = (*_list_findings(agreement, evaluation), *_list_compared(comparison))
    blocks += [Heading("Findings"), Points(findings)]
    if evaluation:
        blocks += show_cautions(evaluation.measures)
    blocks += [Heading("Methods"), *map(Paragraph, _write_methods(first, evaluation))]
    if agreement:
        blocks += [Heading("How far people agree"), *_show_figures(agreement.figures)]
    if evaluation:
        blocks += _show_evaluation(evaluation)
    if comparison:
        blocks += _show_comparison(comparison)
    blocks += [Heading("Notes"), Points(tuple(dict.fromkeys(_list_notes(parts))))]
    blocks += [
        Heading("What these numbers rest on"),
        *_show_provenance(about, agreement, evaluation, comparison),
    ]
    blocks += [Heading("Sources of the measures"), Points(SOURCES)]
    return Document(
        title=about.name,
        subtitle=f"What people agree and disagree about. Made with Parallax on {about.made}.",
        blocks=tuple(blocks),
    )


def _show_evaluation(evaluation: Part) -> Iterable[Block]:
    measures = evaluation.measures
    yield Heading("People and models")
    if "verdict" not in measures:  # made before the two questions were told apart
        yield from _show_figures(evaluation.figures)
        return
    apart = {key for _, keys in SECTIONS for key in keys} | set(BY_RATER)
    yield from _show_figures([figure for figure in evaluation.figures if figure.key not in apart])
    reasons = list_reasons(measures)
    for title, keys in SECTIONS:
        yield Heading(title)
        yield from show_reasons(reasons[title])
        yield from _show_figures([figure for figure in evaluation.figures if figure.key in keys])
    yield from show_weights(measures)
    of_raters = [figure for figure in evaluation.figures if figure.key in BY_RATER]
    if of_raters:
        yield Heading("The gain, rater by rater and value by value")
        yield from _show_figures(of_raters)


def _show_comparison(comparison: Part) -> Iterable[Block]:
    measures = comparison.measures
    yield Heading("Annotator models side by side")
    standins = [model["label"] for model in measures["models"] if model["is_standin"]]
    if standins:
        yield Paragraph(f"{SAYS_STANDIN} {'; '.join(standins)}.", is_warning=True)
    yield Paragraph(f"Models are judged on {say_common(measures)}")
    others = [*list_apart(measures), *(f"{row['label']}: {row['reason']}." for row in measures["absent"])]
    if others:
        yield Points(tuple(others))
    yield from _show_figures(comparison.figures)


def _list_compared(comparison: Part | None) -> Iterable[str]:
    if comparison is None:
        return
    for model in order_models(comparison.measures):
        people = model["human_human"] if model["is_apart"] else comparison.measures["human_human"]
        yield (
            f"People agree with the annotator model {name_annotator(model)} with {_say(model)}"
            f"{_say_gain(model, people)} on the same posts."
        )


def _list_findings(agreement: Part | None, evaluation: Part | None) -> Iterable[str]:
    if agreement:
        measures = agreement.measures
        yield f"Two people who read the same post agree with {_say(measures['human_human'])}."
        over_raters = measures["human_human_over_raters"]
        yield (
            f"Had other raters taken part, that figure would lie between "
            f"{write_cell(over_raters['interval'], 'interval').replace(' to ', ' and ')} (bootstrap over "
            f"{over_raters['raters']:,} raters)."
            if None not in over_raters["interval"]
            else "How much that depends on who took part cannot be told from so few raters."
        )
        yield (
            f"One person agrees with the rounded consensus of the others with {_say(measures['human_consensus'])}."
        )
        span = measures["alpha_range"]
        if span["lowest"] and span["highest"]:
            names = {value["key"]: value["name"] for value in measures["values"]}
            yield (
                f"Krippendorff's ordinal alpha runs from {_number(span['lowest']['alpha'])} "
                f"({names[span['lowest']['value']]}) to {_number(span['highest']['alpha'])} "
                f"({names[span['highest']['value']]}); its median over the values is {_number(span['median'])}."
            )
        else:
            yield "Krippendorff's alpha is not defined for any value."
    if evaluation:
        measures = evaluation.measures
        people = measures["holdout"]["human_human"]
        yield (
            f"On the {measures['holdout']['n_posts']:,} held-out posts people agree with one other person with "
            f"{_say(people)}."
        )
        for name, entry in _list_models(measures):
            yield f"They agree with {CONDITIONS.get(name, name)} with {_say(entry)}{_say_gain(entry, people)}."
        gain = measures["gain"]
        if gain["mean"] is not None:
            yield (
                f"Personalization changes a rater's mean rho by {write_cell(gain['mean'], 'signed')} on average "
                f"({write_cell(gain['interval'], 'interval')} over {gain['n_raters']:,} raters); it is higher for "
                f"{write_cell(gain['share_better'], 'share')} of them."
            )
        yield from list_gains(measures)


def _write_methods(measures: Measures, evaluation: Part | None) -> Iterable[str]:
    low, high = measures["scale"]
    yield (
        f"{measures['n_raters']:,} raters made {measures['n_annotations']:,} annotations of {measures['n_posts']:,} "
        f"posts. An annotation rates each of {measures['n_values']:,} values from {low} to {high}. Included is "
        f"{measures['inclusion']}"
        + (f"; {measures['n_excluded']:,} were excluded." if measures["n_excluded"] else ".")
    )
    yield (
        "Agreement is Spearman's rank correlation between two vectors of ratings of one post, averaged within the "
        "post and then over posts. A correlation with a vector that is constant does not exist and is left out, as "
        "is a post without any. The consensus that a rater is compared with is the mean of the post's other raters, "
        "rounded half up. Reliability by value is Krippendorff's alpha with missing data. Intervals are 95 % "
        "percentile bootstraps over posts (or raters, where the rater is the unit) with 1,000 seeded resamples."
    )
    if evaluation:
        measures = evaluation.measures
        yield (
            f"Models are judged on {measures['holdout']['n_posts']:,} posts that were set aside before anything was "
            f"fitted. The personalized prediction is {say_method(measures)}; the notes say what went in."
        )


def _show_figures(figures: Sequence[StoredFigure]) -> Iterable[Block]:
    for figure in figures:
        table, left_out = _narrow(figure.table)
        n_rows, n_columns = len(table["rows"]), len(table["columns"])
        fits = n_rows <= LONGEST_TABLE and n_columns <= WIDEST_TABLE
        yield Picture(
            name=figure.key,
            svg=figure.svg,
            title=figure.title,
            caption=figure.caption,
            alternative=f"{figure.title}. The numbers are in the table that follows."
            if fits
            else figure.title,
        )
        if fits:
            yield make_grid(f"{figure.title}: the numbers{left_out}", table)
        else:
            yield Paragraph(
                f"The numbers of “{figure.title}” are {n_rows:,} rows of {n_columns} columns; the study's pages give "
                "them as a CSV file."
            )


def _narrow(table: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Leave out the intervals of a table that is too wide with them, and say so."""
    kept = [place for place, column in enumerate(table["columns"]) if column["kind"] != "interval"]
    if len(table["columns"]) <= WIDEST_TABLE or len(kept) > WIDEST_TABLE:
        return table, ""
    return {
        "columns": [table["columns"][place] for place in kept],
        "rows": [[row[place] for place in kept] for row in table["rows"]],
    }, ", without their intervals"


def _list_notes(parts: Iterable[Part]) -> Iterable[str]:
    for part in parts:
        yield from part.measures["notes"]


def _show_provenance(
    about: About, agreement: Part | None, evaluation: Part | None, comparison: Part | None
) -> Iterable[Block]:
    yield Facts((("Study version", about.version or "none frozen"), ("Document made", about.made)))
    for name, part in (
        ("Agreement of people", agreement),
        ("People and models", evaluation),
        ("Annotator models side by side", comparison),
    ):
        if part:
            yield Heading(name, level=3)
            yield Facts(
                (
                    ("Made", part.made),
                    ("Ratings and posts (SHA-256)", part.measures["data_hash"]),
                    ("Everything it saw (SHA-256)", part.measures["inputs_hash"]),
                    ("Code", part.measures["code_version"]),
                    ("Seed", str(part.measures["seed"])),
                )
            )


def _list_models(measures: Measures) -> list[tuple[str, Mapping[str, Any]]]:
    found = [
        (name, measures["models"][name]) for name in order_names(measures["models"]) if not is_aside(name)
    ]
    return [*found, ("personalized", measures["personalized"])] if measures["personalized"] else found


def _say(entry: Mapping[str, Any]) -> str:
    if entry["rho"] is None:
        return f"no defined rho (all {entry['compared']:,} comparisons are with a constant vector or have no partner)"
    interval = write_cell(entry["interval"], "interval")
    left_out = f"{entry['undefined']:,} of {entry['compared']:,} comparisons left out"
    return f"a mean rho of {_number(entry['rho'])} ({interval}, {entry['posts']:,} posts; {left_out})"


def _say_gain(entry: Mapping[str, Any], people: Mapping[str, Any]) -> str:
    if entry["rho"] is None or not people["rho"] or people["rho"] < 0:
        return ""
    change = (entry["rho"] - people["rho"]) / people["rho"]
    return f", {abs(change) * 100:.0f} % {'more' if change >= 0 else 'less'} than with one other person"


def _number(value: float | None) -> str:
    return write_cell(value, "number")
