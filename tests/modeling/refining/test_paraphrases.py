"""Paraphrases: loaded whole or not at all, read by models, and met by nobody else."""

import csv
import io

import pytest
from django.core.management import call_command

from annotation.errors import Refused
from annotation.models import Post, Study
from calibration.services import replace_vcq
from jobs import services as jobs
from jobs.models import Job
from modeling.annotators.selecting import count_posts, first_posts, study_posts
from modeling.errors import ImportRefused
from modeling.experts.standing import list_usable_posts
from modeling.models import AnnotatorRun, ModelReading, Paraphrase, Report
from modeling.refining import stability
from modeling.refining.paraphrases import (
    import_paraphrases,
    list_variant_runs,
    prepare_variant_run,
    write_template,
)
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.reports.figures.render import Drawn
from modeling.simulated_raters import Cast
from tests.factories import StudyFactory
from tests.modeling.export.studies import export

from .planted_errors import make_planted_run, make_planted_set

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    def draw(figures):
        return [(figure, Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG")) for figure in figures]

    monkeypatch.setattr(stability, "draw_all", draw)


@pytest.fixture
def planted():
    return make_planted_set(n_posts=40)


def write(*rows, columns=("post", "text")):
    file = io.StringIO()
    csv.writer(file).writerows([columns, *rows])
    return io.BytesIO(file.getvalue().encode())


def development(expert_set):
    return list(expert_set.items.filter(split="development").order_by("post"))


def measure_here(expert_set, run):
    subject = name_subject(set=expert_set.pk, run=run.pk)
    job = jobs.run_here(request_report(expert_set.study, Report.Kind.STABILITY, subject))
    assert job.state == Job.State.DONE, job.error
    return get_report(expert_set.study, Report.Kind.STABILITY, subject).measures


def test_a_file_is_loaded_and_a_second_time_changes_nothing(planted):
    study = planted[0].study
    rows = [
        ("p20", "The same, said otherwise."),
        ("p20", "And once more."),
        ("p21", "Another."),
        ("p22", " "),
    ]
    counts = import_paraphrases(study, write(*rows))
    assert (counts.n_new, counts.n_posts, counts.n_known, counts.n_empty) == (3, 2, 0, 1)
    assert sorted(Paraphrase.objects.values_list("variant__key", flat=True)) == ["p20~p1", "p20~p2", "p21~p1"]
    assert set(Post.objects.filter(paraphrase_of__isnull=False).values_list("purpose", flat=True)) == {
        "paraphrase"
    }
    again = import_paraphrases(study, write(*rows, ("p21", "A third way.")))
    assert (again.n_new, again.n_known) == (1, 3)
    assert Paraphrase.objects.filter(original__key="p21", number=2).exists()


def test_context_is_kept_unless_the_file_gives_another(planted):
    study = planted[0].study
    Post.objects.filter(study=study, key="p20").update(context_kind="reply", context_text="What was asked")
    columns = ("post", "text", "context")
    import_paraphrases(study, write(("p20", "One", ""), ("p20", "Two", "Asked anew"), columns=columns))
    contexts = Paraphrase.objects.order_by("number").values_list("variant__context_text", flat=True)
    assert list(contexts) == ["What was asked", "Asked anew"]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([("nobody", "Text")], "no post 'nobody'"),
        ([("", "Text")], "the post is empty"),
        ([("p20", "Twice"), ("p20", "Twice")], "Line 4: line 3 has the same text"),
        ([("p20", "Post *number* 20 <b>speaks</b>.")], "the text of post 'p20' itself"),
        ([("p20", "x" * 20_001)], "longer than 20,000"),
        ([], "no row below"),
    ],
    ids=["unknown", "empty", "twice", "original", "long", "nothing"],
)
def test_a_fault_refuses_the_whole_file_and_names_its_line(planted, rows, fault):
    with pytest.raises(ImportRefused, match=fault.replace("*", r"\*")):
        import_paraphrases(planted[0].study, write(("p25", "A good one."), *rows) if rows else write())
    assert not Paraphrase.objects.exists()


def test_a_template_that_nobody_filled_in_is_refused(planted):
    with pytest.raises(ImportRefused, match="no paraphrase"):
        import_paraphrases(planted[0].study, io.BytesIO("".join(write_template(planted[0])).encode()))


def test_unknown_columns_and_paraphrases_of_paraphrases_are_refused(planted):
    study = planted[0].study
    with pytest.raises(ImportRefused, match="column 'texts' is not known"):
        import_paraphrases(study, write(("p20", "a", "b"), columns=("post", "text", "texts")))
    with pytest.raises(ImportRefused, match="no column 'post'"):
        import_paraphrases(study, write(("p20", "a"), columns=("key", "text")))
    import_paraphrases(study, write(("p20", "Otherwise.")))
    with pytest.raises(ImportRefused, match="of which a paraphrase can be made"):
        import_paraphrases(study, write(("p20~p1", "Yet otherwise.")))


