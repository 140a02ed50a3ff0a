"""A study whose fit answers by a rule that can be done in the head, and a program that asks."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
from django.core.cache import cache
from django.urls import reverse

from annotation.models import Rater
from annotation.tree.nodes import Scale, ValueTree
from calibration.models import CalibrationAnswer
from modeling.errors import NothingServes
from modeling.models import FitRun, PostScore
from modeling.tokens import create_token
from tests.factories import EnrollmentFactory, RaterFactory, StudyFactory, ValueSystemFactory

VALUES = ("order", "play", "care")
TREE = ValueTree.flat("three", VALUES, Scale(0, 6, 1, "Not at all", "Very much"))
QUESTIONS = ("c1 / care", "c2 / play")


@dataclass
class HeadServing:
    """Reads a text's first number as its consensus; adds to it what it knows of the rater; +-1 is its interval."""

    fit_run: FitRun
    known: dict[int, float]
    reads_text: bool = True
    value_keys: tuple[str, ...] = VALUES
    scale: tuple[int, int] = (0, 6)
    method: str = "head"
    question_names: tuple[str, ...] = tuple(f"calibration: {name}" for name in QUESTIONS)

    def read_texts(self, texts):
        if not self.reads_text:
            raise ValueError("no text is read here")
        self.texts = list(texts)
        return np.array([[float(text.split()[0]), 2.0, 3.0] for text in texts])

    def known_rater(self, enrollment_id):
        return self.known.get(enrollment_id)

    def new_rater(self, answers):
        assert answers.shape == (len(self.question_names),)
        return float(np.nansum(answers)) / 10

    def predict(self, consensus, rater):
        ratings = consensus + rater * np.array([1.0, 1.0, -1.0])
        return SimpleNamespace(ratings=ratings, low=ratings - 1, high=ratings + 1)


def make_fit(study):
    return FitRun.objects.create(
        study=study,
        key=f"{study.slug}-fit",
        settings={},
        method="head",
        data_hash="abc",
        code_version="1",
        consensus_name="text",
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=1,
        n_annotations=1,
        has_simulated=False,
        artefact="a",
        artefact_sha256="s",
    )


class Program:
    """A program that holds a token."""

    def __init__(self, client, secret):
        self.client, self.secret = client, secret

    def ask(self, name, content=None, **headers):
        headers = {"Authorization": f"Bearer {self.secret}"} | headers
        address = reverse(f"api:{name}")
        if content is None:
            return self.client.get(address, headers=headers)
        return self.client.post(address, content, content_type="application/json", headers=headers)

    def ask_well(self, name, content=None):
        response = self.ask(name, content)
        assert response.status_code == 200, response.content
        return response.json()

    def ask_in_vain(self, status, name, content=None, **headers):
        """The problem that was answered, of this status."""
        response = self.ask(name, content, **headers)
        assert response.status_code == status, response.content
        assert response["Content-Type"] == "application/problem+json"
        problem = response.json()
        assert problem["status"] == status
        return problem


@pytest.fixture(autouse=True)
def nothing_counted(db):
    cache.clear()


@pytest.fixture
def study():
    study = StudyFactory(
        name="Study of herons",
        value_system=ValueSystemFactory(tree=TREE),
        posts=3,
        questions=2,
    )
    assert [f"{each.post.key} / {each.value_key}" for each in study.calibration_questions.all()] == list(
        QUESTIONS
    )
    return study


@pytest.fixture
def known(study):
    """Somebody whose ratings the fit saw."""
    return EnrollmentFactory(study=study)


@pytest.fixture
def serving(study, known, monkeypatch):
    """What answers for the study; nothing answers for other studies."""
    fit = make_fit(study)
    PostScore.objects.create(
        fit_run=fit, post=study.posts.get(key="p1"), scores=(1.0, 2.5, 4.0), is_out_of_fold=True
    )
    serving = HeadServing(fit, {known.pk: 0.5})

    def load_serving(asked):
        if asked != study:
            raise NothingServes("No fit of this study serves yet. Fit it first.")
        return serving

    monkeypatch.setattr("modeling.serving.load_serving", load_serving)
    return serving


@pytest.fixture
def secret(study):
    return create_token(study, "The tests")[1]


@pytest.fixture
def program(client, serving, secret):
    return Program(client, secret)


@pytest.fixture
def answered(study):
    """Makes somebody who came after the fit and answered only the first so many calibration questions."""

    def make(*ratings):
        enrollment = EnrollmentFactory(study=study, rater=RaterFactory(origin=Rater.Origin.PROLIFIC))
        for question, rating in zip(study.calibration_questions.all(), ratings, strict=False):
            CalibrationAnswer.objects.create(enrollment=enrollment, question=question, rating=rating)
        return enrollment

    return make
