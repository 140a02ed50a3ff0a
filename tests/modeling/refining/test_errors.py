"""Error reports from stored rows: what is planted is found, test posts stay closed, the next prompt is drafted."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.errors import Refused
from jobs import services as jobs
from jobs.models import Job
from modeling.annotators.prompts import get_design, read_prompt
from modeling.models import AnnotatorRun, ExpertItem, ExpertLabel, ModelReading, Report
from modeling.prompts.design import MAX_CHARACTERS, PromptDesign
from modeling.refining import error_handlers
from modeling.refining.errors import compute_errors
from modeling.refining.notes import (
    draft_guidance,
    draft_wording,
    find_run_before,
    get_error_report,
    load_example_posts,
    write_note,
)
from modeling.reporting.subjects import name_subject, request_report
from modeling.reports.figures.render import Drawn
from modeling.reports.misattribution_tables import NOTHING, list_recurrent

from .planted_errors import GIVEN, OVERSEEN, SEEN, make_planted_run, make_planted_set, make_reading_run

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Figures are drawn by a moment's work; the room of reports tests the drawing."""

    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    monkeypatch.setattr(error_handlers, "draw_all", draw)


@pytest.fixture
def planted():
    return make_planted_set()


def look(expert_set, run):
    return compute_errors(expert_set, run, lambda done, total, note: None)


def report_here(expert_set, run):
    job = jobs.run_here(
        request_report(expert_set.study, Report.Kind.ERRORS, name_subject(set=expert_set.pk, run=run.pk))
    )
    assert job.state == Job.State.DONE, job.error
    return get_error_report(expert_set, run.pk)


def recurrent(measures):
    return {(pair["given"], pair["instead_of"]) for pair in list_recurrent(measures)}


def test_the_planted_misattributions_are_found_and_no_other(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth, overseen=0.6)
    measures = look(expert_set, run)
    assert recurrent(measures) == {(GIVEN, SEEN), (OVERSEEN, NOTHING)}
    assert measures["n_posts"] == measures["n_development"] == 180


def test_a_model_without_a_planted_fault_has_none(planted):
    expert_set, truth = planted
    measures = look(expert_set, make_planted_run(expert_set, truth, rate=0.0))
    assert recurrent(measures) == set()
    assert measures["n_tests"] > 0


