import re
from fractions import Fraction

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.models import StudyAccess
from modeling.views.planning import compute_cost, count_raters
from tests.modeling.rated_by_hand import draw, make_plan, make_report, make_study


def page_of(study):
    return reverse("modeling:planning", args=[study.slug])


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def value_of(response, name):
    return re.search(rf'<input type="text" name="{name}"[^>]*?value="([^"]*)"', response.content.decode())[1]


# --- the arithmetic ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raters_per_post", "n_posts", "per_rater", "expected"),
    [(6, 300, 20, 90), (3, 100, 30, 10), (3, 101, 30, 11), (5, 10, 30, 5), (2, 1, 1, 2)],
)
def test_people_are_rounded_up_and_nobody_rates_a_post_twice(raters_per_post, n_posts, per_rater, expected):
    assert count_raters(raters_per_post, n_posts, per_rater) == expected


@pytest.mark.parametrize(
    ("n_raters", "reward", "fee", "expected"),
    [
        (90, 900, Fraction(1, 3), 108_000),
        (1, 100, Fraction(1, 3), 134),
        (7, 0, Fraction(1, 3), 0),
        (3, 333, Fraction(0), 999),
        (10**6, 10**6, Fraction(4281, 10_000), 1_428_100_000_000),
    ],
)
def test_costs_are_exact_and_rounded_up_to_a_whole_penny(n_raters, reward, fee, expected):
    assert compute_cost(n_raters, reward, fee) == expected


# --- the page ----------------------------------------------------------------------------------


@pytest.mark.django_db
def test_only_who_sees_the_study_sees_the_page(client):
    study, own = make_study(), make_study()
    assert "login" in client.get(page_of(study))["Location"]
    user = get_user_model().objects.create_user("colleague", is_staff=True)
    StudyAccess.objects.create(study=own, user=user, role=StudyAccess.Role.ASSISTANT)
    client.force_login(user)
    assert client.get(page_of(study)).status_code == 404
    assert client.get(page_of(own)).status_code == 200
    assert client.post(page_of(own)).status_code == 405


@pytest.mark.django_db
def test_the_question_is_answered_in_a_sentence(admin_client):
    study = make_study()
    make_report(study)
    text = text_of(admin_client.get(page_of(study), {"posts": 300, "rho": "0.24"}))
    assert (
        "With 6 raters for each of 300 posts it takes 90 people who rate 20 each, and costs £1,080.00" in text
    )
    assert "consensus of the others at 0.240 , if raters to come are like those of now (extrapolated)" in text
    # .3 / 6 for 100 posts, by the square root of a third for 300.
    assert "±0.029 for the value in the middle and ±0.048 for Play" in text


@pytest.mark.django_db
def test_without_wishes_the_answer_is_about_as_many_raters_as_now(admin_client):
    study = make_study()
    make_report(study)
    text = text_of(admin_client.get(page_of(study)))
    assert "With 4 raters for each of 100 posts it takes 20 people" in text
    assert "consensus of the others at 0.160 , as in this study’s own groups of raters" in text
    assert "Enough" not in text


@pytest.mark.django_db
def test_observed_and_extrapolated_are_told_apart(admin_client):
    study = make_study()
    make_report(study)  # groups of up to 3 others: 4 raters per post
    response = admin_client.get(page_of(study), {"fewest": 3, "most": 6})
    rows = re.findall(
        r'<th scope="row" class="number">(\d+)</th>(.*?)</tr>', response.content.decode(), re.DOTALL
    )
    assert [(k, "extrapolated" in row, "observed" in row) for k, row in rows] == [
        ("3", False, True),
        ("4", False, True),
        ("5", True, False),
        ("6", True, False),
    ]
    assert "of which this study has groups, up to 4" in text_of(response)


@pytest.mark.django_db
def test_between_two_observed_sizes_rho_is_interpolated(admin_client):
    study = make_study()
    curve = [{"size": g, "rho": 0.1, "low": 0, "high": 1, "observed": g in (1, 2, 5)} for g in range(1, 20)]
    make_report(study, planning=make_plan(curve=curve))
    page = admin_client.get(page_of(study), {"fewest": 3, "most": 7}).content.decode()
    assert re.findall(r"<td>(?:<em>)?(\w+ed)<", page) == [
        "observed",
        "interpolated",
        "interpolated",
        "observed",
        "extrapolated",
    ]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wishes", "enough"),
    [
        ({"width": "0.2"}, "3"),  # twice .3 / 3
        ({"width": "0.2", "values": "worst"}, "5"),  # twice .5 / 5
        ({"width": "0.2", "posts": "400"}, "2"),  # half as wide
        ({"width": "0.2", "rho": "0.28"}, "7"),  # both
    ],
)
def test_the_fewest_that_reach_what_is_wanted_are_named(admin_client, wishes, enough):
    study = make_study()
    make_report(study)
    assert f"With {enough} raters" in text_of(admin_client.get(page_of(study), wishes))


@pytest.mark.django_db
def test_where_nothing_is_enough_the_page_says_what_would_be(admin_client):
    study = make_study()
    make_report(study)
    text = text_of(admin_client.get(page_of(study), {"width": "0.03", "rho": "0.9", "most": "10"}))
    assert "10 raters per post are not enough" in text
    assert "Rho would reach 0.400, 0.900 was wanted" in text
    assert "narrow enough with 400 posts" in text  # .06 wide now: four times the posts


