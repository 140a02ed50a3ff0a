"""Pages of results: what is stored is shown as it is, whatever is missing is explained, and asking is guarded."""

import itertools
import re
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from annotation.models import Enrollment, Rater, Study, StudyAccess
from jobs.models import Job
from jobs.services import run_here
from modeling import handlers
from modeling.inclusion import DEFAULT, InclusionRule, Raters
from modeling.models import Report, ReportFigure
from modeling.quality.rules import RULES
from modeling.reporting.requests import (
    DEFAULT_KEY,
    key_of,
    list_result_jobs,
    request_agreement,
    request_fit_and_report,
)
from modeling.reports.evaluation import describe_evaluation as describe_computed
from tests.modeling.rated import fit_here, make_rated_study
from tests.modeling.reports.made_up import make_evaluation
from tests.modeling.reports.samples import build_questions
from tests.visitor import freeze_rows, read

from .stored import (
    describe_agreement,
    describe_evaluation,
    measure,
    store_agreement,
    store_evaluation,
    term,
)

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
PAGES = ("study", "agreement", "models", "personalization", "values")
OF_PEOPLE = ("study", "agreement", "values")
OF_MODELS = ("models", "personalization")
PEOPLE = InclusionRule(raters=Raters.PEOPLE)
NARROW = InclusionRule(
    with_pilot=True, with_timed_out=False, raters=Raters.PEOPLE, without_flags=(RULES[0].key, RULES[1].key)
)
NARROW_FIELDS = {
    "raters": "people",
    "with_pilot": "on",
    "without_timed_out": "on",
    "without_flags": [RULES[0].key, RULES[1].key],
}


def page_of(study, name="study", who=""):
    return reverse(f"modeling:{name}", args=[study.slug]) + (f"?who={who}" if who else "")


