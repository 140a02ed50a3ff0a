"""What is written of a run's errors: the codebook note, and the words that the next prompt version begins with.

Plain text from a stored report. A web process may import it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from annotation.models import Post, Study
from modeling.annotators.prompts import get_design
from modeling.experts.services import get_family
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertSet, PromptVersion, Report
from modeling.prompts.design import MAX_CHARACTERS, Concept, PromptDesign
from modeling.reporting.subjects import get_report, name_subject
from modeling.reports.misattribution_tables import (
    NOTHING,
    compare_recurrent,
    list_recurrent,
    list_seen,
    say_ground,
)
from modeling.reports.names import SAYS_STANDIN
from modeling.reports.tables import Measures, count, name_values

from .runs import list_scored_runs

NO_REASON_ASKED = "this prompt asks for no reason"
NO_REASON_GIVEN = "the model gave no reason"
POST_GONE = "(The post is no longer there.)"
SIGNS = re.compile(r"\s+Signs?:")  # begins what the shipped definitions add to the theory's own
MARKUP = re.compile(r"([\\`*_{}\[\]<>#|~])")


@dataclass(frozen=True)
class Wording:
    """What the prompt editor begins with: closing words with guidance at their end, and what is told of it.

    `n_left_out` sentences had no room in a prompt.
    """

    closing: str
    note: str
    n_sentences: int
    n_left_out: int
    run: AnnotatorRun


def describe_run(run: AnnotatorRun) -> dict[str, Any]:
    """Return what a report says of a run: model, prompt version, whether a reason was asked for."""
    annotator = run.annotator
    prompt = annotator.prompt
    return {
        "pk": run.pk,
        "annotator": annotator.pk,
        "label": str(annotator),
        "kind": annotator.get_kind_display(),
        "model": annotator.model_name,
        "samples": annotator.samples,
        "family": get_family(annotator),
        "prompt": None if prompt is None else {"pk": prompt.pk, "number": prompt.number, "note": prompt.note},
        "asks_why": prompt is not None and bool(prompt.content.get("asks_why")),
        "is_standin": annotator.is_standin or run.is_standin,
        "finished": run.finished_at.isoformat() if run.finished_at else "",
    }


def find_run_before(expert_set: ExpertSet, run: AnnotatorRun) -> AnnotatorRun | None:
    """Return the newest scored run before: of the same model and family of prompts, or of the encoder."""
    annotator = run.annotator
    runs = list_scored_runs(expert_set).exclude(pk=run.pk)
    if annotator.prompt is None:
        earlier = runs.filter(
            annotator__kind=AnnotatorModel.Kind.ENCODER,
            annotator__name=annotator.name,
            annotator__version__lt=annotator.version,
        )
        return earlier.order_by("-annotator__version", "-pk").first()
    earlier = runs.filter(
        annotator__prompt__family=annotator.prompt.family,
        annotator__prompt__number__lt=annotator.prompt.number,
        annotator__name=annotator.name,
        annotator__kind=annotator.kind,
        annotator__provider=annotator.provider,
        annotator__model_name=annotator.model_name,
    )
    return earlier.order_by("-annotator__prompt__number", "-pk").first()


def get_error_report(expert_set: ExpertSet, run_pk: int) -> Report | None:
    """Return the stored error report of a run."""
    return get_report(expert_set.study, Report.Kind.ERRORS, name_subject(set=expert_set.pk, run=run_pk))


def load_example_posts(study: Study, measures: Measures) -> dict[int, Post]:
    """Return the example posts of a report that are still there, by their ids."""
    ids = {example["post"] for pair in measures["pairs"] for example in pair["examples"]}
    return study.posts.only("key", "text", "context_kind", "context_text").in_bulk(ids)


def say_why(measures: Measures, example: Measures) -> str:
    """Return the model's reason for what it says of an example, or that there is none and why."""
    why: str = example["why"]
    return why or (NO_REASON_GIVEN if measures["run"]["asks_why"] else NO_REASON_ASKED)


