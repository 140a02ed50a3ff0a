"""Every write to verification rules, to what they flag and to what experts decide. A web process may import it."""

import math
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import transaction
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from annotation.selectors import get_tree
from annotation.services.audit import log_event
from annotation.tree.nodes import UNSTORABLE
from jobs import services as jobs
from jobs.models import Job
from modeling.experts.reference import are_same
from modeling.models import (
    AnnotatorRun,
    ExpertSet,
    RuleSet,
    Verification,
    VerificationDecision,
    VerificationItem,
)
from modeling.rules.language import Rule
from modeling.rules.reading import digest_rules, read_rules
from modeling.tuning.usable_runs import list_runs

VERIFY, VERIFY_POSTS, PREVIEW = "verify", "verify_posts", "preview_rules"
NAME_LENGTH, NOTE_LENGTH, LONGEST_NOTE = 100, 200, 5_000
PREVIEWED = 200  # posts
State, Verdict = Verification.State, VerificationDecision.Verdict


def get_scale(study: Study) -> tuple[int, int]:
    """Return the lowest and the highest rating of a study."""
    scale = get_tree(study.value_system).scale
    return scale.min, scale.max


def get_rules(rule_set: RuleSet) -> tuple[Rule, ...]:
    """Return the rules of a version, checked anew: the study's values may have changed since it was stored.

    Raises RulesRefused when they do not fit any more.
    """
    return read_rules(rule_set.rules, rule_set.study.value_keys, get_scale(rule_set.study))


# --- rules --------------------------------------------------------------------------------------


@transaction.atomic
def save_rule_set(study: Study, *, name: str, rules: Any, note: str = "", user: Any = None) -> RuleSet:
    """Store rules as the next version under their name; the same rules as its newest version are that version.

    Raises
    ------
    RulesRefused
        With every fault of the rules.
    Refused
        For a name that is none.
    """
    name, note = name.strip(), _check_note(note, NOTE_LENGTH)
    if not name or len(name) > NAME_LENGTH or not name.isprintable():
        raise Refused(f"Rules need a name of 1 to {NAME_LENGTH} characters on one line.")
    read_rules(rules, study.value_keys, get_scale(study))
    Study.objects.select_for_update(no_key=True).get(pk=study.pk)
    newest = study.rule_sets.filter(name=name).order_by("-number").first()
    digest = digest_rules(rules)
    if newest is not None and newest.digest == digest:
        return newest
    made = RuleSet.objects.create(
        study=study,
        name=name,
        number=newest.number + 1 if newest else 1,
        rules=rules,
        digest=digest,
        note=note,
        created_by=user,
    )
    _log(study, user, f"Verification rules '{made}' stored.", rule_set=made.pk, digest=digest)
    return made


@transaction.atomic
def request_preview(
    study: Study, *, rules: Any, run: AnnotatorRun, other_runs: Iterable[AnnotatorRun], threshold: int
) -> Job:
    """Ask how many of the first posts of a run each rule would flag. Raises RulesRefused and Refused."""
    read_rules(rules, study.value_keys, get_scale(study))
    others = _check_runs(study, run, other_runs)
    _check_threshold(study, threshold)
    return jobs.enqueue(
        kind=PREVIEW,
        key=f"{PREVIEW}:{study.pk}:{uuid.uuid4()}",
        payload={
            "study": study.pk,
            "run": run.pk,
            "others": [other.pk for other in others],
            "threshold": threshold,
            "rules": rules,
        },
    )


# --- a verification -----------------------------------------------------------------------------