def text_of(response, status=200):
    assert response.status_code == status
    return unescape(" ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split()))


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


def fail(job, error):
    Job.objects.filter(pk=job.pk).update(state=Job.State.FAILED, error=error, finished_at=timezone.now())


@pytest.fixture
def study():
    return make_rated_study(n_posts=4, per_post=2)


@pytest.fixture
def reported(study):
    store_agreement(study)
    store_evaluation(study, **build_questions())
    return study


# --- who may --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_are_for_those_who_have_a_role(client, reported, name):
    response = client.get(page_of(reported, name))
    assert response.status_code == 302
    assert "/login/" in response["Location"]
    log_in(client, reported, "")
    assert client.get(page_of(reported, name)).status_code == 404
    log_in(client, reported, StudyAccess.Role.ASSISTANT)
    assert client.get(page_of(reported, name)).status_code == 200


@pytest.mark.parametrize("name", PAGES)
def test_nothing_can_be_sent_to_a_page(admin_client, reported, name):
    assert admin_client.post(page_of(reported, name)).status_code == 405


@pytest.mark.parametrize("name", ["refresh", "fit"])
def test_asking_is_for_analysts_and_owners_and_never_by_a_link(client, reported, name):
    log_in(client, reported, StudyAccess.Role.ASSISTANT)
    assert client.post(page_of(reported, name), {"who": DEFAULT_KEY}).status_code == 404
    assert not list_result_jobs(reported)
    log_in(client, reported, StudyAccess.Role.ANALYST)
    assert client.get(page_of(reported, name)).status_code == 405
    assert client.post(page_of(reported, name), {"who": DEFAULT_KEY}).status_code == 302
    assert len(list_result_jobs(reported)) == 1


@pytest.mark.parametrize("name", PAGES)
def test_who_may_not_ask_is_shown_no_button(client, reported, name):
    log_in(client, reported, StudyAccess.Role.ASSISTANT)
    page = client.get(page_of(reported, name)).content.decode()
    assert "<form" not in page
    assert "Press “" not in page


def test_looking_at_the_pages_writes_nothing(admin_client, reported):
    for name in PAGES:
        admin_client.get(page_of(reported, name))
    rows = freeze_rows()
    for name in PAGES:
        admin_client.get(page_of(reported, name))
        admin_client.get(page_of(reported, name), headers={"HX-Request": "true"})
    assert freeze_rows() == rows


# --- what is shown --------------------------------------------------------------------------------


def test_the_overview_tells_the_finding_at_a_glance(admin_client, reported):
    text = text_of(admin_client.get(page_of(reported)))
    assert "Completed 10 of 10 who began" in text
    assert "Annotations 8 of 4 posts" in text
    assert "Human-human 0.111 0.061 to 0.161, all posts" in text
    assert "Human-consensus 0.222 0.172 to 0.272, all posts" in text
    assert "Ordinal alpha 0.12 to 0.46 Order to Caring; median 0.29" in text
    assert "Best model 0.400 Personalized, 0.350 to 0.450 on held-out posts; +100 % over one person" in text
    assert "Everyone who completed the live study and is not excluded computed 20 minutes ago" in text
    assert "code 0.1.0+test" in text


def test_the_overview_leads_to_every_page_with_its_finding(admin_client, reported):
    response = admin_client.get(page_of(reported))
    text = text_of(response)
    assert "Agreement Most about Caring (ordinal alpha 0.456), least about Order (0.123)." in text
    assert "Models Personalized agrees best: 0.400, +100 % against one other person." in text
    assert (
        "Personalization Knowing the rater changes rho by +0.038 (+0.024 to +0.052); 63 % of raters gain."
        in text
    )
    assert "Values Own scores go with the ratings of 2 of 3 values (p < 0.05, Holm)." in text
    assert "Disputed posts Over p1 two raters differ by 1.95 points on average." in text
    assert "Planning A consensus of 20 others is expected to reach 0.397." in text
    for name in (*PAGES, "disputed", "planning"):
        assert f'href="{page_of(reported, name)}"' in response.content.decode()


def test_the_overview_draws_models_beside_people_and_else_people_alone(admin_client, study):
    store_agreement(study)
    text = text_of(admin_client.get(page_of(study)))
    assert "One other person 0.111 Consensus of 2 others 0.155 Consensus of all others 0.222" in text
    store_evaluation(study)
    response = admin_client.get(page_of(study))
    text = text_of(response)
    assert "on 4 held-out posts" in text
    assert "One other person 0.200 Consensus of all others 0.250 Consensus from text 0.300" in text
    widths = re.findall(r'<rect width="(\d+)"', response.content.decode())
    assert widths == [str(round(1000 * rho / 0.45)) for rho in (0.2, 0.25, 0.3, 0.4)]


def test_bars_that_do_not_exist_are_not_drawn(admin_client, study):
    store_agreement(
        study, human_human=measure(None), human_consensus=measure(-0.2), human_consensus_by_size=[]
    )
    page = admin_client.get(page_of(study)).content.decode()
    assert re.findall(r'<rect width="(-?\d+)"', page) == ["0", "0"]
    assert "<path" not in page


def test_agreement_is_shown_value_by_value_under_the_names_of_their_groups(admin_client, reported):
    text = text_of(admin_client.get(page_of(reported, "agreement")))
    cells = " ".join(["0.456 0.436 to 0.476"] * 7)
    assert f"Others Caring {cells} 0.987 ± 0.065 1.25 SD 1.50 58 % 80 3 left out" in text
    assert f"Self Fame {' '.join(['– – to –'] * 7)} 0.987" in text
    assert "Human-human 444 33 16 2" in text
    assert "0.111 0.061 to 0.161 over posts, 0.051 to 0.171 over raters" in text
    assert "3 to 7 raters (median 5)" in text


def test_a_coefficient_that_does_not_exist_says_why_once_for_all_values(admin_client, study):
    store_agreement(study)
    text = text_of(admin_client.get(page_of(study, "agreement")))
    assert "Ordinal alpha of Fame: every rating is 0, so nothing can be disagreed about." in text
    assert "ICC(1) of Fame: every rating is 0, so nothing can be disagreed about." in text


def test_the_models_page_shows_paired_differences_and_what_the_fit_rests_on(admin_client, reported):
    text = text_of(admin_client.get(page_of(reported, "models")))
    assert "Personalized − Consensus from text +0.100 −0.010 to +0.200 4" in text
    assert "a person 0.951 ± 0.031, the consensus model 0.781 ± 0.016 scale points" in text
    assert "Intervals are bootstraps over posts." in text
    assert "Code, seed 0.1.0+test, 7" in text


def test_the_personalization_page_tells_what_knowing_the_rater_adds(admin_client, reported):
    text = text_of(admin_client.get(page_of(reported, "personalization")))
    assert "Mean gain of a rater +0.038 +0.024 to +0.052" in text
    assert "Predicted better 63 % of 177 raters; 3 left out" in text
    assert "how far one person is from the crowd about it is +0.740" in text


def test_the_personalization_page_answers_two_questions_apart(admin_client, study):
    store_evaluation(study, **build_questions())
    text = text_of(admin_client.get(page_of(study, "personalization")))
    assert "In short The personalized model is nowhere worse. Shuffled raters gain nothing." in text
    assert "What the model could see Ratings of 22 posts, and the answers." in text
    known, new = text.index("A. Known raters on new posts"), text.index("B. New raters who only answered")
    both = "Rho, personalized minus consensus +0.100 +0.050 to +0.150 · better 0.200 with the consensus, {}"
    assert known < text.index(both.format("0.800 personalized")) < new
    assert new < text.index("On posts that others had rated " + both.format("0.500 personalized"))
    assert "On new posts " + both.format("0.500 personalized") in text
    assert "40 raters, 8 posts, 90 annotations" in text
    assert "From 5 to 25 answers, rho of a new rater changes by +0.200 (0.150 to 0.250)" in text
    assert "81 % 78 % to 84 %, of 90 ratings; 80 % is aimed at on average 2.50 scale points wide" in text
    assert "The paper’s forest 0.700 0.000" in text


def test_a_loss_and_a_leak_are_warned_of_at_the_top(admin_client, study):
    questions = build_questions()
    questions["verdict"] |= {"is_worse": True, "sentence": "It is worse."}
    questions["controls"]["permuted"] |= {"is_leaking": True, "sentence": "Something is leaking."}
    store_evaluation(study, **questions)
    page = admin_client.get(page_of(study, "personalization")).content.decode()
    assert '<p class="warning">It is worse.</p>' in page
    assert '<p class="warning">Something is leaking.</p>' in page
    assert page.index("It is worse.") < page.index("A. Known raters")


def test_what_a_fit_did_not_compute_for_new_raters_is_explained(admin_client, study):
    computed = describe_computed(make_evaluation(), seed=1)
    store_evaluation(study, **{key: computed[key] for key in build_questions()})
    text = text_of(admin_client.get(page_of(study, "personalization")))
    assert "Cannot be answered. This fit set no raters apart" in text
    assert "Not beside it. This fit did not compute: Consensus from text, refitted" in text
    assert "No curve of answers. No raters were set apart to be new ones." in text
    assert "Not checked. This fit kept no prediction intervals." in text
    assert "No weights. The personalized model of this fit is no blend" in text
    assert "None" not in text


def test_a_report_from_before_the_two_questions_says_so(admin_client, study):
    store_evaluation(study)
    text = text_of(admin_client.get(page_of(study, "personalization")))
    assert "older than the comparison of known and new raters" in text
    assert "Mean gain of a rater +0.038" in text


def test_the_overview_leaves_members_and_controls_to_their_page(admin_client, study):
    error = {"mae": {"mae": 1.0, "interval": [0.9, 1.1]}}
    models = {name: measure(0.3) | error for name in ("text", "permuted", "forest", "person")}
    store_evaluation(study, models=models)
    text = text_of(admin_client.get(page_of(study)))
    assert "Consensus from text 0.300 Personalized 0.400" in text
    assert "raters shuffled" not in text


def test_the_values_page_says_how_far_the_circle_of_the_theory_is_there(admin_client, reported):
    text = text_of(admin_client.get(page_of(reported, "values")))
    assert "congruence of 0.91" in text
    assert "correlates 0.86 with the theory’s (p < 0.001, by permutation)" in text
    assert "41 % of 2,890 readings point within 45° of the mean of the others" in text
    assert "12 % away from it by more than 135°" in text
    assert "The median angle between them is 52°. Left out: 710, where" in text
    assert "regressed on the rater’s own score for it, beside age, party;" in text


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        (
            "agreement",
            "alpha_by_value reliability_coefficients consensus_by_size rating_distribution raters_per_post",
        ),
        ("models", "agreement_by_condition improvement crowd_error_by_value correlation_by_value"),
        (
            "personalization",
            "controls values_known rater_differences cold_start values_new learning_answers learning_answers_error "
            "learning_raters learning_raters_error interval_coverage gain_distribution gain_by_group gain_regression "
            "adjustment_by_value variable_importance",
        ),
        ("values", "value_projection circumplex value_correlations"),
    ],
)
def test_every_figure_stands_on_its_page_once(admin_client, reported, name, keys):
    page = admin_client.get(page_of(reported, name)).content.decode()
    for key in keys.split():
        assert page.count(f"Caption of {key}.") == 1