def draft_guidance(pair: Measures, design: PromptDesign) -> str:
    """Return what a prompt could say against a misattribution, without quoting a post; "" where it lacks the value."""
    concepts = {concept.key: concept for concept in design.concepts}
    given, other = concepts.get(pair["given"]), concepts.get(pair["instead_of"])
    lowest = design.numbers[0]
    if given is None:
        return ""
    if other is None:
        return (
            f"{given.label} must stand in the post. It means: {_define(given)} Where nothing in the post speaks of "
            f"that, {given.label} is {lowest}: do not infer it from the topic or the tone."
        )
    return (
        f"{given.label} is not {other.label}. {other.label} means: {_define(other)} {given.label} means: "
        f"{_define(given)} A post that speaks of the first is not for that reason about the second: give "
        f"{given.label} more than {lowest} only for words of the post that speak of {given.label} itself."
    )


def _define(concept: Concept) -> str:
    """The definition without the list of signs, as a sentence."""
    words = SIGNS.split(concept.definition.strip(), maxsplit=1)[0].strip()
    return words if words.endswith((".", "!", "?")) else f"{words}."


def draft_wording(study: Study, newest: PromptVersion, set_pk: int, run_pk: int) -> Wording | None:
    """Return what a new version after `newest` begins with to answer the errors of a run; None without a report.

    Guidance that the closing words have already is not added again.
    """
    expert_set = study.expert_sets.filter(pk=set_pk).first()
    run = AnnotatorRun.objects.filter(pk=run_pk, annotator__study=study).select_related("annotator").first()
    report = get_error_report(expert_set, run_pk) if expert_set and run else None
    if run is None or report is None:
        return None
    design = get_design(newest)
    closing, n_sentences, n_left_out = design.closing.rstrip(), 0, 0
    for pair in list_recurrent(report.measures):
        words = draft_guidance(pair, design)
        if not words or words in closing:
            continue
        longer = f"{closing}\n\n{words}".strip()
        if len(longer) > MAX_CHARACTERS:
            n_left_out += 1
        else:
            closing, n_sentences = longer, n_sentences + 1
    return Wording(closing, f"Answers the errors of run {run_pk}.", n_sentences, n_left_out, run)


def write_note(
    measures: Measures, design: PromptDesign | None, posts: Mapping[int, Post], before: Measures | None = None
) -> str:
    """Return the codebook note of an error report as Markdown.

    Parameters
    ----------
    measures : of the report
    design : what the model was asked; None for a local encoder, for which no guidance can be worded
    posts : the example posts, by their ids
    before : measures of the report on the version before, where there is one
    """
    names = name_values(measures)
    run, recurrent = measures["run"], list_recurrent(measures)
    parts = [
        f"# Codebook note: errors of run {run['pk']}",
        _introduce(measures),
        *([f"**{SAYS_STANDIN}**"] if run["is_standin"] else []),
        say_ground(measures),
        *([_list(measures["notes"])] if measures["notes"] else []),
        "## Recurrent misattributions",
    ]
    if not recurrent:
        parts.append(say_nothing_found(measures))
    for pair in recurrent:
        parts += [
            f"### {_escape(say_pair(names, pair))}",
            say_rate(names, pair),
            *(_write_example(measures, names, pair, example, posts) for example in pair["examples"]),
        ]
        if design and (words := draft_guidance(pair, design)):
            parts.append(f"Guidance for the next version: {_escape(words)}")
    if before is not None:
        parts += [f"## Since run {before['run']['pk']}", _list(say_changes(before, measures))]
    distance = measures["distance"]
    if distance["mean"] is not None:
        parts += ["## On the circle of values", say_distance(distance)]
    return "\n\n".join(parts) + "\n"


def say_nothing_found(measures: Measures) -> str:
    """Return why a report names no misattribution, as sentences."""
    if measures["reason"]:
        return f"Nothing could be tested: {measures['reason']}."
    return (
        f"None of the {measures['n_tests']:,} pairs tested is told from chance. That is no proof that there is none: "
        f"on {count(measures['n_posts'], 'post', 'posts')} a rare one stays unseen."
    )


def _introduce(measures: Measures) -> str:
    run = measures["run"]
    asked = f"prompt version {run['prompt']['number']}" if run["prompt"] else "no prompt"
    model = f" ({_escape(run['model'])})" if run["model"] else ""
    return (
        f"Annotator model: {_escape(run['label'])}{model}, {asked}, family “{_escape(run['family'])}”. Held against "
        f"the experts of “{_escape(measures['set']['name'])}”."
    )


