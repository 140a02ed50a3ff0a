"""The pages of errors and of structure, the note, and the way from a run's errors to the next version of the prompt."""

from dataclasses import replace
from html import unescape

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from annotation.models import StudyAccess
from jobs.models import Job
from jobs.services import run_here
from modeling.annotators.prompts import get_design, get_prompt, save_prompt
from modeling.models import ExpertLabel, Report
from modeling.refining import error_handlers
from modeling.reporting.subjects import find_report_job, name_subject, request_report
from modeling.reports import structure as measuring
from modeling.reports.figures.render import Drawn
from tests.modeling.refining.planted_errors import make_planted_run, make_planted_set

pytestmark = pytest.mark.django_db
SAYS_STANDIN = "Stand-in: not from a real model."
ERRORS, STRUCTURE = Report.Kind.ERRORS, Report.Kind.STRUCTURE
PAIR = "Caring where experts see Dependability"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few resamples, and figures that are drawn by a moment's work."""

    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    monkeypatch.setattr(error_handlers, "draw_all", draw)
    monkeypatch.setattr(measuring, "N_RESAMPLES", 5)
    monkeypatch.setattr(measuring, "N_PERMUTATIONS", 20)


@pytest.fixture
def planted():
    return make_planted_set(160, test_share=0.0)


@pytest.fixture
def expert_set(planted):
    return planted[0]


@pytest.fixture
def run(planted):
    return make_planted_run(*planted, is_standin=True)


def log_in(client, study, role="owner"):
    user = get_user_model().objects.create_user(f"{role}-of-it", is_staff=True)
    StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


@pytest.fixture
def owner(client, expert_set):
    log_in(client, expert_set.study)
    return client


def address(expert_set, name="errors", *more, **query):
    return reverse(
        f"modeling:{name}", args=[expert_set.study.slug, expert_set.pk, *more], query=query or None
    )


def report_here(expert_set, kind=ERRORS, **subject):
    job = run_here(request_report(expert_set.study, kind, name_subject(set=expert_set.pk, **subject)))
    assert job.state == Job.State.DONE, job.error


def text_of(response):
    assert response.status_code == 200
    return unescape(response.content.decode())


def test_a_set_without_runs_says_what_to_do(owner, expert_set):
    assert "No run can be held against this set yet." in text_of(owner.get(address(expert_set)))


def test_errors_are_asked_for_shown_and_named_a_stand_ins(owner, expert_set, run):
    page = text_of(owner.get(address(expert_set)))
    assert f"Find the errors of run {run.pk}" in page
    answer = owner.post(address(expert_set, "errors_make"), {"run": run.pk})
    assert answer.url == address(expert_set, run=run.pk)
    job = find_report_job(expert_set.study, ERRORS, name_subject(set=expert_set.pk, run=run.pk))
    assert "waits for a worker" in text_of(owner.get(answer.url))
    assert run_here(job).state == Job.State.DONE
    page = text_of(owner.get(answer.url))
    for said in (
        PAIR,
        SAYS_STANDIN,
        "from a rating of 3 on",
        "test posts stay closed",
        "Because of the words",
    ):
        assert said in page, said
    assert "<b>speaks</b>" not in owner.get(answer.url).content.decode()
    assert "Caring is not Dependability." in page


def test_polling_shows_the_work_then_a_fresh_page(owner, expert_set, run):
    owner.post(address(expert_set, "errors_make"), {"run": run.pk})
    asked = {"HTTP_HX_REQUEST": "true"}
    polled = owner.get(address(expert_set, run=run.pk), **asked)
    assert "hx-trigger" in text_of(polled)
    assert "<h1>" not in polled.content.decode()
    report_here(expert_set, run=run.pk)
    assert owner.get(address(expert_set, run=run.pk), **asked)["HX-Refresh"] == "true"


def test_work_is_cancelled(owner, expert_set, run):
    owner.post(address(expert_set, "errors_make"), {"run": run.pk})
    owner.post(address(expert_set, "errors_cancel"), {"run": run.pk})
    subject = name_subject(set=expert_set.pk, run=run.pk)
    assert find_report_job(expert_set.study, ERRORS, subject).state == Job.State.CANCELLED