@pytest.mark.parametrize("name", PAGES)
def test_a_report_without_figures_is_shown_all_the_same(admin_client, reported, name):
    ReportFigure.objects.all().delete()
    text_of(admin_client.get(page_of(reported, name)))


# --- what is not there ----------------------------------------------------------------------------


def test_a_study_without_figures_says_how_to_get_them(admin_client, study):
    assert "There are no figures yet. Press “Compute the figures”" in text_of(
        admin_client.get(page_of(study))
    )
    for name in OF_MODELS:
        text = text_of(admin_client.get(page_of(study, name)))
        assert "a model has to be fitted to the ratings first" in text
        assert "Press “Fit and evaluate”." in text
    for name in ("agreement", "values"):
        assert "Press “Compute the figures”." in text_of(admin_client.get(page_of(study, name)))


def test_a_study_that_nobody_completed_says_so(admin_client, study):
    Enrollment.objects.update(outcome="", finished_at=None)
    assert "Nobody has completed the study yet." in text_of(admin_client.get(page_of(study)))


def test_a_study_without_a_model_says_so_and_shows_its_people(admin_client, study):
    store_agreement(study)
    text = text_of(admin_client.get(page_of(study)))
    assert "Best model – none is fitted" in text
    assert "Models No model is fitted yet." in text
    assert "Human-human 0.111" in text