def say_pair(names: Mapping[str, str], pair: Measures) -> str:
    """Return a misattribution in a few words."""
    if pair["instead_of"] == NOTHING:
        return f"{names[pair['given']]} where experts see none of the values"
    return f"{names[pair['given']]} where experts see {names[pair['instead_of']]}"


def say_rate(names: Mapping[str, str], pair: Measures) -> str:
    """Return how often a misattribution happens and how often it would by chance, as sentences."""
    given = names[pair["given"]]
    if pair["instead_of"] == NOTHING:
        where = "in which experts see no value"
        replaced = ""
    else:
        other = names[pair["instead_of"]]
        where = f"with {other} and without {given}"
        replaced = (
            f" In {pair['replaced']:,} of these {pair['wrong']:,} it misses {other} at the same time."
            if pair["replaced"]
            else f" It finds {other} in these as well."
        )
    chance = (
        ""
        if pair["expected"] is None
        else f" Where experts see neither, it does so in {_percent(pair['expected'])}."
        if pair["instead_of"] != NOTHING
        else f" Where they see other values, it does so in {_percent(pair['expected'])}."
    )
    return (
        f"The model gives {given} in {pair['wrong']:,} of {count(pair['chances'], 'post', 'posts')} {where} "
        f"({_percent(pair['rate'])}).{chance}{replaced} p {_write_p(pair['p_adjusted'])}, corrected for all pairs."
    )


def say_changes(before: Measures, now: Measures) -> list[str]:
    """Return which recurrent misattributions are gone, stay or are new since an earlier run, as sentences."""
    names = name_values(before) | name_values(now)
    words = {"gone": "Not told from chance any more", "stays": "Still there", "new": "New"}
    found = [
        f"{words[each['state']]}: {say_pair(names, each)}; before {_say_side(each['before'])}, "
        f"now {_say_side(each['now'])}."
        for each in compare_recurrent(before, now)
    ]
    return found or ["Neither run has a recurrent misattribution."]


def _say_side(pair: Measures | None) -> str:
    if pair is None or pair["rate"] is None:
        return "not tested"
    return f"{_percent(pair['rate'])} of {pair['chances']:,}"


def say_distance(distance: Measures) -> str:
    """Return how far the confusions lie apart on the circle, as sentences."""
    low, high = distance["interval"]
    chance = "" if low is None else f" ({low:.0f}° to {high:.0f}° in 95\u202f% of random orders)"
    return (
        f"Confused values lie {distance['mean']:.0f}° apart on average; in a random order of the values it would be "
        f"{distance['expected']:.0f}°{chance}, p {_write_p(distance['p'])}. Small distances mean that the model blurs "
        "neighbours; as large as by chance, that its errors have nothing to do with the circle."
    )


def _write_example(
    measures: Measures,
    names: Mapping[str, str],
    pair: Measures,
    example: Measures,
    posts: Mapping[int, Post],
) -> str:
    post = posts.get(example["post"])
    shown = list_seen(measures, example, pair)
    lines = [f"Post {_escape(post.key)}:" if post else POST_GONE]
    if post:
        lines.append(_quote(post.text))
        if post.context_kind:
            lines.append(f"{post.get_context_kind_display()}:\n\n{_quote(post.context_text)}")
    said = [(f"Expert {place}", each["ratings"]) for place, each in enumerate(example["experts"], start=1)]
    said += [("Reference", example["reference"]), ("Model", example["model"])]
    lines.append(_list([f"{who}: {_say_ratings(names, ratings, shown)}" for who, ratings in said]))
    lines.append(f"The model's reason: {_escape(say_why(measures, example))}")
    return "\n\n".join(lines)


def _say_ratings(names: Mapping[str, str], ratings: Measures, keys: Sequence[str]) -> str:
    return ", ".join(
        f"{_escape(names[key])} {'–' if ratings[key] is None else f'{ratings[key]:g}'}" for key in keys
    )


def _list(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _quote(text: str) -> str:
    """A post as a quotation: nothing in it acts as a mark."""
    return "\n".join(f"> {_escape(line)}".rstrip() for line in text.splitlines())


def _escape(text: str) -> str:
    return MARKUP.sub(r"\\\1", text)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f}\u202f%"


def _write_p(p: float | None) -> str:
    return "–" if p is None else "< 0.001" if p < 0.001 else f"= {p:.3f}"
