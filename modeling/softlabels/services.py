"""Asking for soft labels, and taking them back. A web process may import it."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from annotation.models import Post, Study, StudyEvent
from annotation.services.audit import log_event
from jobs import services as jobs
from jobs.models import Job
from modeling.errors import ModelingError
from modeling.inclusion import DEFAULT, InclusionRule, describe
from modeling.models import (
    AnnotatorModel,
    AnnotatorRun,
    EncoderTraining,
    ExpertItem,
    SoftLabelSet,
    TransferCheck,
    Work,
)
from modeling.tuning.usable_runs import list_runs

from .settings import EXPERTS, LOGPROBS, PEOPLE, RUN, VERIFIED, SoftLabelSettings, Source

KIND = "make_soft_labels"
ERASE = "erase_predictions"  # deletes files by their names
State = Work
UNFINISHED = (State.READY, State.RUNNING)
EXAMPLES, TABLE = "examples", "table"  # in the counts of a set: what single posts have, and a file of all
SAYS_TEST = "Posts dealt into the test part of an expert set are never in soft labels."


class SoftLabelsRefused(ModelingError):
    """Soft labels cannot be made as asked; nothing was begun. `faults` says why, by field."""

    def __init__(self, faults: dict[str, str]) -> None:
        super().__init__(" ".join(faults.values()))
        self.faults = faults


def create_soft_labels(
    study: Study,
    name: str,
    sources: Sequence[Source],
    user: Any = None,
    *,
    rule: InclusionRule = DEFAULT,
) -> SoftLabelSet:
    """Have soft labels made of these sources; the same name again is the next version.

    Parameters
    ----------
    sources : whose ratings are mixed, with their weights
    rule : who counts, where people are a source

    Raises
    ------
    SoftLabelsRefused
        Naming every fault by its field: "name", or the source's place and field, such as "0.weight".
    """
    name = name.strip()
    faults = {} if 1 <= len(name) <= 100 else {"name": "Give the soft labels a name of 1 to 100 characters."}
    faults |= SoftLabelSettings.find_faults(sources)
    for place, source in enumerate(sources):
        if f"{place}.number" not in faults and (fault := _find_fault(study, source)):
            faults[f"{place}.number"] = fault
    if faults:
        raise SoftLabelsRefused(faults)
    has_people = any(source.kind == PEOPLE for source in sources)
    settings = SoftLabelSettings(tuple(sources), rule.as_dict() if has_people else None)
    with transaction.atomic():
        Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # two at once must not get one number
        last = study.soft_label_sets.filter(name=name).aggregate(last=Max("number"))["last"] or 0
        made = SoftLabelSet.objects.create(
            study=study,
            name=name,
            number=last + 1,
            settings=settings.to_dict(),
            is_standin=any(is_standin(source) for source in sources),
            created_by=user,
        )
        _log(made, user, f"Asked for the soft labels “{made}” from {len(sources)} source(s).")
        jobs.enqueue(kind=KIND, key=name_job(made), payload={"study": study.pk, "soft_labels": made.pk})
    return made


def make_again(made: SoftLabelSet, user: Any = None) -> Job:
    """Begin anew what failed or was cancelled. Raises SoftLabelsRefused for any other."""
    with transaction.atomic():
        made = SoftLabelSet.objects.select_for_update(of=("self",)).get(pk=made.pk)
        job = find_job(made)
        if job is None or (made.state in UNFINISHED and job.state not in Job.STOPPED_STATES):
            raise SoftLabelsRefused({"": "They are being made."})
        if made.state == State.DONE:
            raise SoftLabelsRefused({"": "They are made. Ask for a new version under the same name."})
        made.state, made.problem, made.finished_at = State.READY, "", None
        made.save(update_fields=["state", "problem", "finished_at"])
        jobs.retry(job)
        _log(made, user, f"Began anew with the soft labels “{made}”.")
    return job


def cancel_soft_labels(made: SoftLabelSet, user: Any = None) -> bool:
    """Stop making them; False when that came to its end."""
    with transaction.atomic():
        made = SoftLabelSet.objects.select_for_update(of=("self",)).get(pk=made.pk)
        if made.state not in UNFINISHED:
            return False
        made.state, made.finished_at = State.CANCELLED, timezone.now()
        made.save(update_fields=["state", "finished_at"])
        if job := find_job(made):
            jobs.cancel(job)
        _log(made, user, f"Cancelled the soft labels “{made}”.")
    return True


def mark_soft_labels_outdated(made: QuerySet[SoftLabelSet]) -> int:
    """Mark sets for good, inside the caller's transaction, with what was taught by them; their files are deleted.

    Where a post has one rater, a set holds this rater's very rating. Returns how many sets were marked.
    """
    concerned = list(made.filter(outdated_at=None).select_for_update(of=("self",)).order_by("pk"))
    numbers, now = [each.pk for each in concerned], timezone.now()
    names = [name for each in concerned for name in (each.artefact, each.counts.get(TABLE)) if name]
    for each in concerned:
        each.counts = {name: told for name, told in each.counts.items() if name not in (TABLE, EXAMPLES)}
        each.outdated_at, each.artefact, each.artefact_sha256 = now, "", ""
    SoftLabelSet.objects.bulk_update(concerned, ["outdated_at", "counts", "artefact", "artefact_sha256"])
    for taught in (EncoderTraining, TransferCheck):
        taught.objects.filter(soft_labels__in=numbers, outdated_at=None).update(outdated_at=now)
    if names:
        first = concerned[0]
        jobs.enqueue(
            kind=ERASE,
            key=f"{ERASE}:soft_labels:{first.pk}:{now.isoformat()}",
            payload={"study": first.study_id, "artefact": names[0], "names": names},
        )
    return len(concerned)


def select_with_people(study: Study, *, since: Any = None) -> QuerySet[SoftLabelSet]:
    """Return the sets with people among their sources that are not outdated, of those made since a moment."""
    # JSON has no way to ask both databases whether an element of a list has a key of some value; the rule is only
    # stored where people are a source.
    made = study.soft_label_sets.filter(outdated_at=None, state=State.DONE).exclude(settings__rule=None)
    return made if since is None else made.filter(finished_at__gte=since)


def get_rule(made: SoftLabelSet) -> InclusionRule:
    """Return by which rule people count in a set."""
    return InclusionRule.from_dict(made.settings.get("rule"))


def name_source(source: Source, study: Study) -> str:
    """Return what a source is, in words; the run, set or verification may be gone since."""
    if source.kind == PEOPLE:
        return "People"
    if source.kind == RUN:
        run = AnnotatorRun.objects.select_related("annotator").filter(pk=source.number).first()
        how = "probabilities" if source.reads == LOGPROBS else "samples"
        return f"{run.annotator if run else 'A model'}, run {source.number} ({how})"
    if source.kind == EXPERTS:
        found = study.expert_sets.filter(pk=source.number).values_list("name", flat=True).first()
        return f"Experts of “{found or source.number}”, development posts"
    return f"Experts’ decisions of verification {source.number}"


def describe_people(made: SoftLabelSet) -> str:
    """Return who counts, where people are a source; else ''."""
    return describe(get_rule(made)) if made.settings.get("rule") is not None else ""


def is_standin(source: Source) -> bool:
    """Whether a source's ratings come from no real model."""
    runs = AnnotatorRun.objects.all()
    if source.kind == VERIFIED:
        runs = runs.filter(verifications=source.number)
    elif source.kind == RUN:
        runs = runs.filter(pk=source.number)
    else:
        return False
    return runs.filter(Q(is_standin=True) | Q(annotator__is_standin=True)).exists()


