"""What was exported and loaded back gives the same measures to the last digit."""

import zipfile

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Enrollment, Exclusion, Post, Study
from calibration.models import CalibrationAnswer
from modeling.matrices import load_table
from tests.factories import AnnotationFactory
from tests.modeling.export.studies import HOSTILE, enroll
from tests.modeling.rated import fit_here, make_rated_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    """Twelve posts with hostile texts and keys that sort otherwise than they stand, and who is not included."""
    study = make_rated_study(n_raters=10, n_posts=14)
    for number, post in enumerate(study.posts.order_by("pk")):
        post.text = f"{HOSTILE[number % len(HOSTILE)]} {post.text}"
        post.key = f"{'=-z'[number % 3]}{100 - number}"
        post.metadata = {"number": number, "source": ["=1", None]}
        if number % 4 == 1:
            post.context_kind, post.context_text = "reply", f"@{post.text}"
        post.save()
    for answer in CalibrationAnswer.objects.all():
        answer.rating = abs(answer.rating) % 7
        answer.save()
    first = study.enrollments.order_by("pk").first()
    Exclusion.objects.create(enrollment=first, reason="did not read")
    pilot = enroll(study, "pilot", phase=Enrollment.Phase.PILOT)
    unfinished = enroll(study, "unfinished", outcome="")
    for enrollment in (pilot, unfinished):
        AnnotationFactory(enrollment=enrollment, post=study.posts.first())
    Post.objects.create(study=study, key="unrated", text="Nobody rated this.")
    return study


@pytest.fixture
def archive(study, tmp_path):
    path = tmp_path / "study.zip"
    call_command("export_study", study.slug, out=path)
    return path


def load(archive, slug="copy", **options):
    call_command("load_study", slug, export=archive, **options)
    return Study.objects.get(slug=slug)


def measures_of(study):
    measures = fit_here(study).report.measures
    assert measures.pop("data_hash")
    of_the_study_alone = ("study", "n_excluded", "seconds")
    return {name: measure for name, measure in measures.items() if name not in of_the_study_alone}


def test_a_loaded_export_is_the_very_same_data(study, archive):
    copy = load(archive)
    ours, theirs = load_table(study), load_table(copy)
    assert len(ours.enrollment_ids) == 9
    assert theirs.post_keys == ours.post_keys and theirs.texts == ours.texts
    assert theirs.data_hash == ours.data_hash


def test_a_loaded_export_gives_the_same_measures_to_the_last_digit(study, archive):
    ours, theirs = measures_of(study), measures_of(load(archive))
    assert ours["human_human"]["rho"] is not None and ours["personalized"]["rho"] is not None
    assert theirs == ours


def test_what_is_known_of_posts_comes_back_as_it_was(study, archive):
    copy = load(archive)

    def describe(of):
        return list(
            Post.objects.filter(study=of)
            .order_by("pk")
            .values_list("key", "purpose", "text", "context_kind", "context_text", "metadata")
        )

    assert describe(copy) == describe(study)
    assert copy.name == study.name
    names = [
        leaf.values_list("key", "name")
        for leaf in (s.value_system.nodes.filter(is_leaf=True).order_by("position") for s in (copy, study))
    ]
    assert list(names[0]) == list(names[1])


def test_loading_the_same_export_again_changes_nothing(study, archive):
    copy = load(archive)
    assert load(archive).pk == copy.pk


def test_an_export_of_a_loaded_export_loads_as_the_same_data(study, archive, tmp_path):
    copy = load(archive)
    call_command("export_study", copy.slug, out=tmp_path / "again.zip")
    again = load(tmp_path / "again.zip", "again")
    assert load_table(again).data_hash == load_table(study).data_hash


def test_a_question_that_not_everyone_or_nobody_answered_keeps_its_place(study, tmp_path):
    first, second, *_ = study.calibration_questions.order_by("position")
    first.answers.all().delete()
    second.answers.filter(enrollment__in=study.enrollments.order_by("pk")[:5]).delete()
    call_command("export_study", study.slug, out=tmp_path / "gaps.zip")
    copy = load(tmp_path / "gaps.zip")
    assert load_table(copy).data_hash == load_table(study).data_hash


def test_answers_about_a_post_that_was_rated_too_are_left_out_so_that_it_loads(study, tmp_path):
    question = study.calibration_questions.order_by("position").first()
    study.calibration_questions.update(post=study.posts.order_by("pk").first())
    call_command("export_study", study.slug, out=tmp_path / "both.zip")
    copy = load(tmp_path / "both.zip")
    assert question.answers.exists() and not copy.calibration_questions.exists()
    ours, theirs = load_table(study), load_table(copy)
    assert (ours.ratings == theirs.ratings).all()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, "Give --ratings and --scale"),
        ({"scale": [0, 6]}, "Give --ratings and --scale"),
        ({"export": "x.zip", "scale": [0, 6]}, "--export holds everything"),
    ],
)
def test_files_and_an_export_do_not_go_together(options, reason):
    with pytest.raises(CommandError, match=reason):
        call_command("load_study", "copy", **options)


def change(archive, name, old, new):
    """Write the archive anew with one of its files changed."""
    with zipfile.ZipFile(archive) as opened:
        files = {info: opened.read(info) for info in opened.infolist()}
    with zipfile.ZipFile(archive, "w") as written:
        for info, content in files.items():
            if info.filename.endswith(name):
                assert old in content
                content = content.replace(old, new)
            written.writestr(info, content)


@pytest.mark.parametrize(
    ("name", "old", "new", "reason"),
    [
        ("load.json", b"parallax-ratings-1", b"parallax-ratings-9", "another version"),
        ("load.json", b'"raters"', b'"people"', "damaged or was changed"),
        ("load.json", b'"unrated"', b'"other"', "damaged or was changed"),
        ("load.json", b"{", b"", "damaged or was changed"),
        ("for_load_study/ratings.csv", b",3\n", b",9\n", "outside the scale"),
        ("for_load_study/posts.csv", b'"{""number""', b'"[""number""', "damaged or was changed"),
    ],
)
def test_an_archive_that_was_changed_is_refused_and_nothing_is_stored(study, archive, name, old, new, reason):
    change(archive, name, old, new)
    with pytest.raises(CommandError, match=reason):
        load(archive)
    assert not Study.objects.filter(slug="copy").exists()


def test_what_is_no_export_is_refused(tmp_path):
    path = tmp_path / "other.zip"
    with pytest.raises(CommandError, match="cannot be read"):
        load(path)
    path.write_bytes(b"no zip")
    with pytest.raises(CommandError, match="damaged"):
        load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/README.md", "x")
    with pytest.raises(CommandError, match="is no export"):
        load(path)
