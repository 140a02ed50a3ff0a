"""The scoring API on a fit of real size in everything but number: nothing stands in for it."""

import pytest
from django.core.files.storage import storages

from modeling import serving
from modeling.tokens import create_token
from tests.factories import EnrollmentFactory
from tests.modeling.api.conftest import Program
from tests.modeling.rated import fit_here, make_rated_study


@pytest.fixture
def fitted(settings, tmp_path):
    """A study that was fitted, its files in a folder of their own."""
    artefacts = settings.STORAGES["artefacts"] | {"OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = settings.STORAGES | {"artefacts": artefacts}
    study = make_rated_study(n_values=3)
    fit_here(study)
    serving._open.clear()
    yield study
    serving._open.clear()


def test_a_fit_answers_for_known_new_and_unknown_people(fitted, client):
    program = Program(client, create_token(fitted, "The tests")[1])
    told = program.ask_well("values")
    served = serving.load_serving(fitted)
    n_questions = len(told["questions"])
    assert (told["model"]["fit"], told["reads_text"]) == (served.fit_run.pk, True)
    assert n_questions == len(served.question_names) > 0
    assert all(question["text"] for question in told["questions"])
    known = fitted.enrollments.get(pk=served.enrollment_ids[0])
    nobody = EnrollmentFactory(study=fitted)
    raters = [
        {"pseudonym": str(known.rater.pseudonym)},
        {"answers": [3] + [None] * (n_questions - 1)},
        {"pseudonym": str(nobody.rater.pseudonym)},
    ]
    posts = [{"key": fitted.posts.first().key}, {"text": fitted.posts.last().text}, {"consensus": [1, 2, 3]}]
    batch = program.ask_well("batch", {"raters": raters, "posts": posts})
    assert [person["rater"]["view"] for person in batch["raters"]] == ["known", "new", "nothing"]
    expected = served.predict([[1.0, 2.0, 3.0]], served.known_rater(known.pk))
    assert batch["raters"][0]["ratings"][2] == pytest.approx(expected.ratings[0].tolist(), abs=1e-4)
    for person in batch["raters"]:
        for low, rating, high in zip(person["low"], person["ratings"], person["high"], strict=True):
            assert all(a <= b <= c for a, b, c in zip(low, rating, high, strict=True))
    ranked = program.ask_well(
        "rerank", {"rater": raters[0], "value": told["values"][0]["key"], "posts": posts}
    )
    scores = [post["score"] for post in ranked["posts"]]
    assert scores == sorted(scores, reverse=True)


def test_a_damaged_file_is_refused_and_not_answered_from(fitted, client):
    program = Program(client, create_token(fitted, "The tests")[1])
    storage = storages["artefacts"]
    for file in fitted.fit_runs.get().files.all():
        storage.delete(file.name)
    assert "fit" in program.ask_in_vain(409, "values")["detail"]