def test_what_a_fit_could_not_compute_is_explained(admin_client, study):
    nothing = {"reason": "nobody answered the calibration questions", "rows": [], "features": []}
    store_evaluation(
        study,
        models={},
        personalized=None,
        differences=[],
        holdout=None,
        best=None,
        importance=nothing,
        adjustment={"by_value": [], "rank_correlation_with_human_crowd": None},
        gain={
            "reason": "nobody answered the calibration questions",
            "mean": None,
            "interval": [None, None],
            "share_better": None,
            "n_raters": 0,
            "n_raters_left_out": 10,
            "histogram": [],
            "by_group": [],
            "n_answers_in_small_groups": 0,
            "regression": {"reason": "no rater has a gain", "terms": [], "n_raters": 0, "r_squared": None},
        },
        mae_overall=dict.fromkeys(("human_crowd", "human_crowd_se", "model_crowd", "model_crowd_se")),
    )
    ReportFigure.objects.all().delete()
    text = text_of(admin_client.get(page_of(study, "personalization")))
    assert "Not defined. Nobody answered the calibration questions." in text
    assert "No regression. No rater has a gain." in text
    assert "Not shown. Nobody answered the calibration questions." in text
    text = text_of(admin_client.get(page_of(study, "models")))
    assert "No model could be compared with people" in text
    assert "a person – ± –, the consensus model – ± –" in text
    assert "Best model – none could be compared" in text_of(admin_client.get(page_of(study)))


def test_what_the_ratings_do_not_allow_is_explained(admin_client, study):
    circle = dict.fromkeys(describe_agreement()["circumplex"])
    store_agreement(
        study,
        human_human=measure(None),
        human_consensus=measure(None),
        alpha_range={"lowest": None, "highest": None, "median": None},
        circumplex=circle | {"reason": "the value system names no circle", "points": [], "correlations": []},
        projection={"source": "", "reason": "raters have no scores", "covariates": [], "by_value": []},
        disputed=[],
        planning={"reason": "no post has two raters", "curve": [], "rows": []},
    )
    ReportFigure.objects.all().delete()
    text = text_of(admin_client.get(page_of(study, "values")))
    assert "Cannot be computed. Raters have no scores." in text
    assert "Cannot be computed. The value system names no circle." in text
    assert "Cannot be computed. The posts carry no screening scores:" in text
    text = text_of(admin_client.get(page_of(study)))
    assert "Human-human – – to –" in text
    assert "Planning No post has two raters." in text
    assert "None" not in text
    text_of(admin_client.get(page_of(study, "agreement")))


def test_a_value_that_has_no_projection_is_named_with_its_reason(admin_client, study):
    projection = describe_agreement()["projection"]
    projection["by_value"][1] |= {"reason": "too few raters have a score", "terms": []}
    store_agreement(study, projection=projection)
    assert "Order: too few raters have a score." in text_of(admin_client.get(page_of(study, "values")))