@transaction.atomic
def create_verification(
    rule_set: RuleSet,
    run: AnnotatorRun,
    *,
    other_runs: Iterable[AnnotatorRun] = (),
    expert_set: ExpertSet | None = None,
    threshold: int | None = None,
    user: Any = None,
) -> Verification:
    """Store what is to be held against rules; nothing is begun yet.

    Parameters
    ----------
    run : whose readings an expert is to look at: done, about values, over posts of the study
    other_runs : it is held against, where a rule asks whether models differ
    expert_set : whose reference tells what the decisions are worth; may be none
    threshold : from which rating on a value counts as expressed; that of the set, else one above the lowest rating

    Raises
    ------
    Refused
        For runs or a set that cannot be used, and for rules that do not fit the study any more.
    """
    study = rule_set.study
    others = _check_runs(study, run, other_runs)
    if expert_set is not None and expert_set.study_id != study.pk:
        raise Refused(f"The expert set '{expert_set}' belongs to another study.")
    if threshold is None:
        threshold = expert_set.threshold if expert_set else get_scale(study)[0] + 1
    _check_threshold(study, threshold)
    try:
        get_rules(rule_set)
    except ValueError as error:
        raise Refused(f"{rule_set} does not fit the study any more: {error}") from error
    made = Verification.objects.create(
        study=study,
        rule_set=rule_set,
        run=run,
        other_run_ids=[other.pk for other in others],
        expert_set=expert_set,
        threshold=threshold,
        is_standin=any(each.is_standin or each.annotator.is_standin for each in (run, *others)),
        created_by=user,
    )
    _log(study, user, f"Verification {made.pk} by {rule_set} of run {run.pk} made.", verification=made.pk)
    return made


@transaction.atomic
def start_verification(verification: Verification, user: Any = None) -> Job:
    """Have the rules held against every post, or go on where that stopped; returns the job.

    Raises Refused for one whose queue is made: rules or readings that changed make another verification.
    """
    held = Verification.objects.select_for_update(of=("self",)).get(pk=verification.pk)
    if held.state == State.DONE:
        raise Refused("Its queue is made. Make another verification for other rules or another run.")
    job = jobs.enqueue(
        kind=VERIFY, key=f"{VERIFY} {held.pk}", payload={"verification": held.pk, "study": held.study_id}
    )
    jobs.retry(job)  # only what failed or was cancelled; its parts that are done stay done
    if held.state != State.RUNNING:
        Verification.objects.filter(pk=held.pk).update(state=State.RUNNING, problem="", finished_at=None)
        _log(held.study, user, f"Verification {held.pk} started.", verification=held.pk)
    verification.refresh_from_db()
    job.refresh_from_db()
    return job


@transaction.atomic
def cancel_verification(verification: Verification, user: Any = None) -> bool:
    """Stop a verification that is under way; False when it is not. What is done stays done."""
    held = Verification.objects.select_for_update(of=("self",)).get(pk=verification.pk)
    if held.state != State.RUNNING:
        return False
    Verification.objects.filter(pk=held.pk).update(state=State.CANCELLED, finished_at=timezone.now())
    if job := find_job(held):
        jobs.cancel(job)
    _log(held.study, user, f"Verification {held.pk} cancelled.", verification=held.pk)
    verification.refresh_from_db()
    return True


def find_job(verification: Verification) -> Job | None:
    """Return the job that makes a verification's queue."""
    return Job.objects.filter(kind=VERIFY, key=f"{VERIFY} {verification.pk}").first()


def note_failure(verification: Verification) -> Verification:
    """Move a verification whose job failed into the state that says so; any other stays as it is."""
    job = find_job(verification) if verification.state == State.RUNNING else None
    if job is not None and job.state == Job.State.FAILED:
        Verification.objects.filter(pk=verification.pk, state=State.RUNNING).update(
            state=State.FAILED, problem=job.error, finished_at=timezone.now()
        )
        verification.refresh_from_db()
    return verification


def find_twin(verification: Verification) -> Verification | None:
    """Return the first verification that held the same rules against the very same corpus, if another did."""
    if not verification.corpus_sha256:
        return None
    return (
        Verification.objects.filter(
            study=verification.study_id,
            state=State.DONE,
            corpus_sha256=verification.corpus_sha256,
            rule_set__digest=verification.rule_set.digest,
            threshold=verification.threshold,
        )
        .exclude(pk=verification.pk)
        .order_by("pk")
        .first()
    )


# --- decisions ----------------------------------------------------------------------------------


