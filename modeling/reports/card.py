"""PURE. The card of a fitted model: what it was made of, how well it does, for whom, what it must not be used for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .document.blocks import Block, Document, Facts, Heading, Paragraph, Points, make_grid
from .document.personal import say_method, show_weights
from .evaluation_tables import tabulate_evaluation_report
from .names import PERSONALIZED, SAMPLE_NAMES, VIEWS, name_model
from .personal_tables import list_samples
from .tables import Measures

SCHEMA = 1  # of the content; it grows when a key changes its meaning
INTENDED = (
    "Describing, for research, how far people read the values in posts differently, and whether that can be predicted.",
    "Predicting how a person who agreed to it would rate posts like those of the study, and ordering posts for that "
    "person where they can see, change and switch off what is done.",
    "Comparing ways to predict such ratings on the same held-out posts.",
)
NOT_FOR = (
    "Inferring what a person values, believes or is. The model predicts what someone sees in a post, and not what "
    "they hold dear.",
    "Inferring or standing in for protected traits such as religion, political opinion, ethnicity, health, sexual "
    "orientation, gender or age, whether by themselves or through groups of raters.",
    "Deciding anything about a person: employment, credit, insurance, housing, education, policing, migration, "
    "moderation of an account, or what someone pays.",
    "Profiling or targeting anyone beyond what they consented to, persuading them without their knowledge, or keeping "
    "from them what others may read.",
    "Claiming what values a post truly expresses. There is no true rating here, only people's readings; neither the "
    "consensus nor a prediction is one.",
    "People, languages, platforms or times unlike those of the sample, without an evaluation there.",
    "Standing in for people's own answers in a study, or filling in for raters who did not take part.",
)
LIMITS = (
    "Ratings were given under the study's instructions and for its posts; other wordings or posts can change them.",
    "A mean over raters hides that some are predicted worse than by the consensus; see the share of them below.",
    "Raters chose to take part. Nothing here shows how the model does for those who did not.",
    "Intervals say how far a number would move with other raters or posts of the same kind, not of other kinds.",
)
NO_SCOPE = (
    "The study states no scope of consent. Until it does, use nothing of this model beyond the study itself."
)
NO_LICENSE = "No licence was given for this model; ask whoever runs the study before you use or pass it on."
FEW_RATERS = 100


@dataclass(frozen=True)
class CardFacts:
    """What a card says beyond the measures of its evaluation; dates and versions as texts.

    Attributes
    ----------
    name : of the study
    fit : how the fit is called, such as 'Fit 12'
    made : when it was fitted
    consent_scope : what raters agreed to, in the study's words, paragraphs in lines; empty where it says nothing
    data_hash : of the ratings and posts
    code_version : of Parallax
    versions : of the libraries it was fitted with, by their names
    files : SHA-256 of each file of the fit, by its role
    settings : of the fit, as they were given
    languages : of the posts; empty where unknown
    license_note : under what terms the model may be used
    contact : whom to ask
    """

    name: str
    fit: str
    made: str
    consent_scope: str
    data_hash: str
    code_version: str
    versions: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    license_note: str = ""
    contact: str = ""


def card_content(facts: CardFacts, measures: Measures) -> dict[str, Any]:
    """Return what a card says, ready for JSON; numbers are those of the evaluation.

    `measures` are those of `describe_evaluation`, with `inclusion` and `n_simulated` beside them. Raises ValueError for
    those of an evaluation that did not tell known raters from new ones.
    """
    if "verdict" not in measures:
        raise ValueError("this evaluation is older than the card; evaluate the fit again")
    gain = measures["gain"]
    return {
        "schema": SCHEMA,
        "name": facts.name,
        "fit": facts.fit,
        "made": facts.made,
        "data": {
            "raters": measures["n_raters"],
            "posts": measures["n_posts"],
            "annotations": measures["n_annotations"],
            "values": [value["name"] for value in measures["values"]],
            "scale": list(measures["scale"]),
            "languages": list(facts.languages),
            "included": measures["inclusion"],
            "simulated_raters": measures["n_simulated"],
            "hash": facts.data_hash,
        },
        "split": {
            "held_out_posts": measures["holdout"]["n_posts"] if measures["holdout"] else 0,
            "new_raters": measures["cold_start"]["n_raters"],
            "could_see": list(measures["could_see"]),
        },
        "method": {
            "name": measures["method"],
            "what": say_method(measures),
            "consensus": measures["consensus"],
            "weights": measures["weights"],
            "settings": dict(facts.settings),
        },
        "metrics": {
            key: {
                "reason": sample["reason"],
                "raters": sample["n_raters"],
                "posts": sample["n_posts"],
                "annotations": sample["n_rows"],
                "conditions": sample["conditions"],
                "differences": [row for row in measures["rater_differences"] if row["sample"] == key],
                "by_value": [
                    {"value": row["value"]} | row["models"].get(PERSONALIZED, {})
                    for row in sample["by_value"]
                ],
            }
            for key, sample in {
                "known": measures["controls"],
                "known_posts": measures["cold_start"]["known_posts"],
                "new_posts": measures["cold_start"]["new_posts"],
            }.items()
        },
        "verdict": measures["verdict"],
        "controls": {"permuted": measures["controls"]["permuted"], "absent": measures["controls"]["absent"]},
        "groups": {
            "reason": gain["reason"],
            "share_better": gain["share_better"],
            "gains": gain["by_group"],
            "answers_in_small_groups": gain["n_answers_in_small_groups"],
        },
        "coverage": measures["coverage"],
        "intended_use": list(INTENDED),
        "not_for": list(NOT_FOR),
        "consent_scope": facts.consent_scope or NO_SCOPE,
        "limits": list(_list_limits(facts, measures)),
        "provenance": {
            "code_version": facts.code_version,
            "versions": dict(facts.versions),
            "files": dict(facts.files),
            "seed": measures["seed"],
        },
        "license": facts.license_note or NO_LICENSE,
        "contact": facts.contact,
    }


def compose_card(facts: CardFacts, measures: Measures) -> Document:
    """Return the card as a document: what must not be done stands before what can be shown."""
    content = card_content(facts, measures)
    data = content["data"]
    tables = tabulate_evaluation_report(measures)
    blocks: list[Block] = []
    if data["simulated_raters"]:
        blocks.append(
            Paragraph(
                f"{data['simulated_raters']:,} of the {data['raters']:,} raters are simulated. What follows shows how "
                "the software works; it is no evidence about people or about any method.",
                is_warning=True,
            )
        )
    verdict, permuted = content["verdict"], content["controls"]["permuted"]
    blocks += [
        Paragraph(verdict["sentence"], is_warning=bool(verdict["is_worse"])),
        Heading("What it is for"),
        Points(INTENDED),
        Heading("What it must not be used for"),
        Points(NOT_FOR),
        Heading("What raters agreed to"),
        *(
            Paragraph(line, is_warning=not facts.consent_scope)
            for line in content["consent_scope"].splitlines()
            if line.strip()
        ),
        Heading("Data"),
        Facts(tuple(_list_data(content))),
        Heading("Split, and what the model could see"),
        Paragraph(
            f"{content['split']['held_out_posts']:,} posts were set aside before anything was fitted. "
            + (
                f"A second fit set {content['split']['new_raters']:,} raters aside too, to be predicted from their "
                "answers alone."
                if content["split"]["new_raters"]
                else f"No raters were set aside: {measures['cold_start']['reason']}."
            )
        ),
        Points(tuple(content["split"]["could_see"]) or ("The fit left no note of it.",)),
        Heading("Method"),
        Paragraph(f"The personalized prediction is {content['method']['what']}."),
        *show_weights(measures),
        Heading("How well it does"),
        *_show(tables, "controls", content["metrics"]["known"]["reason"]),
        *_show(tables, "cold_start", measures["cold_start"]["reason"]),
        *_show(tables, "rater_differences", "there is nothing to compare"),
        Heading("Controls"),
        Paragraph(permuted["sentence"], is_warning=bool(permuted["is_leaking"])),
        *_show_absent(content),
        Heading("For whom"),
        *_show_groups(content, tables),
        Heading("Prediction intervals"),
        *_show(tables, "interval_coverage", measures["coverage"]["known"]["reason"]),
        Heading("Limits"),
        Points(tuple(content["limits"])),
        Heading("Versions, files and licence"),
        Facts(tuple(_list_provenance(content))),
    ]
    return Document(
        title=f"Model card: {facts.name}",
        subtitle=f"{facts.fit}, made on {facts.made} with Parallax {facts.code_version}.",
        blocks=tuple(blocks),
    )


def _list_data(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    data = content["data"]
    yield "Raters", f"{data['raters']:,} ({data['included']})"
    yield "Simulated", f"{data['simulated_raters']:,}" if data["simulated_raters"] else "none"
    yield "Posts", f"{data['posts']:,}"
    yield "Annotations", f"{data['annotations']:,}, rated from {data['scale'][0]} to {data['scale'][1]}"
    yield "Values", ", ".join(data["values"])
    yield "Languages", ", ".join(data["languages"]) or "not stated"
    yield "Ratings and posts (SHA-256)", data["hash"]


def _list_provenance(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    provenance = content["provenance"]
    yield "Code", provenance["code_version"]
    yield "Seed", str(provenance["seed"])
    yield from ((f"Version of {name}", version) for name, version in provenance["versions"].items())
    yield from ((f"File {role} (SHA-256)", digest) for role, digest in provenance["files"].items())
    yield from ((f"Setting {name}", str(value)) for name, value in content["method"]["settings"].items())
    yield "Licence", content["license"]
    yield "Contact", content["contact"] or "not stated"


def _show(tables: Mapping[str, Any], key: str, reason: str) -> Iterable[Block]:
    if key in tables:
        yield make_grid(tables[key].title, tables[key].as_json())
        yield Paragraph(tables[key].caption)
    else:
        yield Paragraph(f"Not shown: {reason or 'no such number exists'}.")


def _show_absent(content: Mapping[str, Any]) -> Iterable[Block]:
    absent = content["controls"]["absent"]
    if absent:
        names = "; ".join(name_model(row["name"]) for row in absent)
        yield Paragraph(f"Not beside it, for this fit did not compute: {names}.")


def _show_groups(content: Mapping[str, Any], tables: Mapping[str, Any]) -> Iterable[Block]:
    groups = content["groups"]
    if groups["share_better"] is not None:
        share = f"{groups['share_better']:.0%}".replace("%", " %")
        yield Paragraph(
            f"{share} of known raters are predicted better than by the consensus, the others are not."
        )
    yield from _show(
        tables, "gain_by_group", groups["reason"] or "no answers about raters form groups of five or more"
    )


def _list_limits(facts: CardFacts, measures: Measures) -> Iterable[str]:
    yield from LIMITS
    if measures["n_raters"] < FEW_RATERS:
        yield f"Only {measures['n_raters']:,} raters: numbers by group and by value are rough."
    if not facts.languages:
        yield "The languages of the posts are not stated, so nothing is known of how it does in any one."
    samples = list_samples(measures)
    for key, name in SAMPLE_NAMES.items():
        if key not in samples:
            yield f"Not evaluated: {name[0].lower()}{name[1:]}."
    yield from _list_coverage_limits(measures)
    small = measures["gain"]["n_answers_in_small_groups"]
    if small:
        yield f"{small:,} answers are of groups under five raters, for whom nothing is shown."
    if measures["gain"]["reason"] or not measures["gain"]["by_group"]:
        yield "Whether it does worse for some groups of people is not known."


def _list_coverage_limits(measures: Measures) -> Iterable[str]:
    coverage = measures["coverage"]
    aim = f"{coverage['level']:.0%}".replace("%", " %")
    for view, who in zip(VIEWS, ("known", "new"), strict=True):
        low, high = coverage[view]["interval"]
        if coverage[view]["reason"]:
            yield f"Prediction intervals for {who} raters were not checked: {coverage[view]['reason']}."
        elif high is not None and high < coverage["level"]:
            yield f"Prediction intervals for {who} raters are too narrow: fewer than {aim} of ratings lie within."
        elif low is not None and low > coverage["level"]:
            yield f"Prediction intervals for {who} raters are too wide: more than {aim} of ratings lie within."