@pytest.mark.parametrize("schema", [0, 2, None])
@pytest.mark.parametrize("name", PAGES)
def test_a_report_of_another_version_is_not_read_but_can_be_made_anew(admin_client, study, name, schema):
    store_agreement(study)
    store_evaluation(study)
    for report in Report.objects.all():
        report.measures = {"schema": schema} if schema is not None else {"something": "else"}
        report.save()
    text = text_of(admin_client.get(page_of(study, name)))
    button = "Fit and evaluate" if name in OF_MODELS else "Refresh"
    assert "Made by an older version of Parallax." in text
    assert f"Press “{button}” to have it made anew." in text


@pytest.mark.parametrize(
    "data",
    [{}, {"n_values": 1}, {"has_text": False, "has_answers": False}, {"change": lambda ratings: ratings * 0}],
    ids=["plain", "one-value", "no-text", "all-zero"],
)
def test_the_measures_that_a_worker_computes_are_read_on_every_page(admin_client, monkeypatch, data):
    monkeypatch.setattr(handlers, "draw_agreement_figures", lambda measures: [])
    monkeypatch.setattr(handlers, "draw_evaluation_figures", lambda measures: [])
    study = make_rated_study(**data)
    job = run_here(request_agreement(study))
    assert job.state == Job.State.DONE, job.error
    fit_here(study)
    Job.objects.all().delete()
    for name in PAGES:
        text = text_of(admin_client.get(page_of(study, name)))
        assert "None" not in text
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)
        assert "There is nothing to show yet" not in text
        assert "older version" not in text


# --- age, work, warnings --------------------------------------------------------------------------


def count_counted(study):
    return Enrollment.objects.filter(study=study, annotations__isnull=False).distinct().count()


def test_while_the_study_runs_it_is_said_how_many_came_since(admin_client, study):
    store_agreement(study, n_raters=count_counted(study) - 1)
    text = text_of(admin_client.get(page_of(study)))
    assert "1 person completed since; figures follow by themselves every few minutes." in text
    Report.objects.all().delete()
    store_agreement(study, n_raters=count_counted(study) - 3)
    Study.objects.update(state=Study.State.CLOSED)
    assert "3 people completed since; “Refresh” takes them in." in text_of(admin_client.get(page_of(study)))


def test_a_report_that_knows_of_more_people_than_count_now_says_so(admin_client, study):
    store_agreement(study, n_raters=count_counted(study) + 1)
    assert "Fewer people count now than when this was computed." in text_of(admin_client.get(page_of(study)))


def test_a_report_that_knows_of_all_says_nothing_of_others(admin_client, study):
    store_agreement(study, n_raters=count_counted(study))
    text = text_of(admin_client.get(page_of(study)))
    assert "completed since" not in text
    assert "Fewer people" not in text


@pytest.mark.parametrize("name", PAGES)
def test_a_report_that_someone_left_is_marked(admin_client, reported, name):
    assert "Who counts has changed" not in text_of(admin_client.get(page_of(reported, name)))
    Report.objects.update(outdated_at=timezone.now())
    text = text_of(admin_client.get(page_of(reported, name)))
    assert "Who counts has changed since this was computed. Someone withdrew" in text


@pytest.mark.parametrize("name", PAGES)
def test_simulated_raters_raise_the_warning(admin_client, study, name):
    store_agreement(study, n_simulated=10)
    store_evaluation(study, n_simulated=10)
    text = text_of(admin_client.get(page_of(study, name)))
    assert "Simulated data. 10 of the 10 raters are simulated." in text
    assert "no evidence about people" in text


def test_simulated_raters_are_told_of_before_there_is_a_report(admin_client):
    study = make_rated_study(n_posts=4, per_post=2, origin=Rater.Origin.SIMULATED)
    assert "10 of the 10 raters are simulated" in text_of(admin_client.get(page_of(study)))
    request_agreement(study, PEOPLE)  # of people alone, of whom there are no figures yet
    assert "Simulated data" not in text_of(admin_client.get(page_of(study, who=key_of(PEOPLE))))


@pytest.mark.parametrize("name", PAGES)
def test_people_raise_no_such_warning(admin_client, reported, name):
    assert "Simulated data" not in text_of(admin_client.get(page_of(reported, name)))