@transaction.atomic
def store_decision(
    item: VerificationItem,
    user: Any,
    verdict: str,
    ratings: Sequence[float] | None = None,
    note: str = "",
) -> VerificationDecision:
    """Store what an expert says of a flagged post, beside the model's ratings, which stay.

    A second decision by the same expert takes the place of the first, which is kept; the same one again changes
    nothing.

    Parameters
    ----------
    ratings : one per value in the study's order, whole points of its scale; only where the model is wrong. NaN only
        where the model has no rating either.

    Raises
    ------
    Refused
        With everything that is wrong; while the queue is not made.
    """
    item = VerificationItem.objects.select_for_update(of=("self",)).get(pk=item.pk)
    verification, note = item.verification, _check_note(note, LONGEST_NOTE)
    if verification.state != State.DONE:
        raise Refused("The queue is not made yet.")
    if verdict not in Verdict.values:
        raise Refused(f"A decision is {', '.join(Verdict.values)}, not '{verdict:.20}'.")
    own = None
    if verdict == Verdict.CORRECTED:
        own = _check_ratings(verification.study, item, ratings)
    elif ratings is not None:
        raise Refused("Ratings go with a correction only.")
    name = user.get_username()
    before = item.decisions.filter(name=name).order_by("-number").first()
    if before is not None and before.is_current and _is_same(before, verdict, own, note):
        return before
    item.decisions.filter(name=name, is_current=True).update(is_current=False)
    made = VerificationDecision.objects.create(
        item=item,
        expert=user,
        name=name,
        number=before.number + 1 if before else 1,
        verdict=verdict,
        ratings=own,
        note=note,
    )
    if before:  # a first decision tells all of itself; that one was changed is for the study's log
        _log(
            verification.study,
            user,
            f"Revised a decision in verification {verification.pk}.",
            verification=verification.pk,
            item=item.pk,
            number=made.number,
            verdict=verdict,
        )
    return made


def round_ratings(ratings: Sequence[float]) -> list[int | None]:
    """Return a model's mean ratings as points of the scale, rounded half up; None where there is none."""
    return [None if math.isnan(rating) else math.floor(rating + 0.5) for rating in ratings]


def _check_ratings(
    study: Study, item: VerificationItem, ratings: Sequence[float] | None
) -> tuple[float, ...]:
    low, high = get_scale(study)
    if ratings is None or len(ratings) != len(item.ratings):
        raise Refused(f"A correction has {len(item.ratings)} ratings, one for each value.")
    names = {leaf.key: leaf.label for leaf in get_tree(study.value_system).leaves}
    faults = []
    for key, given, said in zip(study.value_keys, ratings, item.ratings, strict=True):
        if math.isnan(given):
            if not math.isnan(said):
                faults.append(f"{names.get(key, key)} has no rating.")
        elif not low <= given <= high or given != int(given):
            faults.append(f"{names.get(key, key)}: {given:g} is no whole number from {low} to {high}.")
    if faults:
        raise Refused(" ".join(faults))
    if [None if math.isnan(given) else int(given) for given in ratings] == round_ratings(item.ratings):
        raise Refused("Nothing is changed: confirm the model’s ratings, or change one.")
    return tuple(float(given) for given in ratings)


def _check_note(note: str, longest: int) -> str:
    note = note.strip()
    if len(note) > longest:
        raise Refused(f"The note has {len(note):,} characters; at most {longest:,} are taken.")
    if UNSTORABLE.search(note):
        raise Refused("The note holds a character that cannot be stored; take it out.")
    return note


def _is_same(
    before: VerificationDecision, verdict: str, ratings: tuple[float, ...] | None, note: str
) -> bool:
    # Only a correction has ratings, and it always has them.
    return before.verdict == verdict and before.note == note and are_same(before.ratings or (), ratings or ())


def _check_runs(study: Study, run: AnnotatorRun, other_runs: Iterable[AnnotatorRun]) -> list[AnnotatorRun]:
    others = list({other.pk: other for other in other_runs if other.pk != run.pk}.values())
    usable = set(list_runs(study).values_list("pk", flat=True))
    if strangers := [str(each.pk) for each in (run, *others) if each.pk not in usable]:
        raise Refused(
            f"Run {', '.join(strangers)} cannot be verified: a run must be done, of this study, over its posts, and "
            "about its values."
        )
    return others


def _check_threshold(study: Study, threshold: int) -> None:
    low, high = get_scale(study)
    if isinstance(threshold, bool) or not isinstance(threshold, int) or not low < threshold <= high:
        raise Refused(f"The threshold is a whole number from {low + 1} to {high}.")


def _log(study: Study, user: Any, summary: str, **detail: Any) -> None:
    log_event(study, StudyEvent.Action.CHANGED, summary, actor=user, detail=detail)
