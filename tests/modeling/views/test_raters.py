import json
import re
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from annotation.models import Annotation, Enrollment, Exclusion, Outcome, Post, StudyAccess
from calibration.instrument.shipped import CONTENT
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire, QuestionnaireResponse
from modeling.models import Prediction
from tests.modeling.rated import fit_here, make_rated_study
from tests.modeling.rated_by_hand import make_report, make_study, rate
from tests.modeling.watching.people import come

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
HOSTILE = "<script>alert('x')</script>"


def page_of(study, person):
    return reverse("modeling:person_ratings", args=[study.slug, person.rater.pseudonym])


def text_of(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_strangers_are_sent_to_the_login_and_other_studies_are_not_there(client):
    study, own = make_study(), make_study()
    person = rate(study, (1, 2, 3))
    assert "login" in client.get(page_of(study, person))["Location"]
    user = get_user_model().objects.create_user("colleague", is_staff=True)
    StudyAccess.objects.create(study=own, user=user, role=StudyAccess.Role.OWNER)
    client.force_login(user)
    assert client.get(page_of(study, person)).status_code == 404
    assert client.get(page_of(own, person)).status_code == 404


def test_nobody_withdrawn_unknown_or_by_an_unknown_rule_is_found(admin_client):
    study = make_study()
    person = rate(study, (1, 2, 3))
    assert admin_client.get(page_of(study, person), {"who": "0123456789ab"}).status_code == 404
    assert admin_client.post(page_of(study, person)).status_code == 405
    unknown = reverse("modeling:person_ratings", args=[study.slug, uuid4()])
    assert admin_client.get(unknown).status_code == 404
    Enrollment.objects.filter(pk=person.pk).update(outcome=Outcome.WITHDREW, finished_at=timezone.now())
    assert admin_client.get(page_of(study, person)).status_code == 404


def test_a_raters_numbers_are_on_the_page(admin_client):
    study = make_study()
    person = rate(study, (0, 3, 6), (0, 0, 4))
    rate(study, (1, 2, 3), (2, 2, 2))
    rate(study, (6, 3, 0))
    make_report(study)
    text = text_of(admin_client.get(page_of(study, person)))
    assert "Posts 2 6 ratings" in text
    assert "Lowest ratings 50 % of all are 0; 0 of them implied" in text
    assert "Mean rating 2.17" in text
    assert "Rho with others +0.000 mean of 2 pairs; 1 more not defined" in text
    assert "Place 75 % of 2 others agree less" in text
    # Others: of the first post 1.5, of the second 2.
    assert "Care 5.00 1.75 +3.25 1.25" in text
    assert "Order 0.00 2.75 \u22122.75 1.25" in text


def test_the_most_different_posts_come_first_with_what_differs(admin_client):
    study = make_study()
    person = rate(study, (0, 0, 1), (0, 0, 6), (1, 2, 3))
    rate(study, (0, 0, 0), (0, 2, 0))
    response = admin_client.get(page_of(study, person))
    assert re.findall(r"<code>(p\d)</code>", response.content.decode()) == ["p2", "p1", "p3"]
    text = text_of(response)
    assert "Care 6 others 0.00 Play 0 others 2.00" in text
    assert "nobody else rated it" in text


def test_who_does_not_count_is_marked(admin_client):
    study = make_study()
    person = rate(study, (1, 2, 3))
    rate(study, (1, 2, 3))
    Exclusion.objects.create(enrollment=person, reason="careless")
    text = text_of(admin_client.get(page_of(study, person)))
    assert "This person does not count (excluded)" in text
    assert "mean of 1 pairs" in text


def test_nothing_says_who_they_are(admin_client):
    study = make_study()
    person = rate(study, (1, 2, 3), prolific_session_id="session-of-theirs")
    page = admin_client.get(page_of(study, person)).content.decode()
    assert person.rater.external_id not in page
    assert "session-of-theirs" not in page
    assert str(person.public_id) not in page
    assert reverse("modeling:person", args=[study.slug, person.rater.pseudonym]) in page


def test_the_journey_leads_to_the_ratings(admin_client):
    study = make_study()
    person = rate(study, (1, 2, 3))
    journey = reverse("modeling:person", args=[study.slug, person.rater.pseudonym])
    assert page_of(study, person) in admin_client.get(journey).content.decode()


def test_texts_and_rationales_are_never_markup(admin_client):
    study = make_study()
    Post.objects.filter(study=study).update(text=HOSTILE)
    person = rate(study, (1, 2, 3))
    Annotation.objects.update(rationale=HOSTILE)
    page = admin_client.get(page_of(study, person)).content.decode()
    assert HOSTILE not in page
    assert page.count("&lt;script&gt;") == 2


def test_scores_and_calibration_answers_are_shown_where_there_are_any(admin_client):
    study = make_study()
    person = rate(study, (1, 2, 3))
    assert "Calibration answers" not in text_of(admin_client.get(page_of(study, person)))
    post = Post.objects.create(study=study, key="c1", text="Known words.", purpose=Post.Purpose.CALIBRATION)
    question = CalibrationQuestion.objects.create(study=study, position=1, post=post, value_key="care")
    CalibrationAnswer.objects.create(enrollment=person, question=question, rating=5)
    definition = json.loads((CONTENT / "values_19.json").read_text(encoding="utf-8"))
    questionnaire = Questionnaire.objects.create(study=study, key="values", definition=definition)
    answers = dict.fromkeys(questionnaire.instrument.answer_keys, 3) | {"fits_face": 6, "fits_humility": ""}
    QuestionnaireResponse.objects.create(
        enrollment=person, questionnaire=questionnaire, version=1, answers=answers
    )
    text = text_of(admin_client.get(page_of(study, person)))
    assert "1 Known words. Care 5" in text
    assert "values Face 6.00 +2.833 1" in text
    assert "values Humility – 0 of 1 items answered; at least 1 needed" in text


def test_someone_without_ratings_has_a_page_too(admin_client):
    study = make_study()
    text = text_of(admin_client.get(page_of(study, come(study))))
    assert "There are no ratings of this person." in text


def test_a_page_takes_as_many_queries_for_many_posts(admin_client, django_assert_max_num_queries):
    study = make_study(posts=8)
    person = rate(study, *[(0, 3, 6)] * 8)
    for _ in range(5):
        rate(study, *[(1, 1, 2)] * 8)
    make_report(study)
    admin_client.get(page_of(study, person))
    with django_assert_max_num_queries(14):
        admin_client.get(page_of(study, person))


def test_held_out_posts_show_how_far_the_prediction_was(admin_client):
    study = make_rated_study()
    fit_run = fit_here(study)
    prediction = Prediction.objects.filter(fit_run=fit_run).select_related("enrollment__rater").first()
    address = reverse("modeling:person_ratings", args=[study.slug, prediction.enrollment.rater.pseudonym])
    page = admin_client.get(address)
    given = prediction.enrollment.annotations.get(post=prediction.post).ratings
    distance = sum(abs(own - said) for own, said in zip(given, prediction.ratings, strict=True)) / len(given)
    shown = {post.post_id: said for post, _, said in page.context["posts"]}
    assert shown[prediction.post_id] == pytest.approx(distance)
    held_out = set(fit_run.holdout_post_ids)
    assert {post for post, said in shown.items() if said is not None} == held_out & shown.keys()
    assert "on posts that it had not seen" in page.content.decode()
    Prediction.objects.all().delete()
    assert "on posts that it had not seen" not in admin_client.get(address).content.decode()