def test_the_template_holds_development_posts_alone_and_can_be_loaded_back(planted):
    expert_set, _ = planted
    rows = list(csv.DictReader(io.StringIO("".join(write_template(expert_set)))))
    assert {row["post"] for row in rows} == {item.post.key for item in development(expert_set)}
    rows[0]["text"] = "Filled in."
    counts = import_paraphrases(
        expert_set.study, write(*(tuple(row.values()) for row in rows), columns=tuple(rows[0]))
    )
    assert (counts.n_new, counts.n_empty) == (1, len(rows) - 1)


def test_raters_experts_and_other_runs_never_meet_a_paraphrase(planted):
    expert_set, truth = planted
    study = expert_set.study
    run = make_planted_run(expert_set, truth)
    n_before = study.posts.filter(purpose=Post.Purpose.LABELING).count()
    import_paraphrases(study, write(("p20", "Otherwise.")))
    variant = Paraphrase.objects.get().variant
    assert study.posts.filter(purpose=Post.Purpose.LABELING).count() == n_before
    assert variant not in list_usable_posts(study.posts.all(), with_corpus=True)
    assert variant.pk not in first_posts(study, 1000)["ids"]
    run.selection = study_posts(study)
    assert count_posts(run) == n_before


def test_exports_of_posts_and_simulated_raters_leave_posts_for_models_only_out(planted):
    study = planted[0].study
    import_paraphrases(study, write(("p20", "Otherwise.")))
    Post.objects.create(study=study, key="corpus", text="Read by models.", purpose=Post.Purpose.CORPUS)
    exported = {row["post_id"] for row in export(study).csv("posts")}
    assert exported == set(study.posts.filter(purpose="labeling").values_list("key", flat=True))
    assert not {"Otherwise.", "Read by models."} & set(Cast(study, rehearses=True).profiles)


def test_a_questionnaire_never_asks_about_a_paraphrase_that_is_there_already(planted):
    study = planted[0].study
    study.state = Study.State.DRAFT
    study.save()
    import_paraphrases(study, write(("p20", "Otherwise.")))
    source = StudyFactory(posts=0, questions=0, steps=(), value_system=study.value_system)
    Post.objects.create(study=source, key="asked", text="Otherwise.")
    assert replace_vcq(study, source, [("asked", study.value_keys[0])], origin="by hand") == 1
    assert study.calibration_questions.get().post.purpose == Post.Purpose.CALIBRATION


def test_stability_is_measured_over_samples_and_over_paraphrases_that_the_same_model_read(planted):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth, rate=0.0)
    run.annotator.samples, n_values = 2, truth.shape[1]
    run.annotator.save()
    posts = [item.post for item in development(expert_set)]
    for post in posts:
        ratings = ModelReading.objects.get(run=run, post=post, sample=0).ratings
        flipped = tuple(0.0 if rating else 4.0 for rating in ratings)
        ModelReading.objects.create(run=run, post=post, sample=1, ratings=flipped)
    import_paraphrases(expert_set.study, write(*((post.key, f"Anew: {post.key}") for post in posts)))
    made = prepare_variant_run(expert_set, run)
    assert made.estimate["n_posts"] == len(posts)
    AnnotatorRun.objects.filter(pk=made.pk).update(state=AnnotatorRun.State.DONE)
    for pair in Paraphrase.objects.all():
        same = ModelReading.objects.get(run=run, post=pair.original, sample=0).ratings
        ModelReading.objects.create(run=made, post=pair.variant, ratings=same)
    assert list(list_variant_runs(expert_set, run)) == [made]
    found = measure_here(expert_set, run)
    assert found["repeats"]["flips"]["estimate"] == 1
    assert found["repeats"]["n_runs"] == 2
    assert (found["wordings"]["flips"]["estimate"], found["wordings"]["n_variants"]) == (0, len(posts))
    assert found["wordings"]["is_above_noise"] is False
    assert found["variant_runs"] == [made.pk]
    assert len(found["repeats"]["by_value"]) == n_values


def test_without_a_paraphrase_there_is_nothing_to_read(planted):
    expert_set, truth = planted
    with pytest.raises(Refused, match="has a paraphrase"):
        prepare_variant_run(expert_set, make_planted_run(expert_set, truth))


def test_one_sample_is_measured_and_said_to_tell_nothing(planted):
    expert_set, truth = planted
    found = measure_here(expert_set, make_planted_run(expert_set, truth))
    assert found["repeats"]["flips"]["estimate"] is None
    assert found["repeats"]["reason"]
    assert found["wordings"]["reason"]


def test_the_command_loads_writes_and_measures(planted, tmp_path, capsys):
    expert_set, truth = planted
    run = make_planted_run(expert_set, truth)
    slug, file = expert_set.study.slug, tmp_path / "paraphrases.csv"
    call_command("paraphrases", slug, "template", str(expert_set.pk), "--out", str(file))
    assert len(file.read_text().splitlines()) == 1 + len(development(expert_set))
    loaded = tmp_path / "filled.csv"
    loaded.write_bytes(write(("p20", "Otherwise.")).getvalue())
    call_command("paraphrases", slug, "import", str(loaded))
    assert "1 paraphrases added" in capsys.readouterr().out
    call_command("paraphrases", slug, "measure", str(expert_set.pk), "--run", str(run.pk))
    assert "No spread" in capsys.readouterr().out