def select_test_posts(study: Study) -> QuerySet[ExpertItem]:
    """Return the posts of all of a study's expert sets that models are tested on."""
    return ExpertItem.objects.filter(expert_set__study=study, split=ExpertItem.Split.TEST)


def select_posts(study: Study) -> QuerySet[Post]:
    """Return the posts that can have soft labels: not those models are tested on, nor posts in other words."""
    return study.posts.exclude(purpose=Post.Purpose.PARAPHRASE).exclude(
        pk__in=select_test_posts(study).values("post_id")
    )


def name_job(made: SoftLabelSet) -> str:
    """Return the key of the job that makes a set."""
    return f"{KIND}:{made.pk}"


def find_job(made: SoftLabelSet) -> Job | None:
    """Return the job that makes, or made, a set."""
    return Job.objects.filter(key=name_job(made)).first()


def _find_fault(study: Study, source: Source) -> str:
    """Why a source cannot be used in this study; '' when it can."""
    if source.kind == RUN:
        run = list_runs(study).filter(pk=source.number).first()
        if run is None:
            return f"Run {source.number} is no run of this study about its values that is done."
        if source.reads == LOGPROBS and not _has_probabilities(run):
            return f"Run {source.number} has no probabilities: its model was not asked for any."
    if source.kind == EXPERTS and not study.expert_sets.filter(pk=source.number).exists():
        return f"The study has no expert set {source.number}."
    if source.kind == VERIFIED and not study.verifications.filter(pk=source.number).exists():
        return f"The study has no verification {source.number}."
    return ""


def _has_probabilities(run: AnnotatorRun) -> bool:
    return run.annotator.uses_logprobs or run.annotator.kind == AnnotatorModel.Kind.ENCODER


def _log(made: SoftLabelSet, user: Any, summary: str) -> None:
    log_event(
        made.study,
        StudyEvent.Action.CHANGED,
        summary,
        actor=user,
        detail={"soft_labels": made.pk, "settings": made.settings},
    )
