"""A local encoder reads posts without asking anybody."""

import numpy as np
import pytest

from modeling.annotators.configs import create_annotator
from modeling.annotators.vectors import load_vectors
from modeling.errors import ArtefactDamaged
from modeling.models import ModelCall
from modeling.tuning import encoder
from tests.factories import AnnotatorRunFactory, PostFactory, StudyFactory
from tests.modeling.annotators.ground import read_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def run():
    study = StudyFactory(posts=0, questions=0, steps=())
    PostFactory(study=study, text="One.")
    PostFactory(study=study, text="Two.", context_kind="reply", context_text="Asked.")
    annotator = create_annotator(
        study, name="local", kind="encoder", artefact="a.npz", artefact_sha256="0" * 64
    )
    return AnnotatorRunFactory(annotator=annotator)


def test_every_post_is_read_with_its_context_and_nothing_is_paid(run, monkeypatch):
    seen = []

    def read(annotator, texts):
        seen.extend(texts)
        return np.arange(10 * len(texts)).reshape(-1, 10) / 10, None

    monkeypatch.setattr(encoder, "read_distributions", read)
    run = read_all(run)
    assert seen == ["One.", "Asked.\nTwo."]
    assert np.allclose(load_vectors(run)[1], np.arange(20).reshape(2, 10) / 10)
    assert (run.state, run.spent, run.estimate["n_calls"], run.is_standin) == ("done", 0, 0, False)
    assert not ModelCall.objects.exists()


def test_a_damaged_file_stops_the_run_with_its_reason(run, monkeypatch):
    def refuse(annotator, texts):
        raise ArtefactDamaged("a.npz is gone; train it again.")

    monkeypatch.setattr(encoder, "read_distributions", refuse)
    run = read_all(run)
    assert (run.state, run.problem) == ("stopped", "a.npz is gone; train it again.")