@pytest.mark.parametrize("name", PAGES)
def test_work_under_way_is_shown_with_its_progress_and_asks_for_news(admin_client, reported, name):
    assert "hx-get" not in admin_client.get(page_of(reported, name)).content.decode()
    job = request_fit_and_report(reported, DEFAULT)
    response = admin_client.get(page_of(reported, name))
    assert "A model is being fitted and evaluated: waiting for a worker." in text_of(response)
    Job.objects.filter(pk=job.pk).update(
        progress_done=1200, progress_total=3000, progress_note="value 1 of 4"
    )
    response = admin_client.get(page_of(reported, name))
    assert "A model is being fitted and evaluated: 1,200 of 3,000, value 1 of 4." in text_of(response)
    assert f'hx-get="{page_of(reported)}" hx-trigger="every 3s"' in response.content.decode()


def test_the_news_are_a_fragment_until_the_work_is_done_and_then_a_fresh_page(admin_client, reported):
    job = request_agreement(reported, DEFAULT)
    response = admin_client.get(page_of(reported), headers={"HX-Request": "true"})
    assert "The agreement of people is being computed" in text_of(response)
    assert "<html" not in response.content.decode()
    assert "HX-Request" in response["Vary"]
    fail(job, "The worker went away.")
    response = admin_client.get(page_of(reported), headers={"HX-Request": "true"})
    assert response["HX-Refresh"] == "true"


def test_work_that_failed_is_named_and_the_last_figures_stay(admin_client, reported):
    fail(request_agreement(reported, DEFAULT), "Something <b>went</b> wrong.")
    response = admin_client.get(page_of(reported, "agreement"))
    assert "The agreement of people could not be computed. Something <b>went</b> wrong." in text_of(response)
    assert "<b>went</b>" not in response.content.decode()
    assert "0.456" in text_of(response)


# --- who counts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_PEOPLE)
def test_another_rule_shows_its_own_report_and_its_links_keep_it(admin_client, reported, name):
    store_agreement(reported, PEOPLE, n_simulated=3, inclusion="another")
    response = admin_client.get(page_of(reported, name, key_of(PEOPLE)))
    assert "Every person (no simulated rater) who completed the live study" in text_of(response)
    assert "3 of the 10 raters are simulated" in text_of(response)
    assert f'href="{page_of(reported, "models", key_of(PEOPLE))}"' in response.content.decode()


def test_stored_rules_can_be_chosen_by_those_who_may_only_look(client, reported):
    store_agreement(reported, PEOPLE)
    log_in(client, reported, StudyAccess.Role.ASSISTANT)
    page = client.get(page_of(reported, "agreement")).content.decode()
    assert f'href="{page_of(reported, "agreement", key_of(PEOPLE))}"' in page
    assert "Another rule" not in page


@pytest.mark.parametrize("who", ["nonsense", "'; --", key_of(PEOPLE)])
@pytest.mark.parametrize("name", PAGES)
def test_a_rule_that_the_study_knows_nothing_of_is_not_found(admin_client, reported, name, who):
    assert admin_client.get(page_of(reported, name), {"who": who}).status_code == 404


@pytest.mark.parametrize("name", ["refresh", "fit"])
def test_nothing_is_asked_for_by_a_rule_that_the_study_knows_nothing_of(admin_client, reported, name):
    assert admin_client.post(page_of(reported, name), {"who": "nonsense"}).status_code == 404
    assert not list_result_jobs(reported)


@pytest.mark.parametrize(
    ("fields", "rule"),
    [({"who": DEFAULT_KEY}, DEFAULT), ({"raters": "all"}, DEFAULT), (NARROW_FIELDS, NARROW)],
    ids=["stored", "default", "narrow"],
)
def test_a_report_is_asked_for_by_the_rule_and_shown_on_the_page_one_came_from(
    admin_client, reported, fields, rule
):
    response = admin_client.post(page_of(reported, "refresh"), fields | {"page": "values"})
    [job] = list_result_jobs(reported)
    assert (job.kind, job.payload["rule"]) == ("agreement", rule.as_dict())
    who = "" if rule == DEFAULT else key_of(rule)
    assert response["Location"] == page_of(reported, "values", who)
    assert "The agreement of people is being computed" in text_of(admin_client.get(response["Location"]))


def test_a_fit_is_asked_for_by_the_rule_that_is_looked_at(admin_client, reported):
    store_agreement(reported, PEOPLE)
    response = admin_client.post(page_of(reported, "fit"), {"who": key_of(PEOPLE), "page": "models"})
    [job] = list_result_jobs(reported)
    assert (job.kind, job.payload["rule"]) == ("refit", PEOPLE.as_dict())
    assert response["Location"] == page_of(reported, "models", key_of(PEOPLE))