def test_labels_given_since_are_told(owner, expert_set, run):
    report_here(expert_set, run=run.pk)
    assert "settled something since" not in text_of(owner.get(address(expert_set)))
    label = ExpertLabel.objects.filter(item__expert_set=expert_set).first()
    ExpertLabel.objects.create(item=label.item, expert="cid", ratings=label.ratings)
    assert "settled something since" in text_of(owner.get(address(expert_set)))


def test_the_history_tells_what_a_newer_version_changed(owner, planted, run):
    expert_set = planted[0]
    second = make_planted_run(*planted, version=2, rate=0.0)
    report_here(expert_set, run=second.pk)
    assert "Nobody has looked for the errors of" in text_of(owner.get(address(expert_set, run=second.pk)))
    report_here(expert_set, run=run.pk)
    page = text_of(owner.get(address(expert_set, run=second.pk)))
    assert f"Not told from chance any more: {PAIR}" in page
    assert "No pair" not in page
    assert "None of the" in page


def test_the_note_and_the_table_are_files(owner, expert_set, run):
    for name, more in (("errors_note", ()), ("errors_table", ("misattributions",))):
        assert owner.get(address(expert_set, name, run.pk, *more)).status_code == 404, "nothing to show yet"
    report_here(expert_set, run=run.pk)
    note = owner.get(address(expert_set, "errors_note", run.pk))
    assert note["Content-Type"] == "text/markdown; charset=utf-8"
    assert f"errors-of-run-{run.pk}.md" in note["Content-Disposition"]
    assert f"### {PAIR}" in note.content.decode()
    table = owner.get(address(expert_set, "errors_table", run.pk, "misattributions")).content.decode()
    assert table.splitlines()[1].startswith("Caring,Dependability,")
    assert owner.get(address(expert_set, "errors_table", run.pk, "other")).status_code == 404


def test_whoever_still_labels_the_set_sees_no_single_post(owner, expert_set, run):
    report_here(expert_set, run=run.pk)
    ExpertLabel.objects.filter(expert="owner-of-it").delete()
    item = expert_set.items.first()
    n_values = len(expert_set.study.value_keys)
    item.labels.create(expert="owner-of-it", ratings=(0.0,) * n_values)
    page = text_of(owner.get(address(expert_set, run=run.pk)))
    assert PAIR in page
    assert "hidden from you while you label" in page
    assert "Because of the words" not in page
    assert (
        "Because of the words" not in owner.get(address(expert_set, "errors_note", run.pk)).content.decode()
    )
    expert_set.closed_at = timezone.now()
    expert_set.save()
    assert "Because of the words" in text_of(owner.get(address(expert_set, run=run.pk)))


@pytest.mark.parametrize("asked", ["999999", "x", "²", "-1"])
def test_a_run_that_is_not_there_is_not_found(owner, expert_set, run, asked):
    assert owner.get(address(expert_set, run=asked)).status_code == 404
    assert owner.post(address(expert_set, "errors_make"), {"run": asked}).status_code == 404
    assert not Job.objects.exists()


def test_without_a_run_one_is_asked_for(owner, expert_set, run):
    for name in ("errors_make", "errors_cancel"):
        answer = owner.post(address(expert_set, name), follow=True)
        assert "Choose the run" in text_of(answer)
    assert not Job.objects.exists()


def test_an_assistant_sees_and_words_but_does_not_measure(client, expert_set, run):
    report_here(expert_set, run=run.pk)
    log_in(client, expert_set.study, "assistant")
    page = text_of(client.get(address(expert_set)))
    assert "Word the next version with this note" in page
    assert "Look again" not in page
    for name in ("errors_make", "errors_cancel", "structure_make", "structure_cancel"):
        assert client.post(address(expert_set, name), {"run": run.pk}).status_code == 404


def test_an_analyst_measures_but_does_not_word(client, expert_set, run):
    report_here(expert_set, run=run.pk)
    log_in(client, expert_set.study, "analyst")
    page = text_of(client.get(address(expert_set)))
    assert "Look again" in page
    assert "Word the next version" not in page


def edit_page(study, **query):
    return reverse("modeling:prompt_edit", args=[study.slug, "values"], query=query or None)


