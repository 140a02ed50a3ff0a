"""The words that go with a study's data: what is there, how many, by which rule; a methods paragraph."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from django.db.models import Count, Max, Min

from annotation.models import Outcome, Post, Rater, Study
from modeling.inclusion import describe, select

from .pseudonyms import select_people
from .scopes import EVERYONE
from .snapshot import Snapshot
from .tables import Table

STRATEGIES = {
    Study.Strategy.RANDOM: "at random, each post as likely",
    Study.Strategy.BALANCED: "so that posts with the fewest raters came first, ties at random",
    Study.Strategy.FIXED: "the same posts to everyone, in one order",
}


def gather_facts(snapshot: Snapshot, moment: datetime, code_version: str) -> dict[str, Any]:
    """Return the counts and settings that the README states. The ratings were tallied before."""
    study, tally = snapshot.study, snapshot.tally
    people = select_people(study).order_by()
    outcomes = Counter(dict(people.values_list("outcome").annotate(n=Count("pk")).order_by()))
    origins = dict(people.values_list("rater__origin").annotate(n=Count("pk")).order_by())
    span = select(study, snapshot.rule).aggregate(first=Min("started_at"), last=Max("started_at"))
    raters_per_post = tally.per_post[tally.per_post > 0]
    return {
        "moment": moment,
        "code_version": code_version,
        "inclusion": describe(snapshot.rule),
        "outcomes": outcomes,
        "origins": origins,
        "phases": dict(people.values_list("phase").annotate(n=Count("pk")).order_by()),
        "n_excluded": people.filter(exclusion__isnull=False).count(),
        "n_came": sum(outcomes.values()),
        "n_people": len(snapshot.enrollment_ids),
        "n_included": int(snapshot.is_included.sum()),
        "n_raters": int((tally.per_person > 0).sum()),
        **span,
        "n_posts": Post.objects.filter(study=study, purpose=Post.Purpose.LABELING).count(),
        "n_rated_posts": len(raters_per_post),
        "raters_per_post": _summarize(raters_per_post),
        "posts_per_rater": _summarize(tally.per_person[tally.per_person > 0]),
        "n_questions": study.calibration_questions.count(),
    }


def _summarize(counts: np.ndarray) -> tuple[float, int, int] | None:
    return (float(np.median(counts)), int(counts.min()), int(counts.max())) if len(counts) else None


def write_readme(
    snapshot: Snapshot,
    facts: Mapping[str, Any],
    tables: Sequence[Table],
    counts: Mapping[str, int],
    loading_counts: Mapping[str, int],
) -> str:
    """Return the README of an archive, in Markdown."""
    study = snapshot.study
    lines = [
        f"# Data of the study “{study.name}”",
        "",
        f"Exported on {facts['moment']:%d %B %Y at %H:%M} UTC by Parallax {facts['code_version']}, all of it as the "
        "database was at one moment.",
        "",
        *_warn(facts),
        "## Who is in it",
        "",
        (
            "Everyone who came, those of the pilot and those who were excluded among them, marked in `participants`. "
            if snapshot.scope == EVERYONE
            else "Only the raters whom the measures count. "
        )
        + "Rehearsals are never in it.",
        "",
        "| people | number |",
        "| --- | --- |",
        f"| came | {facts['n_came']:,} |",
        *(
            f"| {Outcome(outcome).label.lower() if outcome else 'not finished'} | {n:,} |"
            for outcome, n in sorted(facts["outcomes"].items())
        ),
        f"| of the pilot | {facts['phases'].get('pilot', 0):,} |",
        f"| excluded by a researcher | {facts['n_excluded']:,} |",
        f"| in these files | {facts['n_people']:,} |",
        f"| **included in the measures** | **{facts['n_included']:,}** |",
        "",
        f"**Inclusion rule of the measures:** {facts['inclusion']}. The column `included` marks these raters.",
        "",
        "`rater_id` is a random pseudonym, the same in every export of this study. The same person in another study "
        "has another one. Platform ids are in no file of this archive.",
        "",
        "**Free text is exported as it was written**: rationales, text answers, reasons and posts. People may have "
        "written about themselves or others: read before you pass it on. Answers, times and what browsers sent can "
        "also point to a person when they are combined.",
        "",
        "When someone withdraws later, `withdrawals` of a newer export names their pseudonym: remove their rows from "
        "this copy too.",
        "",
        "## What is in it",
        "",
        "Each table is there as `csv/<table>.csv` (UTF-8, commas) and as `parquet/<table>.parquet` (zstd). "
        "`codebook.md` and `codebook.csv` describe every column. `study/` holds the study as raters met it. "
        "`checksums.sha256` is read by `sha256sum -c checksums.sha256`.",
        "",
        "| table | rows | |",
        "| --- | --- | --- |",
        *(f"| `{table.name}` | {counts[table.name]:,} | {table.meaning} |" for table in tables),
        "",
        *_describe_statuses(snapshot),
        "## Loading it back",
        "",
        *_describe_loading(study, loading_counts),
        "## For a methods section",
        "",
        write_methods(snapshot, facts),
        "",
    ]
    return "\n".join(lines)


def _warn(facts: Mapping[str, Any]) -> list[str]:
    n_simulated = facts["origins"].get(Rater.Origin.SIMULATED, 0)
    if not n_simulated:
        return []
    return [
        f"**{n_simulated:,} of the raters are simulated** (`origin` in `participants`). Their ratings are no evidence "
        "about people.",
        "",
    ]


def _describe_statuses(snapshot: Snapshot) -> list[str]:
    statuses = snapshot.tally.statuses
    return [
        f"Of the ratings {statuses['chosen']:,} were chosen, {statuses['implied']:,} are implied by a group that was "
        f"not opened, and {statuses['not_shown']:,} do not exist because the value was not shown.",
        "",
    ]


def _describe_loading(study: Study, loading_counts: Mapping[str, int]) -> list[str]:
    if not loading_counts:
        return ["No included rater has rated a post yet: there is nothing to load.", ""]
    return [
        "`manage.py load_study NEW-SLUG --export FILE.zip` makes a study of the included raters' "
        f"{loading_counts['ratings']:,} ratings, {loading_counts['posts']:,} posts and "
        f"{loading_counts['calibration']:,} calibration answers, all in the order they have here, so that every "
        "measure comes out the same. It reads the files in `for_load_study/`.",
        "",
    ]


def write_methods(snapshot: Snapshot, facts: Mapping[str, Any]) -> str:
    """Return a paragraph that a methods section can begin with; every number in it is counted."""
    study, scale = snapshot.study, snapshot.tree.scale
    sentences = [
        f"{facts['n_came']:,} {_plural(facts['n_came'], 'person', 'people')} came to the study, of whom "
        f"{facts['outcomes'].get('completed', 0):,} completed it. We analyse {facts['inclusion']}: "
        f"{facts['n_included']:,} {_plural(facts['n_included'], 'rater', 'raters')}",
    ]
    was_imported = set(facts["origins"]) == {Rater.Origin.IMPORTED}
    if facts["first"] and not was_imported:
        sentences[0] += f", who came between {facts['first']:%d %B %Y} and {facts['last']:%d %B %Y}"
    sentences[0] += "."
    if facts["n_excluded"]:
        sentences.append(f"{facts['n_excluded']:,} were excluded by hand; the data states each reason.")
    if facts["n_rated_posts"]:
        median, low, high = facts["raters_per_post"]
        own_median, own_low, own_high = facts["posts_per_rater"]
        sentences.append(
            f"They rated {facts['n_rated_posts']:,} of {facts['n_posts']:,} posts (median {own_median:g} posts per "
            f"rater, {own_low:,} to {own_high:,}; median {median:g} raters per post, {low:,} to {high:,})."
        )
    if not was_imported:
        cap = f", to at most {study.redundancy_cap:,} raters each" if study.redundancy_cap else ""
        sentences.append(f"Posts were given out {STRATEGIES[study.strategy]}{cap}.")
    sentences += [
        f"Each post was rated on {len(snapshot.value_keys)} values of the system “{study.value_system.name}” from "
        f"{scale.shown_from} (“{scale.low}”) to {scale.shown(scale.max)} (“{scale.high}”), stored as {scale.min} to "
        f"{scale.max}; values below groups that a rater did not open count as {scale.min} and are marked as implied.",
    ]
    if facts["n_questions"]:
        sentences.append(
            f"They were also asked the {facts['n_questions']} questions of the calibration questionnaire."
        )
    verb = "loaded into" if was_imported else "collected with"
    sentences.append(f"The data were {verb} Parallax (version {facts['code_version']}).")
    return " ".join(sentences)


def _plural(n: int, one: str, many: str) -> str:
    return one if n == 1 else many
