"""Prompt calibration and stability: what is stored is shown, models are set to read, experts stay blind."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from jobs import services as jobs
from jobs.models import Job
from modeling.annotators.configs import create_annotator
from modeling.annotators.prompts import get_prompt
from modeling.experts.services import close_set, open_test
from modeling.models import AnnotatorModel, AnnotatorRun, ExpertLabel, Paraphrase, Report
from modeling.refining import scoring, stability
from modeling.reporting.subjects import name_subject, request_report
from modeling.reports.figures.render import Drawn
from tests.modeling.annotators.ground import ask_standin
from tests.modeling.refining.planted_errors import make_planted_run, make_planted_set
from tests.modeling.refining.stored import store_stability

pytestmark = pytest.mark.django_db
SAYS_STANDIN = "Stand-in: not from a real model."


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    for module in (scoring, stability):
        monkeypatch.setattr(module, "draw_all", draw)


@pytest.fixture
def planted(admin_client):
    return make_planted_set(n_posts=60)


@pytest.fixture
def expert_set(planted):
    return planted[0]


@pytest.fixture
def runs(planted):
    expert_set, truth = planted
    return [
        make_planted_run(expert_set, truth, version=version, rate=rate)
        for version, rate in ((1, 0.9), (2, 0.3), (3, 0.0))
    ]


def address(name, expert_set, *more):
    return reverse(f"modeling:{name}", args=[expert_set.study.slug, expert_set.pk, *more])


def report_here(expert_set, kind=Report.Kind.CALIBRATION, **more):
    job = jobs.run_here(request_report(expert_set.study, kind, name_subject(set=expert_set.pk, **more)))
    assert job.state == Job.State.DONE, job.error


def read(client, url, status=200):
    response = client.get(url)
    assert response.status_code == status
    return response.content.decode()


def test_before_the_first_run_the_page_says_what_to_do(admin_client, expert_set):
    page = read(admin_client, address("calibration", expert_set))
    assert "No finished run" in page
    assert address("calibration_run", expert_set) in page
    assert address("calibration_measure", expert_set) not in page
    admin_client.post(address("calibration_measure", expert_set))
    assert not Job.objects.filter(kind="report_calibration").exists()


def test_the_history_says_what_each_version_gained_and_links_to_what_changed(admin_client, expert_set, runs):
    admin_client.post(address("calibration_measure", expert_set))
    jobs.run_here(Job.objects.get(kind="report_calibration"))
    page = read(admin_client, address("calibration", expert_set))
    report = Report.objects.get()
    for entry in report.measures["runs"]:
        assert f"{entry['f1']['estimate']:.2f}" in page
        assert f"main, version {entry['version']}, by Reader (small), run {entry['run']}" in page
    assert f"?a={runs[0].pk}&amp;b={runs[1].pk}" in page
    assert "A value counts as expressed from 3 on the scale from 0 to 6." in page
    assert "Since this was measured" not in page
    assert SAYS_STANDIN not in page


def test_the_page_says_what_is_new_since(admin_client, planted, runs):
    expert_set, truth = planted
    report_here(expert_set)
    make_planted_run(expert_set, truth, version=4)
    page = read(admin_client, address("calibration", expert_set))
    assert "Since this was measured there is: 1 run that is not in it." in page


def test_a_stand_in_is_marked(admin_client, planted):
    expert_set, truth = planted
    make_planted_run(expert_set, truth, is_standin=True)
    report_here(expert_set)
    assert f'<p class="warning"><strong>{SAYS_STANDIN}</strong>' in read(
        admin_client, address("calibration", expert_set)
    )
    table = read(admin_client, address("calibration_table", expert_set, "calibration_history"))
    assert "(stand-in)" in table


def test_tables_can_be_downloaded(admin_client, expert_set, runs):
    url = address("calibration_table", expert_set, "calibration_values")
    read(admin_client, url, 404)
    report_here(expert_set)
    assert len(read(admin_client, url).splitlines()) == 1 + 3 * 19
    read(admin_client, address("calibration_table", expert_set, "nothing"), 404)


def test_two_versions_stand_side_by_side_with_the_posts_that_changed(admin_client, expert_set, runs):
    report_here(expert_set)
    page = read(admin_client, f"{address('calibration_compare', expert_set)}?a={runs[1].pk}&b={runs[2].pk}")
    assert "<ins>3" in page
    pair = Report.objects.get().measures["runs"][2]["before"]
    assert f"{pair['n_changed']} of {pair['n_posts']} posts are read differently" in page
    assert "Because of the words of post" in page
    assert "&lt;b&gt;speaks&lt;/b&gt;" in page


def test_any_other_pair_is_computed_on_request(admin_client, expert_set, runs):
    report_here(expert_set)
    query = f"?a={runs[1].pk}&b={runs[0].pk}"
    assert "has not been computed" in read(admin_client, address("calibration_compare", expert_set) + query)
    sent = {"a": runs[1].pk, "b": runs[0].pk}
    response = admin_client.post(address("calibration_pair", expert_set), sent)
    assert response.url == address("calibration_compare", expert_set) + query
    jobs.run_here(Job.objects.filter(kind="report_calibration").latest("pk"))
    assert "Macro F1 fell by" in read(admin_client, response.url)
    for wrong in ({}, {"a": runs[0].pk, "b": runs[0].pk}, {"a": "x", "b": runs[0].pk}):
        response = admin_client.post(address("calibration_pair", expert_set), wrong)
        assert response.url == address("calibration_compare", expert_set)
    stranger = {"a": 10**8, "b": runs[0].pk}
    assert admin_client.post(address("calibration_pair", expert_set), stranger).status_code == 404


def test_who_labels_an_open_set_sees_no_post_of_it_until_it_is_closed(
    admin_client, admin_user, planted, runs
):
    expert_set, truth = planted
    report_here(expert_set)
    item = expert_set.items.filter(split="development").first()
    ExpertLabel.objects.create(item=item, expert=admin_user.get_username(), ratings=(0.0,) * truth.shape[1])
    url = f"{address('calibration_compare', expert_set)}?a={runs[0].pk}&b={runs[1].pk}"
    page = read(admin_client, url)
    assert "You label this set" in page
    assert "speaks" not in page
    close_set(expert_set)
    assert "speaks" in read(admin_client, url)


def test_models_are_set_to_read_after_their_cost_was_shown(admin_client, expert_set):
    with ask_standin():
        prompt = get_prompt(expert_set.study, "values")
        template = create_annotator(
            expert_set.study,
            name="Small",
            kind=AnnotatorModel.Kind.ZERO_SHOT,
            prompt=prompt,
            provider="standin",
            model_name="small",
        )
        url = address("calibration_run", expert_set)
        refused = admin_client.post(url, {"samples": "3", "budget": "0", "models": template.pk})
        assert refused.status_code == 422
        page = refused.content.decode()
        assert "Tick at least one version" in page
        assert "A budget is above 0" in page
        assert 'name="samples" value="3"' in page
        sent = {"prompts": prompt.pk, "models": template.pk}
        refused = admin_client.post(url, sent | {"samples": "3"})
        assert "At temperature 0 every run per post says the same" in refused.content.decode()
        assert not AnnotatorRun.objects.exists()
        response = admin_client.post(url, sent | {"budget": "2.5"})
        run = AnnotatorRun.objects.get()
        assert response.url == f"{address('calibration_start', expert_set)}?runs={run.pk}"
        page = read(admin_client, response.url)
        assert "$2.50" in page
        assert SAYS_STANDIN in page
        assert run.state == AnnotatorRun.State.READY
        admin_client.post(address("calibration_start", expert_set), {"runs": str(run.pk)})
        run.refresh_from_db()
        assert run.state == AnnotatorRun.State.RUNNING
        assert f"run {run.pk}</a>" in read(admin_client, address("calibration", expert_set))


def test_runs_that_are_ready_can_be_discarded(admin_client, planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth, state=AnnotatorRun.State.READY)
    admin_client.post(address("calibration_start", expert_set), {"runs": f"{run.pk}", "discard": "1"})
    assert not AnnotatorRun.objects.exists()
    read(admin_client, f"{address('calibration_start', expert_set)}?runs={run.pk}", 404)
    assert admin_client.get(f"{address('calibration_start', expert_set)}?runs=x").url == address(
        "calibration", expert_set
    )


def test_opened_test_posts_have_a_page_of_their_own(admin_client, expert_set, runs):
    close_set(expert_set)
    opening = open_test(expert_set, "prompt: main", runs[2:], reason="It stays so.")
    url = address("calibration_test", expert_set, opening.pk)
    assert "have not been measured" in read(admin_client, url)
    response = admin_client.post(address("calibration_measure", expert_set), {"test": opening.pk})
    assert response.url == url
    jobs.run_here(Job.objects.get(kind="report_calibration"))
    page = read(admin_client, url)
    assert "It stays so." in page
    assert "15 of 15 test posts" in page
    assert "speaks" not in page
    assert "prompt: main</a>, opened" in read(admin_client, address("calibration", expert_set))


def test_a_request_can_be_cancelled(admin_client, expert_set, runs):
    admin_client.post(address("calibration_measure", expert_set))
    assert "It waits for a worker" in read(admin_client, address("calibration", expert_set))
    admin_client.post(address("calibration_cancel", expert_set))
    assert Job.objects.get(kind="report_calibration").state == Job.State.CANCELLED


def test_stability_is_asked_for_and_shown(admin_client, expert_set, runs):
    page = read(admin_client, address("stability", expert_set))
    assert f"Measure run {runs[2].pk}" in page
    response = admin_client.post(address("stability_measure", expert_set), {"run": runs[0].pk})
    assert response.url == f"{address('stability', expert_set)}?run={runs[0].pk}"
    jobs.run_here(Job.objects.get(kind="report_stability"))
    page = read(admin_client, response.url)
    assert "There is no spread to tell" in page
    assert "more runs per post" in page
    assert "Nothing can be told of other words" in page
    read(admin_client, address("stability_table", expert_set, runs[0].pk, "stability_repeats"), 404)
    read(admin_client, f"{address('stability', expert_set)}?run=abc", 404)


def test_paraphrases_are_loaded_read_and_refused_with_their_faults(admin_client, expert_set, runs):
    url = address("stability_load", expert_set)
    bad = SimpleUploadedFile("p.csv", b"post,text\nnobody,Otherwise.\n")
    response = admin_client.post(url, {"file": bad})
    assert response.status_code == 422
    assert "Line 2: the study has no post" in response.content.decode()
    assert admin_client.post(url, {}).status_code == 422
    assert b"original_context" in b"".join(admin_client.get(address("stability_template", expert_set)))
    read_it = {"run": runs[0].pk}
    assert admin_client.post(address("stability_read", expert_set), read_it).url.endswith(
        f"?run={runs[0].pk}"
    )
    good = SimpleUploadedFile("p.csv", b"post,text\np50,Otherwise.\n")
    assert admin_client.post(url, {"file": good}).url == address("stability", expert_set)
    assert Paraphrase.objects.count() == 1
    assert "1 paraphrase of 1 development post." in read(admin_client, address("stability", expert_set))
    made = admin_client.post(address("stability_read", expert_set), read_it)
    run = AnnotatorRun.objects.get(state=AnnotatorRun.State.READY)
    assert made.url == f"{address('calibration_start', expert_set)}?runs={run.pk}&back=stability"
    assert read(admin_client, made.url)


def test_sets_of_other_studies_are_not_found(admin_client, expert_set, runs):
    other = make_planted_set(n_posts=8)[0]
    for name in ("calibration", "stability", "calibration_run", "calibration_compare"):
        read(admin_client, reverse(f"modeling:{name}", args=[other.study.slug, expert_set.pk]), 404)
    start = reverse("modeling:calibration_start", args=[other.study.slug, other.pk])
    read(admin_client, f"{start}?runs={runs[0].pk}", 404)


def test_another_family_is_named_where_a_version_is_worded(admin_client, expert_set):
    study = expert_set.study
    assert get_prompt(study, "values").family == "main"
    url = reverse("modeling:prompt_edit", args=[study.slug, "values"])

    def word(**changes):
        form = admin_client.get(url).context["form"]
        return admin_client.post(url, {name: form[name].value() or "" for name in form.fields} | changes)

    assert word(closing="Shorter.", family="short").status_code == 302
    assert word(closing="Shorter still.", family="").status_code == 302
    assert [prompt.family for prompt in study.prompt_versions.filter(purpose="values")] == [
        "short",
        "short",
        "main",
    ]
    assert word(family="x" * 61).status_code == 422
    codebook = reverse("modeling:prompt_edit", args=[study.slug, "nsfw"])
    assert "family" not in admin_client.get(codebook).context["form"].fields


def test_stored_stability_is_shown_with_its_tables(admin_client, expert_set, runs):
    store_stability(expert_set, runs[0])
    page = read(admin_client, f"{address('stability', expert_set)}?run={runs[0].pk}")
    assert "Two samples differ" in page
    assert "Changes with the wording" in page
    table = address("stability_table", expert_set, runs[0].pk, "stability_wordings")
    assert len(read(admin_client, table).splitlines()) == 4


def test_nothing_asked_for_is_answered_in_words(admin_client, expert_set, runs):
    for name, back in (
        ("stability_measure", "stability"),
        ("stability_read", "stability"),
        ("stability_cancel", "stability"),
        ("calibration_start", "calibration"),
        ("calibration_pair_cancel", "calibration_compare"),
    ):
        assert admin_client.post(address(name, expert_set)).url == address(back, expert_set)
    assert "have not been measured yet" in read(admin_client, address("calibration_compare", expert_set))
