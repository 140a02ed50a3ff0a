"""Annotator models that have read a study's posts, their calls and readings stored row by row."""

import uuid
from decimal import Decimal

from django.utils import timezone

from annotation.models import Annotation, Study
from modeling.models import AnnotatorModel, AnnotatorRun, ModelCall, ModelReading, PromptVersion


def make_annotator(study, name="Zero", *, version=1, kind="zero_shot", purpose="values", **fields):
    """A configuration that nobody has to have made by a form."""
    if kind == AnnotatorModel.Kind.ENCODER:
        own = {"artefact": "encoder.npz"}
    else:
        prompt, _ = PromptVersion.objects.get_or_create(
            study=study, purpose=purpose, number=1, defaults={"content": {}, "digest": "d" * 64}
        )
        own = {"prompt": prompt, "provider": "campus", "model_name": "small", "input_price": Decimal(1)}
    return AnnotatorModel.objects.create(
        study=study, name=name, version=version, kind=kind, digest="d" * 64, **own | fields
    )


def make_run(
    annotator, *, posts=None, read=lambda post, crowd: crowd, state="done", faults=(), batch=None, **fields
):
    """A run over the rated posts; `read` maps a post and its mean ratings to what the model says.

    The first posts end in `faults` instead. Each call costs 10 cents and takes as many seconds as its number.
    """
    run = AnnotatorRun.objects.create(
        annotator=annotator, state=state, finished_at=timezone.now() if state == "done" else None, **fields
    )
    posts = list(posts or annotator.study.posts.filter(annotations__isnull=False).distinct().order_by("pk"))
    for number, post in enumerate(posts, start=1):
        fault = faults[number - 1] if number <= len(faults) else ""
        call = None
        if annotator.kind != AnnotatorModel.Kind.ENCODER:
            call = ModelCall.objects.create(
                study=annotator.study,
                request_hash=uuid.uuid4().hex * 2,
                provider="campus",
                model_name="small",
                state=ModelCall.State.ANSWERED,
                reply="{}",
                cost=Decimal("0.1"),
                latency_seconds=number,
            )
        ModelReading.objects.create(
            run=run,
            post=post,
            call=call,
            fault=fault,
            ratings=None if fault else read(post, find_crowd(annotator.study, post)),
        )
    return run


def find_crowd(study: Study, post):
    rows = list(
        Annotation.objects.filter(post=post, enrollment__study=study).values_list("ratings", flat=True)
    )
    return tuple(sum(column) / len(column) for column in zip(*rows, strict=True))