@pytest.mark.django_db
def test_other_pay_and_other_posts_change_the_costs(admin_client):
    study = make_study()
    make_report(study)
    query = {"fewest": 3, "most": 3, "posts": 100, "per_rater": 30, "reward": "0.50", "fee": "42.8"}
    assert "£7.14" in text_of(admin_client.get(page_of(study), query))  # 10 people
    text = text_of(admin_client.get(page_of(study), query | {"reward": ""}))
    assert "£" not in text.split("As in the study")[1]
    assert ", and costs" not in text
    assert "£5.00 without any fee" in text_of(admin_client.get(page_of(study), query | {"fee": ""}))


@pytest.mark.django_db
def test_dollars_are_dollars(admin_client):
    study = make_study(currency="USD")
    make_report(study, planning=make_plan(currency="USD"))
    text = text_of(admin_client.get(page_of(study)))
    assert "$240.00" in text
    assert "Reward per rater, in $" in text


@pytest.mark.django_db
def test_what_was_typed_survives_beside_its_fault(admin_client):
    study = make_study()
    make_report(study)
    query = {
        "posts": "many",
        "fewest": "9",
        "most": "4",
        "rho": "2",
        "reward": "1e999",
        "fee": "-1",
        "values": "all",
    }
    response = admin_client.get(page_of(study), query)
    text = text_of(response, status=422)
    for name in ("posts", "fewest", "most", "rho", "reward", "fee"):
        assert value_of(response, name) == query[name]
    assert "Give a whole number from 1 to 1,000,000." in text
    assert "Give a number that is not below the one before it." in text
    assert "Give a number from 0 to 1." in text
    assert "Give a number from 0 to 500." in text
    assert "With " not in text
    assert response.content.decode().count('aria-invalid="true"') == 6


@pytest.mark.django_db
@pytest.mark.parametrize(
    "query",
    [
        {"posts": ""},
        {"posts": "0"},
        {"posts": "1e3"},
        {"per_rater": "-3"},
        {"fewest": "1"},
        {"most": "21"},
        {"width": "nan"},
        {"rho": "inf"},
        {"reward": "NaN"},
        {"reward": "1.005"},
        {"posts": "9" * 400},
        {"posts": "<script>alert(1)</script>"},
    ],
)
def test_no_plan_is_made_of_nonsense(admin_client, query):
    study = make_study()
    make_report(study)
    response = admin_client.get(page_of(study), query)
    assert response.status_code == 422
    assert "<script>alert" not in response.content.decode()


@pytest.mark.django_db
def test_without_a_report_people_and_costs_are_still_known(admin_client):
    study = make_study(posts=10, posts_per_rater=5, reward=600)
    text = text_of(admin_client.get(page_of(study), {"rho": "0.3"}))
    assert "there is no report to answer from" in text
    assert "it takes 24 people who rate 5 each" in text  # 12 raters per post: the most asked about
    assert "£144.00 without any fee" in text
    assert "Until there is one, this page shows people and costs only." in text
    assert "Where the numbers come from" not in text


@pytest.mark.django_db
def test_a_pilot_that_is_too_small_says_so_and_what_to_do(admin_client):
    study = make_study()
    reason = "a plan needs ratings of at least two posts"
    make_report(study, planning=make_plan(reason=reason, rows=[], curve=[], raters_now=None, n_posts=1))
    text = text_of(admin_client.get(page_of(study)))
    assert "A plan needs ratings of at least two posts. Have a pilot" in text
    assert "half the width" not in text
    assert "Alpha is known" not in text


@pytest.mark.django_db
def test_without_a_curve_the_intervals_are_still_known(admin_client):
    study = make_study()
    rows = [row | {"rho": None} for row in make_plan()["rows"]]
    make_report(study, planning=make_plan(reason="only one size was observed", rows=rows, curve=[]))
    text = text_of(admin_client.get(page_of(study), {"rho": "0.1"}))
    assert "cannot say what rho to expect. Only one size was observed." in text
    assert "What rho to expect is not known." in text
    assert "Alpha is known to within" in text
    assert "observed in" not in text


@pytest.mark.django_db
def test_the_reports_figures_are_shown(admin_client):
    study = make_study()
    draw(make_report(study), "planning_precision", "planning_consensus", "circumplex")
    text = text_of(admin_client.get(page_of(study)))
    assert 0 < text.index("Figure planning_consensus") < text.index("Figure planning_precision")
    assert "Figure circumplex" not in text


@pytest.mark.django_db
def test_another_rule_stays_chosen(admin_client):
    study = make_study()
    report = make_report(study)
    report.rule_key = "0123456789ab"
    report.rule |= {"with_pilot": True}
    report.save()
    page = admin_client.get(page_of(study), {"who": "0123456789ab"}).content.decode()
    assert '<input type="hidden" name="who" value="0123456789ab">' in page


@pytest.mark.django_db
def test_the_page_asks_little_of_the_database(admin_client, django_assert_max_num_queries):
    study = make_study()
    make_report(study)
    admin_client.get(page_of(study))
    with django_assert_max_num_queries(11):
        admin_client.get(page_of(study), {"rho": "0.3"})
