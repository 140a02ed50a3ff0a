"""Studies that people have finished, their ratings stored row by row."""

from django.utils import timezone

from annotation.models import Annotation, Enrollment, Outcome, Post, Rater
from annotation.tree.nodes import ValueTree
from annotation.tree.walk import CHOSEN
from calibration.models import CalibrationAnswer, CalibrationQuestion
from jobs.services import run_here
from modeling.estimators.data import FitSettings
from modeling.services import request_evaluation, request_fit
from tests.factories import StudyFactory, ValueSystemFactory
from tests.modeling.estimators.data import draw_data

FEW = FitSettings(
    method="forest",
    n_trees=5,
    n_consensus_folds=2,
    n_inner_folds=2,
    n_inner_trees=2,
    n_curve_trees=0,
    n_calibration_cells=3,
)
NAMES = ("order", "play", "care", "fame", "nature")


def build_flat_tree(n_values=4):
    """Values on a scale from 0 to 6, all under one question."""
    leaves = [
        {"key": key, "name": key.title(), "label": key.title(), "definition": f"What {key} is."}
        for key in NAMES[:n_values]
    ]
    root = {
        "key": "all",
        "name": "All",
        "label": "All",
        "definition": "",
        "question": "How much?",
        "help": "",
    }
    return ValueTree.from_dict(
        {
            "slug": f"flat-{n_values}",
            "name": "Flat",
            "version": 1,
            "description": "",
            "source": "",
            "scale": {"min": 0, "max": 6, "shown_from": 0, "low": "Not at all", "high": "Very much"},
            "root": root | {"answers": "several", "children": leaves},
        }
    )


def make_rated_study(*, n_values=4, origin=Rater.Origin.PROLIFIC, change=lambda ratings: ratings, **data):
    """A study whose raters completed it; `data` as for `draw_data`, `change` is applied to the ratings."""
    data = draw_data(n_values=n_values, **data)
    study = StudyFactory(
        value_system=ValueSystemFactory(tree=build_flat_tree(n_values)),
        posts=0,
        questions=0,
        steps=("labeling",),
    )
    posts = Post.objects.bulk_create(
        Post(study=study, key=f"p{number}", text=text) for number, text in enumerate(data.texts)
    )
    raters = Rater.objects.bulk_create(
        Rater(origin=origin, external_id=f"{study.slug}-{number}") for number in range(data.n_raters)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now())
        for rater in raters
    )
    Annotation.objects.bulk_create(
        Annotation(
            enrollment=enrollments[rater],
            post=posts[post],
            ratings=tuple(None if number != number else int(number) for number in ratings),
            codes=(CHOSEN,) * n_values,
        )
        for rater, post, ratings in zip(data.raters, data.posts, change(data.ratings.copy()), strict=True)
    )
    if data.answers is not None:
        make_questionnaire(study, enrollments, data.answers)
    return study


def make_questionnaire(study, enrollments, answers):
    post = Post.objects.create(
        study=study, key="asked", text="Asked of all.", purpose=Post.Purpose.CALIBRATION
    )
    questions = CalibrationQuestion.objects.bulk_create(
        CalibrationQuestion(study=study, position=position, post=post, value_key=key)
        for position, key in enumerate(study.value_keys[: answers.shape[1]], start=1)
    )
    CalibrationAnswer.objects.bulk_create(
        CalibrationAnswer(enrollment=enrollment, question=question, rating=round(float(answer)))
        for enrollment, row in zip(enrollments, answers, strict=True)
        for question, answer in zip(questions, row, strict=True)
    )


def fit_here(study, settings=FEW):
    """Fit a study and evaluate the fit, as a worker does; return the fit."""
    job = run_here(request_fit(study, settings))
    assert job.state == "done", job.error
    fit_run = study.fit_runs.get(pk=job.result["fit_run"])
    job = run_here(request_evaluation(fit_run))
    assert job.state == "done", job.error
    return fit_run