def test_one_comes_back_to_a_page_of_results_and_nowhere_else(admin_client, reported):
    for page in ("https://evil.example", "erase", ""):
        response = admin_client.post(page_of(reported, "refresh"), {"who": DEFAULT_KEY, "page": page})
        assert response["Location"] == page_of(reported)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({}, "Choose everyone, people only or simulated raters only."),
        ({"raters": "robots"}, "Choose everyone, people only or simulated raters only."),
        ({"raters": "all", "without_flags": ["lies"]}, "There is no quality rule “lies”."),
    ],
    ids=["nothing", "raters", "flags"],
)
def test_a_rule_that_cannot_be_understood_is_shown_again_as_it_was_typed(
    admin_client, reported, fields, error
):
    typed = {"with_pilot": "on", "without_flags": [RULES[2].key]} | fields
    response = admin_client.post(page_of(reported, "refresh"), typed if fields else {})
    page = response.content.decode()
    assert error in text_of(response, status=422)
    assert '<details class="who" open>' in page
    assert not list_result_jobs(reported)
    if fields:
        assert '<input type="checkbox" name="with_pilot" checked>' in page
    if "raters" in fields and fields["raters"] == "robots":
        assert f'value="{RULES[2].key}" checked' in page


def test_the_form_shows_the_rule_that_is_looked_at(admin_client, reported):
    store_agreement(reported, NARROW)
    page = admin_client.get(page_of(reported, who=key_of(NARROW))).content.decode()
    assert '<input type="radio" name="raters" value="people" checked>' in page
    assert '<input type="checkbox" name="without_timed_out" checked>' in page
    assert f'value="{RULES[0].key}" checked' in page
    assert f'value="{RULES[3].key}" checked' not in page


# --- how the pages are made -----------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_a_page_takes_few_queries_and_reads_no_drawing(
    admin_client, reported, name, django_assert_max_num_queries
):
    for rule in (PEOPLE, NARROW):
        store_agreement(reported, rule)
        store_evaluation(reported, rule)
    request_agreement(reported, DEFAULT)
    admin_client.get(page_of(reported, name))  # the value tree is read once per process
    with django_assert_max_num_queries(14) as queries:
        admin_client.get(page_of(reported, name))
    figures = [query["sql"] for query in queries.captured_queries if "modeling_reportfigure" in query["sql"]]
    assert len(figures) == (name != "study")
    for sql in figures:
        assert not [drawing for drawing in ("svg", "pdf", "png", "spec") if f'"{drawing}"' in sql]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_its_headings_in_order_and_captions_its_tables(admin_client, reported, name):
    response = admin_client.get(page_of(reported, name))
    page = response.content.decode()
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    own = re.sub(r"<figure.*?</figure>", "", page, flags=re.DOTALL)
    assert own.count("<table") == own.count("<caption")
    assert page.count("<th") - page.count("<thead") == page.count('<th scope="')
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert read(response).status == 200


@pytest.mark.parametrize("name", PAGES)
def test_a_page_styles_nothing_inline_and_runs_no_script_of_its_own(admin_client, reported, name):
    page = admin_client.get(page_of(reported, name)).content.decode()
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]*\bsrc=)", page)


def test_one_value_has_one_alpha_and_no_range(admin_client, study):
    only = {"value": "order", "alpha": 0.123}
    store_agreement(study, alpha_range={"lowest": only, "highest": only, "median": 0.123})
    text = text_of(admin_client.get(page_of(study)))
    assert "Ordinal alpha 0.12 Order Best model" in text
    assert "Agreement Order: ordinal alpha 0.123." in text


def test_the_best_model_of_people_who_agree_not_at_all_has_no_improvement(admin_client, study):
    store_agreement(study)
    people = describe_evaluation()["holdout"] | {"human_human": measure(0.0)}
    store_evaluation(study, holdout=people)
    text = text_of(admin_client.get(page_of(study)))
    assert "Personalized agrees best: 0.400." in text


def test_own_scores_without_a_p_are_not_counted_as_clear(admin_client, study):
    projection = describe_agreement()["projection"]
    projection["by_value"][0]["terms"] = [term("own score", "own_value", 0.3, 0.5) | {"p_holm": None}]
    store_agreement(study, projection=projection)
    assert "go with the ratings of 1 of 3 values" in text_of(admin_client.get(page_of(study)))
