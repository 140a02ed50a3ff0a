"""What tests of checks stand on: a curation whose posts a classifier has rated, and people who label."""

from django.contrib.auth import get_user_model

from annotation.models import StudyAccess
from jobs.services import run_here
from modeling.annotators.prompts import get_prompt
from modeling.checking import services
from modeling.checking.services import Purpose
from modeling.models import AnnotatorModel, AnnotatorRun, Curation, FeedPost, ModelReading
from tests.factories import StudyFactory

WHY = "Because of the word quixotic."  # a reason of the classifier, to be found nowhere while people label


def make_rated_curation(
    ratings, *, study=None, purpose=Purpose.COMPREHENSIBILITY, is_standin=False, **settings
):
    """A curation in which a classifier gave these ratings, post after post; None for a post it could not read."""
    study = study or StudyFactory(posts=0, questions=0, steps=())
    annotator = AnnotatorModel.objects.create(
        study=study,
        name=f"judge of {purpose}",
        version=study.annotators.count() + 1,
        kind=AnnotatorModel.Kind.ZERO_SHOT,
        prompt=get_prompt(study, purpose),
        provider="campus",
        model_name="small",
        digest="d" * 64,
        is_standin=is_standin,
        samples=settings.pop("samples", 1),
    )
    curation = Curation.objects.create(
        study=study,
        name=f"spring {study.curations.count()}",
        settings=settings,
        state=Curation.State.SAMPLED,
        **{purpose: annotator},
    )
    run = AnnotatorRun.objects.create(annotator=annotator, curation=curation, state=AnnotatorRun.State.DONE)
    posts = FeedPost.objects.bulk_create(
        FeedPost(curation=curation, key=f"key-{n}", text=f"The words of post {n}.", **{purpose: rating})
        for n, rating in enumerate(ratings)
    )
    concept = annotator.prompt.content["concepts"][0]["key"]
    ModelReading.objects.bulk_create(
        ModelReading(
            run=run,
            feed_post=post,
            ratings=(float(rating),),
            detail={"concepts": {concept: {"why": WHY, "rating": 1}}, "final": {"why": WHY}},
        )
        for post, rating in zip(posts, ratings, strict=True)
        if rating is not None
    )
    curation.funnel = [{"stage": str(purpose), "came": len(posts), "kept": 0, "dropped": {}, "run": run.pk}]
    curation.save()
    return curation


def make_check(ratings=(3, 3, 3, 0, 1, 2), *, purpose=Purpose.COMPREHENSIBILITY, threshold=None, **fields):
    """An open check of all these posts."""
    options = {name: fields.pop(name) for name in ("n_each", "seed") if name in fields}
    curation = make_rated_curation(ratings, purpose=purpose, **fields)
    if threshold is None:
        threshold = services.suggest_threshold(curation, purpose)
    return services.create_check(curation, purpose=purpose, threshold=threshold, **options)


def make_person(study, name, role="analyst"):
    user = get_user_model().objects.create_user(name, is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    return user


def label_all(check, user, *, differing=()):
    """Label as the classifier decided, but for these places."""
    for item in check.items.all():
        services.set_label(
            check, item.position, user, is_positive=item.is_predicted != (item.position in differing)
        )


def close_here(check, user=None):
    """Close a check, compute its results as a worker does, and return what was found."""
    job = run_here(services.close_check(check, user), poll_seconds=0.01)
    assert job.state == "done", job.error
    check.refresh_from_db()
    return check.results[services.FOUND]
