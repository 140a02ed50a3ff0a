import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Annotation, Enrollment, Exclusion, Post, Rater, StudyAccess
from annotation.tree.walk import CHOSEN, IMPLIED
from modeling.models import FitRun, PostScore
from tests.modeling.rated_by_hand import dispute, draw, make_report, make_study, rate

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
HOSTILE = "<script>alert('x')</script>"


def disputed_page(study):
    return reverse("modeling:disputed", args=[study.slug])


def post_page(study, post):
    return reverse("modeling:post", args=[study.slug, post.pk])


def text_of(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def log_in_as(client, role, study):
    user = get_user_model().objects.create_user("colleague", is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


def test_strangers_are_sent_to_the_login_and_other_studies_are_not_there(client):
    study, own = make_study(), make_study()
    for address in (disputed_page(study), post_page(study, study.posts.first())):
        assert "login" in client.get(address)["Location"]
    log_in_as(client, StudyAccess.Role.OWNER, own)
    for address in (disputed_page(study), post_page(study, study.posts.first())):
        assert client.get(address).status_code == 404
    assert client.get(post_page(own, study.posts.first())).status_code == 404


@pytest.mark.parametrize("role", StudyAccess.Role.values)
def test_every_role_sees_what_is_disputed_and_nobody_can_send(client, role):
    study = make_study()
    make_report(study, disputed=[dispute(study.posts.first())])
    log_in_as(client, role, study)
    for address in (disputed_page(study), post_page(study, study.posts.first())):
        assert client.post(address).status_code == 405
    page = client.get(disputed_page(study))
    assert page.status_code == 200
    reads_answers = role != StudyAccess.Role.ASSISTANT
    assert ("/post/" in page.content.decode()) == reads_answers
    assert client.get(post_page(study, study.posts.first())).status_code == (200 if reads_answers else 404)


def test_a_rule_that_the_study_does_not_know_is_not_found(admin_client):
    study = make_study()
    for address in (disputed_page(study), post_page(study, study.posts.first())):
        assert admin_client.get(address, {"who": "0123456789ab"}).status_code == 404


def order_of(response):
    return re.findall(r"<code>(p\d+)</code>", response.content.decode())


def test_disputed_posts_stand_in_the_order_that_was_asked_for(admin_client):
    study = make_study()
    first, second, third = study.posts.order_by("pk")
    make_report(
        study,
        disputed=[
            dispute(first, difference=2.0, rho=0.4),
            dispute(second, difference=1.5, rho=None),
            dispute(third, difference=1.0, rho=-0.2),
        ],
    )
    assert order_of(admin_client.get(disputed_page(study))) == ["p1", "p2", "p3"]
    assert order_of(admin_client.get(disputed_page(study), {"sort": "nonsense"})) == ["p1", "p2", "p3"]
    assert order_of(admin_client.get(disputed_page(study), {"sort": "rho"})) == ["p3", "p1", "p2"]


def test_a_disputed_post_shows_its_text_its_numbers_and_its_ratings_in_words(admin_client):
    study = make_study()
    post = study.posts.first()
    make_report(study, disputed=[dispute(post, difference=1.25, rho=-0.5, ratings=(0, 0, 6))])
    response = admin_client.get(disputed_page(study))
    text = text_of(response)
    assert "Difference 1.250" in text
    assert "Rho \u22120.500" in text
    assert "Raters 3" in text
    assert post.text in text
    assert "Care" in text
    assert 'aria-label="Raters by rating: 0: 2, 6: 1"' in response.content.decode()


def test_twenty_posts_are_on_a_page_and_the_query_stays_in_its_links(admin_client):
    study = make_study(posts=23)
    make_report(study, disputed=[dispute(post) for post in study.posts.order_by("pk")])
    response = admin_client.get(disputed_page(study), {"sort": "rho", "page": 2})
    assert order_of(response) == ["p21", "p22", "p23"]
    assert 'href="?sort=rho&amp;page=1"' in response.content.decode()
    assert f"{post_page(study, study.posts.last())}?sort=rho&amp;from=disputed" in response.content.decode()
    first = admin_client.get(disputed_page(study)).content.decode()
    assert 'href="?page=2"' in first


def test_a_post_that_is_gone_keeps_its_line(admin_client):
    study = make_study()
    post = study.posts.last()
    make_report(study, disputed=[dispute(post)])
    post.delete()
    assert "p3 " in text_of(admin_client.get(disputed_page(study)))
    assert "was deleted" in text_of(admin_client.get(disputed_page(study)))


def test_reports_without_disputed_posts_and_studies_without_reports_say_so(admin_client):
    study = make_study()
    assert "Disputed posts" in text_of(admin_client.get(disputed_page(study)))
    make_report(study)
    assert "nothing can be disputed yet" in text_of(admin_client.get(disputed_page(study)))


def test_the_list_takes_as_many_queries_for_many_posts(admin_client, django_assert_max_num_queries):
    study = make_study(posts=20)
    make_report(study, disputed=[dispute(post) for post in study.posts.all()])
    admin_client.get(disputed_page(study))
    with django_assert_max_num_queries(12):
        admin_client.get(disputed_page(study))


def test_the_figure_is_shown_and_its_drawings_are_not_read(admin_client):
    study = make_study()
    draw(make_report(study, disputed=[dispute(study.posts.first())]), "disputed_posts", "alpha_by_value")
    with CaptureQueriesContext(connection) as queries:
        text = text_of(admin_client.get(disputed_page(study)))
    assert "Figure disputed_posts" in text
    assert "Figure alpha_by_value" not in text
    assert not any('."pdf"' in query["sql"] or '."svg"' in query["sql"] for query in queries)


def rows_of(response):
    """The cells of each rater's row, by the beginning of the pseudonym."""
    page = response.content.decode()
    table = page[page.index('class="post-raters"') :]
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\">.*?<code>(\w+)</code>(.*?)</tr>", table, re.DOTALL)
    return {
        name: [
            " ".join(re.sub(r"<[^>]+>", "", cell).split())
            for cell in re.findall(r"<td.*?</td>", row, re.DOTALL)
        ]
        for name, row in rows
    }


def test_chosen_implied_and_not_shown_ratings_are_told_apart(admin_client):
    study = make_study()
    person = rate(study, (0, 0, None))
    Annotation.objects.filter(enrollment=person).update(codes=(CHOSEN, IMPLIED, 0))
    response = admin_client.get(post_page(study, study.posts.first()))
    assert rows_of(response)[str(person.rater.pseudonym)[:8]] == ["0", "(0) implied", "– not shown"]


def test_values_that_anybody_saw_come_first_the_highest_mean_before_the_others(admin_client):
    study = make_study()
    rate(study, (0, 1, 5))
    rate(study, (0, 0, 6))
    page = admin_client.get(post_page(study, study.posts.first())).content.decode()
    table = page[page.index('class="post-values"') : page.index('id="raters"')]
    assert re.findall(r'<th scope="row">(\w+)</th>', table) == ["Care", "Play", "Order"]
    assert "5.50" in table
    assert 'aria-label="Raters by rating: 5: 1, 6: 1"' in table


def test_who_does_not_count_is_shown_apart_and_in_no_number(admin_client):
    study = make_study()
    rate(study, (0, 0, 2))
    rehearsed = rate(study, (6, 6, 6), phase=Enrollment.Phase.REHEARSAL, origin=Rater.Origin.TEST)
    out = rate(study, (6, 6, 6))
    Exclusion.objects.create(enrollment=out, reason="careless")
    response = admin_client.get(post_page(study, study.posts.first()))
    text = text_of(response)
    assert "Raters 1 who count; 2 more do not" in text
    before, after = text.split("Not counted in any number of this page")
    for person in (rehearsed, out):
        assert str(person.rater.pseudonym)[:8] not in before
        assert str(person.rater.pseudonym)[:8] in after
    assert "Rehearsal, Test participant" in after
    assert "excluded" in after
    assert "Raters by rating: 2: 1" in response.content.decode()


def test_raters_are_linked_by_pseudonym_and_nothing_says_who_they_are(admin_client):
    study = make_study()
    person = rate(study, (1, 2, 3), prolific_session_id="session-of-theirs")
    page = admin_client.get(post_page(study, study.posts.first())).content.decode()
    assert reverse("modeling:person_ratings", args=[study.slug, person.rater.pseudonym]) in page
    assert person.rater.external_id not in page
    assert "session-of-theirs" not in page
    assert str(person.public_id) not in page


def test_texts_and_rationales_are_never_markup(admin_client):
    study = make_study()
    Post.objects.filter(study=study).update(text=HOSTILE, context_kind="reply", context_text=HOSTILE)
    post = study.posts.first()
    Annotation.objects.filter(enrollment=rate(study, (1, 2, 3))).update(rationale=HOSTILE)
    make_report(study, disputed=[dispute(post) | {"key": HOSTILE}])
    for address in (post_page(study, post), disputed_page(study)):
        page = admin_client.get(address).content.decode()
        assert HOSTILE not in page
        assert "&lt;script&gt;" in page


def test_neighbours_are_those_of_the_list_that_one_came_from(admin_client):
    study = make_study()
    first, second, third = study.posts.order_by("pk")
    make_report(
        study,
        disputed=[dispute(first, rho=0.1), dispute(second, rho=0.3), dispute(third, rho=0.2)],
    )
    page = admin_client.get(post_page(study, second), {"from": "disputed", "sort": "rho"}).content.decode()
    assert f'{post_page(study, third)}?sort=rho&amp;from=disputed" rel="prev"' in page
    assert 'rel="next"' not in page
    assert "3 of 3, the lowest correlation first" in page
    assert f'href="{disputed_page(study)}?sort=rho"' in page
    assert 'rel="prev"' not in admin_client.get(post_page(study, second)).content.decode()


def test_the_report_says_where_a_post_stands_and_nothing_of_others(admin_client):
    study = make_study()
    first, second, _ = study.posts.order_by("pk")
    assert "no report yet" in text_of(admin_client.get(post_page(study, first)))
    make_report(study, disputed=[dispute(first, difference=1.5, rho=None)])
    text = text_of(admin_client.get(post_page(study, first)))
    assert "Difference 1.500 1st of the disputed posts" in text
    assert "Rho between raters – not defined" in text
    assert "Difference – not among the most disputed" in text_of(admin_client.get(post_page(study, second)))


def test_a_models_scores_stand_beside_the_means(admin_client):
    study = make_study()
    first, second, _ = study.posts.order_by("pk")
    rate(study, (1, 2, 3), (1, 2, 3))
    assert "No model has been fitted" in text_of(admin_client.get(post_page(study, first)))
    fit = FitRun.objects.create(
        study=study,
        key="k",
        settings={},
        data_hash="",
        code_version="",
        consensus_name="",
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=1,
        n_annotations=1,
        has_simulated=False,
    )
    PostScore.objects.create(fit_run=fit, post=first, scores=(1.25, float("nan"), 4.5), is_out_of_fold=True)
    text = text_of(admin_client.get(post_page(study, first)))
    assert "by a model that did not see this post" in text
    assert "1.25" in text
    assert "nan" not in text
    assert f"Fit {fit.pk} says nothing of this post." in text_of(admin_client.get(post_page(study, second)))


def test_a_post_that_nobody_rated_says_so(admin_client):
    study = make_study()
    text = text_of(admin_client.get(post_page(study, study.posts.first())))
    assert "Nobody who counts has rated this post." in text
    assert "Nobody has rated this post yet." in text


def test_a_post_takes_as_many_queries_for_many_raters(admin_client, django_assert_max_num_queries):
    study = make_study()
    for _ in range(8):
        rate(study, (1, 2, 3))
    make_report(study, disputed=[dispute(post) for post in study.posts.all()])
    address = post_page(study, study.posts.first()) + "?from=disputed"
    admin_client.get(address)
    with django_assert_max_num_queries(13):
        admin_client.get(address)
