"""Which runs of annotator models stand beside experts, and what they were taught. A web process may import it."""

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, QuerySet

from modeling.models import (
    AnnotatorModel,
    AnnotatorRun,
    ExpertItem,
    ExpertLabel,
    ExpertResolution,
    ExpertSet,
    ModelReading,
    Report,
)
from modeling.tuning.usable_runs import list_runs


def list_scored_runs(expert_set: ExpertSet) -> QuerySet[AnnotatorRun]:
    """Return the runs that can be measured on a set's development posts, newest first.

    They are done, about the study's values, over posts of the study, no previews, and have come to at least one
    development post, be it that the reading failed.
    """
    return (
        list_runs(expert_set.study)
        .select_related("annotator__study", "annotator__prompt")
        .filter(
            Exists(
                ModelReading.objects.filter(
                    run=OuterRef("pk"), post__in=list_development_posts(expert_set).values("post")
                )
            )
        )
    )


def list_development_posts(expert_set: ExpertSet) -> QuerySet[ExpertItem]:
    """Return the items of a set's development split."""
    return ExpertItem.objects.filter(expert_set=expert_set, split=ExpertItem.Split.DEVELOPMENT).order_by(
        "position"
    )


def find_taught(run: AnnotatorRun, post_ids: Iterable[int]) -> set[int]:
    """Return the posts that a run cannot be measured on, since its model was taught them.

    A model that answers such posts out of fold was not taught what it answers with: none is left out.
    """
    if run.annotator.reads_out_of_fold:
        return set()
    return set(run.annotator.trained_on) & set(post_ids)


def name_line(annotator: AnnotatorModel) -> str:
    """Return what stays the same when only the prompt changes: the language model and how it is asked.

    The name a model has in the study is told where it is not the provider's; a local encoder is known by its name.
    """
    if annotator.kind == AnnotatorModel.Kind.ENCODER:
        return annotator.name
    name = (
        annotator.model_name
        if annotator.name == annotator.model_name
        else f"{annotator.name} ({annotator.model_name})"
    )
    return f"{name}, few-shot" if annotator.kind == AnnotatorModel.Kind.FEW_SHOT else name


def list_news(expert_set: ExpertSet, report: Report) -> list[str]:
    """Return what a stored report on the development posts has not seen: labels, resolutions and runs since then."""
    items = {"item__expert_set": expert_set, "item__split": ExpertItem.Split.DEVELOPMENT}
    since = {"created_at__gt": report.created_at}
    n_labels = ExpertLabel.objects.filter(**items, **since).count()
    n_settled = ExpertResolution.objects.filter(**items, **since).count()
    measured = {run["run"] for run in report.measures.get("runs", ())}
    there = set(list_scored_runs(expert_set).values_list("pk", flat=True))
    told = (
        (n_labels, "new label of an expert", "new labels of experts"),
        (n_settled, "new resolution", "new resolutions"),
        (len(there - measured), "run that is not in it", "runs that are not in it"),
        (
            len(measured - there),
            "run in it that is not there any more",
            "runs in it that are not there any more",
        ),
    )
    news = [f"{number:,} {one if number == 1 else many}" for number, one, many in told if number]
    if report.measures.get("threshold") not in (None, expert_set.threshold):
        news.append(f"another threshold, {expert_set.threshold}")
    return news