def test_the_prompt_editor_begins_with_the_guidance_and_saves_nothing(owner, expert_set, run):
    report_here(expert_set, run=run.pk)
    study = expert_set.study
    n_versions = study.prompt_versions.count()
    response = owner.get(edit_page(study, set=expert_set.pk, run=run.pk))
    page = text_of(response)
    assert "Caring is not Dependability." in response.context["form"]["closing"].value()
    assert response.context["form"]["note"].value() == f"Answers the errors of run {run.pk}."
    assert "1 drafted paragraph against the errors" in page
    assert study.prompt_versions.count() == n_versions


@pytest.mark.parametrize(
    "query", [{}, {"set": "1", "run": "x"}, {"set": "999999", "run": "999999"}, {"run": "²"}]
)
def test_the_prompt_editor_is_as_ever_where_no_errors_are_named(owner, expert_set, run, query):
    response = owner.get(edit_page(expert_set.study, **query))
    assert text_of(response)
    assert response.context["wording"] is None
    assert response.context["form"]["note"].value() == ""


def sent_form(response, **changes):
    form = response.context["form"]
    values = {field.name: field.value() for field in form}
    return {name: value for name, value in (values | changes).items() if value not in (None, False)}


def test_a_reason_is_asked_for_by_a_tick_and_not_any_more_without(owner, expert_set):
    study = expert_set.study
    get_prompt(study, "values")
    owner.post(edit_page(study), sent_form(owner.get(edit_page(study)), asks_why="on"))
    newest = get_prompt(study, "values")
    assert newest.number == 2
    assert get_design(newest).asks_why
    response = owner.get(edit_page(study))
    assert response.context["form"]["asks_why"].value() is True
    assert "Before the ratings the model says" in text_of(response)
    owner.post(edit_page(study), sent_form(response, asks_why=False))
    assert not get_design(get_prompt(study, "values")).asks_why


def test_a_tick_survives_an_error(owner, expert_set):
    study = expert_set.study
    sent = sent_form(owner.get(edit_page(study)), asks_why="on", instructions="")
    answer = owner.post(edit_page(study), sent)
    assert answer.status_code == 422
    assert answer.context["form"]["asks_why"].value() is True


def test_a_codebook_has_no_such_tick(owner, expert_set):
    page = reverse("modeling:prompt_edit", args=[expert_set.study.slug, "nsfw"])
    assert "asks_why" not in owner.get(page).context["form"].fields


def test_the_page_of_a_version_tells_the_reason_as_a_change(owner, expert_set):
    study = expert_set.study
    design = get_design(get_prompt(study, "values"))
    save_prompt(study, replace(design, asks_why=True))
    page = text_of(owner.get(reverse("modeling:prompt", args=[study.slug, "values", 2])))
    assert "<del>not </del>asked for" in page


def test_structure_is_asked_for_shown_and_downloaded(owner, expert_set, run):
    assert "Compute the circles" in text_of(owner.get(address(expert_set, "structure")))
    assert owner.get(address(expert_set, "structure_table", "structure_fit")).status_code == 404
    owner.post(address(expert_set, "structure_make"))
    assert "waits for a worker" in text_of(owner.get(address(expert_set, "structure")))
    report_here(expert_set, STRUCTURE)
    page = text_of(owner.get(address(expert_set, "structure")))
    assert SAYS_STANDIN in page
    assert "People, posts that people rated: there are no ratings." in page
    assert 'id="figure-structure_places"' in page
    table = owner.get(address(expert_set, "structure_table", "structure_fit")).content.decode()
    assert "Experts, development posts" in table


def test_a_run_that_came_later_is_not_in_the_circles_yet(owner, planted):
    expert_set = planted[0]
    report_here(expert_set, STRUCTURE)
    later = make_planted_run(*planted)
    assert f"Not in these circles yet: run {later.pk} of" in text_of(
        owner.get(address(expert_set, "structure"))
    )


def test_structure_work_is_cancelled(owner, expert_set):
    owner.post(address(expert_set, "structure_make"))
    owner.post(address(expert_set, "structure_cancel"))
    assert Job.objects.get().state == Job.State.CANCELLED


def test_sets_of_other_studies_are_not_there(client, expert_set):
    other, _ = make_planted_set(10)
    log_in(client, other.study)
    slug = other.study.slug
    for name in ("errors", "structure"):
        assert client.get(reverse(f"modeling:{name}", args=[slug, expert_set.pk])).status_code == 404