def test_test_posts_change_nothing(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    before = look(expert_set, run)
    closed = ExpertItem.objects.filter(expert_set=expert_set, split="test")
    ModelReading.objects.filter(run=run, post__in=closed.values("post")).update(ratings=(6.0,) * 19)
    ExpertLabel.objects.filter(item__in=closed).update(ratings=(6.0,) * 19)
    assert look(expert_set, run) == before
    shown = {example["post"] for pair in before["pairs"] for example in pair["examples"]}
    assert shown
    assert not shown & set(closed.values_list("post", flat=True))


def test_posts_that_the_model_was_taught_are_left_out_and_counted(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    taught = list(expert_set.items.filter(split="development").values_list("post", flat=True)[:30])
    run.annotator.trained_on = taught
    run.annotator.save()
    measures = look(expert_set, run)
    assert (measures["n_taught"], measures["n_posts"]) == (30, 150)


def test_failed_readings_and_gaps_of_the_reference_are_stated(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    items = list(expert_set.items.filter(split="development")[:3])
    ModelReading.objects.filter(run=run, post=items[0].post).update(ratings=None, fault="refused")
    ExpertLabel.objects.filter(item__in=items[1:2]).delete()
    measures = look(expert_set, run)
    assert (measures["n_unread"], measures["n_failed"], measures["n_without_reference"]) == (1, 1, 1)
    assert measures["n_posts"] == 178


def test_too_few_posts_are_said_to_be_too_few():
    expert_set, truth = make_planted_set(12, test_share=0.0)
    measures = look(expert_set, make_planted_run(expert_set, truth))
    assert measures["pairs"] == []
    assert "10 posts" in measures["reason"]


def test_a_run_that_cannot_be_measured_is_refused(planted):
    expert_set, _ = planted
    unread = make_reading_run(expert_set)
    with pytest.raises(Refused, match="cannot be held against"):
        look(expert_set, unread)


def test_the_job_stores_the_report_with_its_figures(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth, is_standin=True)
    report = report_here(expert_set, run)
    assert report.rule_key == f"set-{expert_set.pk}-run-{run.pk}"
    assert set(report.figures.values_list("key", flat=True)) == {"misattributions", "confusions"}
    spec = report.figures.get(key="confusions").spec
    assert spec["title"]["subtitle"] == "Stand-in: not from a real model"
    assert "*number*" not in str(report.measures), "texts of posts stay in their table"


def test_a_run_that_is_gone_fails_with_the_reason(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    job = request_report(
        expert_set.study, Report.Kind.ERRORS, name_subject(set=expert_set.pk, run=run.pk + 99)
    )
    job = jobs.run_here(job)
    assert job.state == Job.State.FAILED
    assert "no run" in job.error


def test_examples_have_everybodys_ratings_and_the_models_reason(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    (pair,) = list_recurrent(look(expert_set, run))
    assert len(pair["examples"]) == 5
    example = pair["examples"][0]
    assert [each["expert"] for each in example["experts"]] == ["ann", "ben"]
    assert example["reference"][SEEN] == 5
    assert example["reference"][GIVEN] == 0
    assert example["model"][GIVEN] == 4
    assert example["why"] == f"Because of the words of post {example['post']}."


def write(expert_set, run, before=None):
    measures = look(expert_set, run)
    posts = load_example_posts(expert_set.study, measures)
    return write_note(measures, get_design(run.annotator.prompt), posts, before)


def test_the_note_names_prompt_model_pair_rate_and_chance_and_quotes_posts_harmlessly(planted):
    expert_set, truth = planted
    note = write(expert_set, make_planted_run(expert_set, truth))
    assert "prompt version 1" in note
    assert "(small)" in note
    assert "### Caring where experts see Dependability" in note
    assert "corrected for all pairs" in note
    assert "Where experts see neither" in note
    assert r"> Post \*number\* " in note
    assert "<b>" not in note
    assert "Guidance for the next version: Caring is not Dependability." in note
    assert (
        "ann" not in note.split("## Recurrent")[1].split("## On the circle")[0].split("Guidance")[0].split()
    )


@pytest.mark.parametrize(
    ("asks_why", "says"),
    [(True, "the model gave no reason"), (False, "this prompt asks for no reason")],
)
def test_the_note_says_why_there_is_no_reason(planted, asks_why, says):
    expert_set, truth = planted
    assert says in write(expert_set, make_planted_run(expert_set, truth, asks_why=asks_why, whys=False))


def test_the_note_of_a_stand_in_says_so(planted):
    expert_set, truth = planted
    assert "**Stand-in: not from a real model.**" in write(
        expert_set, make_planted_run(expert_set, truth, is_standin=True)
    )


def test_a_post_that_is_gone_is_told_and_not_invented(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    measures = look(expert_set, run)
    assert "no longer there" in write_note(measures, get_design(run.annotator.prompt), {})


def test_a_repaired_prompt_has_lost_its_error(planted):
    expert_set, truth = planted
    first = make_planted_run(expert_set, truth, overseen=0.6)
    second = make_planted_run(expert_set, truth, version=2, rate=0.0, overseen=0.6)
    assert find_run_before(expert_set, second) == first
    assert find_run_before(expert_set, first) is None
    note = write(expert_set, second, look(expert_set, first))
    assert "Not told from chance any more: Caring where experts see Dependability" in note
    assert "Still there: Achievement where experts see none of the values" in note


def test_another_model_is_no_version_before(planted):
    expert_set, truth = planted
    first = make_planted_run(expert_set, truth)
    first.annotator.model_name = "large"
    first.annotator.save()
    assert find_run_before(expert_set, make_planted_run(expert_set, truth, version=2)) is None


def test_guidance_uses_both_definitions_and_no_post(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth, overseen=0.6)
    design = get_design(run.annotator.prompt)
    drafted = {
        pair["instead_of"]: draft_guidance(pair, design) for pair in list_recurrent(look(expert_set, run))
    }
    for key in (GIVEN, SEEN):
        definition = next(each.definition for each in design.concepts if each.key == key)
        assert definition.split(" Signs:")[0] in drafted[SEEN]
    assert "Signs:" not in drafted[SEEN]
    assert "Achievement is 0" in drafted[NOTHING]
    assert "number" not in drafted[SEEN]


def test_the_next_version_begins_with_the_guidance_once(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    report_here(expert_set, run)
    study = expert_set.study
    newest = read_prompt(study, "values")
    wording = draft_wording(study, newest, expert_set.pk, run.pk)
    assert wording.closing.startswith(newest.content["closing"])
    assert "Caring is not Dependability." in wording.closing
    assert wording.note == f"Answers the errors of run {run.pk}."
    newest.content = newest.content | {"closing": wording.closing}
    again = draft_wording(study, newest, expert_set.pk, run.pk)
    assert (again.closing, again.n_sentences) == (wording.closing, 0)


def test_guidance_without_room_is_counted(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    report_here(expert_set, run)
    newest = read_prompt(expert_set.study, "values")
    newest.content = newest.content | {"closing": "x" * MAX_CHARACTERS}
    wording = draft_wording(expert_set.study, newest, expert_set.pk, run.pk)
    assert (wording.n_sentences, wording.n_left_out) == (0, 1)
    assert PromptDesign.from_dict(newest.content | {"closing": wording.closing})


def test_no_report_no_wording(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    newest = read_prompt(expert_set.study, "values")
    assert draft_wording(expert_set.study, newest, expert_set.pk, run.pk) is None


def test_the_command_tells_the_errors_and_writes_the_note(planted, tmp_path, capsys):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth, is_standin=True, finished_at=timezone.now())
    slug, note = expert_set.study.slug, tmp_path / "note.md"
    call_command("errors", slug, str(expert_set.pk), "--run", str(run.pk), "--note", str(note))
    told = capsys.readouterr().out
    assert "Stand-in: not from a real model." in told
    assert "expressed from a rating of 3 on" in told
    assert "Caring where experts see Dependability" in told
    assert note.read_text().startswith(f"# Codebook note: errors of run {run.pk}")


def test_ctrl_c_leaves_no_job_behind_and_no_report(planted, monkeypatch):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    monkeypatch.setattr(error_handlers.errors, "compute_errors", _interrupt)
    with pytest.raises(CommandError, match="the same command begins anew"):
        call_command("errors", expert_set.study.slug, str(expert_set.pk), "--run", str(run.pk))
    assert Job.objects.get().state == "cancelled"
    assert not Report.objects.exists()


def _interrupt(*arguments, **options):
    raise KeyboardInterrupt


@pytest.mark.parametrize("fault", ["set", "run", "folder"])
def test_the_command_says_what_is_not_there(planted, tmp_path, fault):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    pk = expert_set.pk + 99 * (fault == "set")
    run_pk = run.pk + 99 * (fault == "run")
    note = tmp_path / "none" / "note.md" if fault == "folder" else tmp_path / "note.md"
    with pytest.raises(
        CommandError, match={"set": "has no expert set", "run": "cannot be held"}.get(fault, "no folder")
    ):
        call_command("errors", expert_set.study.slug, str(pk), "--run", str(run_pk), "--note", str(note))
    assert not Report.objects.exists()
    assert AnnotatorRun.objects.count() == 1
