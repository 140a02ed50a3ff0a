"""What a model said never reaches a rater."""

import pytest
from django.db import models

from annotation.models import Outcome, Post
from modeling.models import AnnotatorModel, AnnotatorRun, ModelCall, ModelReading, PromptVersion
from tests.every_step import EVERY_STEP, build_study
from tests.factories import AnnotatorModelFactory, AnnotatorRunFactory
from tests.journeys.test_every_step import Pupil, walk
from tests.modeling.annotators.ground import read_all

pytestmark = pytest.mark.django_db

CANARY = "zqxcanaryzqx"


def plant(model):
    """Write the canary into every column of a table that holds words."""
    words = {
        field.name: CANARY
        for field in model._meta.fields
        if isinstance(field, models.TextField)
        or (isinstance(field, models.CharField) and field.max_length >= 30)
    }
    told = {
        field.name: {CANARY: [CANARY]} for field in model._meta.fields if isinstance(field, models.JSONField)
    }
    kept = {"digest", "provider", "fault", "request_hash"}  # what rows are found by
    changed = {name: value for name, value in (words | told).items() if name not in kept}
    assert changed
    assert model.objects.update(**changed)


def test_no_page_on_a_raters_way_holds_a_word_of_a_model(standin):
    study = build_study(*EVERY_STEP, posts=5, attention_consequence="end", attention_limit=2)
    read_all(AnnotatorRunFactory(annotator=AnnotatorModelFactory(study=study)))
    for model in (PromptVersion, AnnotatorModel, AnnotatorRun, ModelCall, ModelReading):
        plant(model)
    Post.objects.update(metadata={"screening": {CANARY: 6}, "source": CANARY})
    walked, visitor = walk(study, Pupil(study))
    assert walked.outcome == Outcome.COMPLETED
    assert len(visitor.served) > 20
    assert not [url for url, _, body in visitor.served if CANARY in url + body]
