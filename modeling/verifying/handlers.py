"""What a worker does for a verification: its queue, part by part; a preview of rules; the report."""

import hashlib
from typing import Any

import numpy as np
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import Study
from jobs.errors import PermanentError
from jobs.parts import Part, Parts
from jobs.registry import Effect, handles
from jobs.services import Claim
from modeling.models import AnnotatorRun, Report, Verification, VerificationItem
from modeling.reporting.storing import draw_all, store_report
from modeling.reporting.subjects import JOBS, read_subject
from modeling.reports.figures.verification import draw_verification_figures
from modeling.rules.matching import Matcher, add_counts
from modeling.rules.posts import Flagged
from modeling.rules.reading import MOST_RULES, RulesRefused

from .loading import AT_ONCE, Corpus, get_corpus, list_post_ids, load_chunk, make_matcher
from .measuring import compute_verification
from .services import PREVIEW, PREVIEWED, VERIFY, VERIFY_POSTS, State

PART_POSTS = 2_000
# Positions of posts that more rules flag come first: below them there is room for as many posts as a study can have.
STEP = 10_000_000


@handles(VERIFY)
def verify(claim: Claim) -> Effect | Parts:
    """Hold rules against every post of a run, a few at a time, by whoever is free; then count."""
    verification = _get_verification(claim)
    if verification.state != State.RUNNING:  # a failed job can be tried again, one that is done cannot
        raise PermanentError(f"The verification is {verification.get_state_display().lower()}.")
    corpus = get_corpus(verification)
    if len(corpus.others) < len(verification.other_run_ids):
        raise PermanentError("A run that the readings are held against is gone; make another verification.")
    ids, n_test = list_post_ids(corpus)
    if not ids:
        raise PermanentError("The run has looked at no post that can be verified.")
    if claim.parts is None:
        return Parts(
            [
                Part(
                    VERIFY_POSTS,
                    f"{VERIFY_POSTS}:{claim.job_id}:{begin}",
                    claim.payload
                    | {
                        "first": ids[begin],
                        "last": ids[min(begin + PART_POSTS, len(ids)) - 1],
                        "row": begin,
                        "n": len(ids),
                    },
                )
                for begin in range(0, len(ids), PART_POSTS)
            ],
            note="parts of the corpus held against the rules",
        )
    results = [part.result or {} for part in claim.parts]
    digest = hashlib.sha256("".join(result["digest"] for result in results).encode()).hexdigest()
    counts = add_counts([result["counts"] for result in results]) | {"n_test": n_test}

    def store() -> dict[str, Any]:
        Verification.objects.filter(pk=verification.pk, state=State.RUNNING).update(
            state=State.DONE,
            corpus_sha256=digest,
            n_posts=counts["n_posts"],
            counts=counts,
            finished_at=timezone.now(),
        )
        return {"posts": counts["n_posts"], "flagged": counts["n_any"]}

    return store


@handles(VERIFY_POSTS)
def verify_posts(claim: Claim) -> Effect:
    """Hold rules against some posts of a run and put those that they flag into the queue."""
    verification = _get_verification(claim)
    corpus, first, last = get_corpus(verification), claim.payload["first"], claim.payload["last"]
    ids, _ = list_post_ids(corpus, first, last)
    matcher = _make_matcher(verification.study, verification.rule_set.rules, verification.threshold)
    digest = hashlib.sha256()
    flagged: list[tuple[int, int, Flagged]] = []  # row in the corpus, post
    for begin in range(0, len(ids), AT_ONCE):
        some = ids[begin : begin + AT_ONCE]
        flagged.extend(
            (claim.payload["row"] + begin + each.row, some[each.row], each)
            for each in _match(corpus, matcher, some, digest)
        )
        claim.report(begin + len(some), len(ids), "posts held against the rules")
    # Within as many rules the order is drawn: who stops early has seen a sample, not the oldest posts.
    order = np.random.default_rng([verification.study.seed, verification.pk]).permutation(claim.payload["n"])

    def store() -> dict[str, Any]:
        VerificationItem.objects.filter(verification=verification, post__in=ids).delete()
        VerificationItem.objects.bulk_create(
            (
                VerificationItem(
                    verification=verification,
                    post_id=post,
                    position=(MOST_RULES - len(each.reasons)) * STEP + int(order[row]) + 1,
                    reasons=[
                        {"rule": reason.rule, "values": list(reason.values), "found": reason.found}
                        for reason in each.reasons
                    ],
                    ratings=each.ratings,
                )
                for row, post, each in flagged
            ),
            batch_size=1000,
        )
        return {"counts": matcher.describe_counts(), "digest": digest.hexdigest()}

    return store


@handles(PREVIEW)
def preview_rules(claim: Claim) -> Effect:
    """Count how many of the first posts of a run each rule would flag; nothing is stored but the counts."""
    payload = claim.payload
    runs = AnnotatorRun.objects.select_related("annotator").in_bulk([payload["run"], *payload["others"]])
    study = Study.objects.select_related("value_system").get(pk=payload["study"])
    if payload["run"] not in runs:
        raise PermanentError("The run is gone.")
    corpus = Corpus(study, runs[payload["run"]], tuple(runs[pk] for pk in payload["others"] if pk in runs))
    matcher = _make_matcher(study, payload["rules"], payload["threshold"])
    ids = list_post_ids(corpus)[0][:PREVIEWED]
    _match(corpus, matcher, ids, hashlib.sha256())
    return matcher.describe_counts


@handles(JOBS[Report.Kind.VERIFICATION])
def report_verification(claim: Claim) -> Effect:
    """Measure what a verification's rules came to, as far as experts have decided."""
    study = Study.objects.select_related("value_system").get(pk=claim.payload["study"])
    subject = claim.payload["subject"]
    found = Verification.objects.select_related(
        "study__value_system", "rule_set", "run__annotator", "expert_set"
    )
    verification = found.filter(study=study, pk=read_subject(subject).get("verification")).first()
    if verification is None or verification.state != State.DONE:
        raise PermanentError("The verification is gone, or its queue is not made yet.")
    read_at = timezone.now()
    try:
        measures = compute_verification(verification, claim.report)
    except (Refused, RulesRefused) as error:
        raise PermanentError(f"The study's values have changed since. {error}") from error
    figures = draw_all(draw_verification_figures(measures))

    def store() -> dict[str, Any]:
        report = store_report(
            study,
            Report.Kind.VERIFICATION,
            subject,
            measures,
            figures,
            data_hash=measures["data_hash"],
            read_at=read_at,
        )
        return {"report": report.pk}

    return store


def _get_verification(claim: Claim) -> Verification:
    found = Verification.objects.select_related("study__value_system", "rule_set", "run__annotator")
    verification = found.filter(pk=claim.payload["verification"]).first()
    if verification is None:
        raise PermanentError("The verification is gone.")
    return verification


def _make_matcher(study: Study, rules: Any, threshold: int) -> Matcher:
    try:
        return make_matcher(study, rules, threshold)
    except RulesRefused as error:
        raise PermanentError(f"The rules do not fit the study any more. {error}") from error


def _match(corpus: Corpus, matcher: Matcher, ids: list[int], digest: Any) -> list[Flagged]:
    chunk, of_chunk = load_chunk(corpus, ids)
    if len(chunk.texts) != len(ids):
        raise PermanentError("A post was deleted while the rules were held against it; start again.")
    digest.update(of_chunk)
    return matcher.match(chunk)
