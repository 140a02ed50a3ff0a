"""`load_study`: what is stored, that nothing is stored halfway, that it can be repeated."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command

from annotation.models import Annotation, Enrollment, Outcome, Post, Rater, Study, ValueSystem
from annotation.selectors import get_tree
from annotation.services import save_value_system
from annotation.tree.nodes import Scale, ValueTree
from annotation.tree.walk import CHOSEN, NOT_SHOWN
from calibration.models import CalibrationAnswer, CalibrationQuestion, Questionnaire
from jobs.services import enqueue
from modeling.artefacts import save_arrays
from modeling.imports import read_study
from modeling.loading import BATCH, load_study
from modeling.matrices import load_table
from modeling.models import FitRun, ImportRecord

pytestmark = pytest.mark.django_db

HEADER = "rater_id,post_id,value,rating\n"
RATINGS = HEADER + "r2,p1,Joy!,3\nr1,p2,fear,1\nr1,p1,Joy!,5\nr1,p1,fear,2\n"
CHANGED = RATINGS.replace("r2,p1,Joy!,3", "r2,p1,Joy!,4")
POSTS = "post_id,text,context_kind,context_text,likes\np1,One,reply,Asked,7\np2,Two,,,0\nc1,Three,,,1\n"
CALIBRATION = HEADER + "r1,c1,Joy!,4\nr1,c1,fear,2\nr2,c1,Joy!,1\n"
RATERS = "rater_id,Home town,age\nr1,Oslo,\nr2,Rome,44\nr9,Bonn,20\n"
MODELS = (Study, ValueSystem, Post, Rater, Enrollment, Annotation, Questionnaire, ImportRecord)


def load(folder: Path, *options: str, slug: str = "moods", **files: str) -> str:
    """Run the command on files of these contents; what it prints."""
    arguments = []
    for role, content in files.items():
        path = folder / f"{role}.csv"
        path.write_text(content, encoding="utf-8")
        arguments += [f"--{role}", str(path)]
    out = StringIO()
    call_command("load_study", slug, *arguments, "--scale", "1", "5", *options, stdout=out)
    return out.getvalue()


def count() -> list[int]:
    return [model.objects.count() for model in MODELS]


def make_fit(study: Study) -> FitRun:
    name, digest = save_arrays(f"fit-{study.slug}", scores=np.arange(3))
    enqueue(kind="fit", key=f"fit:{study.slug}", payload={"study": study.pk})
    return FitRun.objects.create(
        study=study,
        key="k",
        settings={},
        data_hash="d",
        code_version="1",
        consensus_name="mean",
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=2,
        n_annotations=3,
        has_simulated=False,
        artefact=name,
        artefact_sha256=digest,
    )


def test_ratings_become_a_closed_study_of_people_who_completed_it(tmp_path: Path) -> None:
    load(tmp_path, "--name", "Moods of posts", ratings=RATINGS)
    study = Study.objects.get(slug="moods")
    assert (study.name, study.title, study.state) == ("Moods of posts", "Moods of posts", Study.State.CLOSED)
    assert (study.value_keys, study.posts_per_rater) == (["fear", "joy"], 2)
    assert list(study.posts.values_list("key", "purpose", "text")) == [
        ("p1", "labeling", ""),
        ("p2", "labeling", ""),
    ]
    enrollments = study.enrollments.order_by("pk")
    assert [enrollment.rater.external_id for enrollment in enrollments] == ["moods:r1", "moods:r2"]
    assert {enrollment.rater.origin for enrollment in enrollments} == {Rater.Origin.IMPORTED}
    assert {enrollment.outcome for enrollment in enrollments} == {Outcome.COMPLETED}
    assert all(enrollment.finished_at == enrollment.started_at for enrollment in enrollments)


def test_values_keep_their_names_and_the_scale_is_the_one_given(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    tree = get_tree(ValueSystem.objects.get(slug="moods-values"))
    assert [(leaf.key, leaf.name, leaf.label) for leaf in tree.leaves] == [
        ("fear", "fear", "fear"),
        ("joy", "Joy!", "Joy!"),
    ]
    assert (tree.scale.min, tree.scale.max, tree.scale.shown_from) == (1, 5, 1)


def test_a_missing_rating_is_a_gap_and_not_a_low_rating(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    stored = {
        (annotation.enrollment.rater.external_id, annotation.post.key): (annotation.ratings, annotation.codes)
        for annotation in Annotation.objects.all()
    }
    assert stored == {
        ("moods:r1", "p1"): ((2, 5), (CHOSEN, CHOSEN)),
        ("moods:r1", "p2"): ((1, None), (CHOSEN, NOT_SHOWN)),
        ("moods:r2", "p1"): ((None, 3), (NOT_SHOWN, CHOSEN)),
    }
    assert set(Annotation.objects.values_list("assignment", "rationale")) == {(None, "")}


def test_the_measures_read_an_import_like_any_study(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS, posts=POSTS, calibration=CALIBRATION)
    table = load_table(Study.objects.get())
    np.testing.assert_array_equal(table.ratings, [[2, 5], [1, np.nan], [np.nan, 3]])
    assert table.texts == ("Asked\nOne", "Two")
    assert table.scale == (1, 5)
    assert table.answers is not None
    np.testing.assert_array_equal(table.answers, [[4, 2], [1, np.nan]])


def test_the_same_ratings_give_the_same_data_in_whatever_order_they_came(tmp_path: Path) -> None:
    header, *lines = RATINGS.splitlines()
    load(tmp_path, slug="one", ratings=RATINGS)
    load(tmp_path, slug="two", ratings="\n".join([header, *reversed(lines)]))
    hashes = {load_table(study).data_hash for study in Study.objects.all()}
    assert len(hashes) == 1


def test_posts_calibration_and_raters_are_stored_beside_the_ratings(tmp_path: Path) -> None:
    printed = load(tmp_path, ratings=RATINGS, posts=POSTS, calibration=CALIBRATION, raters=RATERS)
    study = Study.objects.get()
    first, second, asked = study.posts.order_by("pk")[1], study.posts.get(key="p2"), study.posts.get(key="c1")
    assert (first.context_kind, first.context_text, first.metadata) == ("reply", "Asked", {"likes": "7"})
    assert (second.purpose, asked.purpose) == (Post.Purpose.LABELING, Post.Purpose.CALIBRATION)
    assert list(CalibrationQuestion.objects.values_list("position", "post__key", "value_key")) == [
        (1, "c1", "joy"),
        (2, "c1", "fear"),
    ]
    assert set(
        CalibrationAnswer.objects.values_list(
            "enrollment__rater__external_id", "question__position", "rating"
        )
    ) == {("moods:r1", 1, 4), ("moods:r1", 2, 2), ("moods:r2", 1, 1)}
    questionnaire = Questionnaire.objects.get(study=study, key="raters")
    assert [(item.key, item.label) for item in questionnaire.instrument.items] == [
        ("home_town", "Home town"),
        ("age", "age"),
    ]
    assert [response.answers for response in questionnaire.responses.order_by("enrollment_id")] == [
        {"home_town": "Oslo"},
        {"home_town": "Rome", "age": "44"},
    ]
    assert "calibration: 2 questions, 3 answers, 1 missing" in printed
    assert "0 raters are not in the file, 1 of the file rated nothing" in printed


def test_the_summary_counts_what_came_and_says_what_to_do_next(tmp_path: Path) -> None:
    printed = load(tmp_path, ratings=RATINGS, posts="item_id,body\np1,One\np2,Two\np3,Three\n")
    for line in (
        "raters: 2",
        "posts: 3 (0 with text, 3 without)",
        "posts that nobody rated: 1",
        "values: 2 (fear, Joy!)",
        "annotations: 3",
        "ratings: 4 on the scale 1 to 5",
        "gaps (values left out in a rated post): 2",
        "posts have no text column: posts.csv has body; name one with --text-column",
        "manage.py fit moods",
        "manage.py evaluate moods",
    ):
        assert line in printed


def test_more_annotations_than_one_batch_keep_their_ratings(tmp_path: Path) -> None:
    n_raters = BATCH // 30 + 5
    lines = [
        f"{rater},{post},{value},{1 + (rater + post + value) % 5}\n"
        for rater in range(n_raters)
        for post in range(31)
        for value in range(2)
    ]
    load(tmp_path, ratings=HEADER + "".join(lines))
    assert Annotation.objects.count() == n_raters * 31 > BATCH
    for annotation in Annotation.objects.select_related("enrollment__rater", "post"):
        rater, post = int(annotation.enrollment.rater.external_id.split(":")[1]), int(annotation.post.key)
        assert annotation.ratings == (1 + (rater + post) % 5, 1 + (rater + post + 1) % 5)


def test_bad_lines_stop_everything_and_only_the_first_fifty_are_printed(tmp_path: Path) -> None:
    bad = "".join(f"r{number},p1,fear,9\n" for number in range(60))
    with pytest.raises(CommandError) as stopped:
        load(tmp_path, ratings=RATINGS + bad)
    lines = str(stopped.value).splitlines()
    assert lines[0] == "Nothing was loaded: 60 faults."
    assert lines[1].startswith("ratings.csv, line 6: the rating 9 is outside the scale 1 to 5")
    assert lines[-1] == "... and 10 more"
    assert len(lines) == 52
    assert count() == [0] * len(MODELS)


def test_a_failure_halfway_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("modeling.loading._store_rater_answers", fail)
    with pytest.raises(OSError, match="disk is full"):
        load(tmp_path, ratings=RATINGS)
    assert count() == [0] * len(MODELS)


def test_loading_the_same_again_changes_nothing(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS, raters=RATERS)
    before, ids = count(), set(Annotation.objects.values_list("pk", flat=True))
    for options in ((), ("--replace",)):
        assert "already loaded, nothing changed" in load(tmp_path, *options, ratings=RATINGS, raters=RATERS)
    assert count() == before
    assert set(Annotation.objects.values_list("pk", flat=True)) == ids


def test_a_loaded_study_says_that_it_keeps_its_name(tmp_path: Path) -> None:
    load(tmp_path, "--name", "First", ratings=RATINGS)
    assert "It keeps the name 'First'" in load(tmp_path, "--name", "Second", ratings=RATINGS)
    assert Study.objects.get().name == "First"


def test_other_content_under_the_same_slug_is_refused(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    with pytest.raises(CommandError, match="was loaded from other content"):
        load(tmp_path, ratings=CHANGED)
    assert Annotation.objects.get(enrollment__rater__external_id="moods:r2").ratings == (None, 3)


def test_replacing_puts_the_new_content_in_the_place_of_all_that_was_made_of_the_old(
    tmp_path: Path, settings, django_capture_on_commit_callbacks
) -> None:
    settings.STORAGES = settings.STORAGES | {
        "artefacts": settings.STORAGES["artefacts"] | {"OPTIONS": {"location": str(tmp_path / "artefacts")}}
    }
    load(tmp_path, slug="moods-2", ratings=RATINGS)
    load(tmp_path, ratings=RATINGS, posts=POSTS, calibration=CALIBRATION, raters=RATERS)
    old = Study.objects.get(slug="moods")
    fit_run = make_fit(old)
    with django_capture_on_commit_callbacks(execute=True):
        printed = load(tmp_path, "--replace", ratings=CHANGED.replace("fear", "dread"))
    assert "Study 'moods' is replaced" in printed
    study = Study.objects.get(slug="moods")
    assert study.value_keys == ["dread", "joy"]
    assert study.fit_runs.count() == FitRun.objects.count() == 0
    assert not storages["artefacts"].exists(fit_run.artefact)
    assert (
        Annotation.objects.filter(enrollment__study=study).count(),
        CalibrationQuestion.objects.count(),
    ) == (3, 0)
    assert Rater.objects.filter(external_id__startswith="moods:").count() == 2
    assert Rater.objects.filter(external_id__startswith="moods-2:").count() == 2
    assert get_tree(study.value_system).value_keys == ("dread", "joy")


def test_jobs_of_a_replaced_study_are_gone_so_that_it_can_be_fitted_afresh(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    job = enqueue(kind="fit", key="fit:moods", payload={"study": Study.objects.get().pk})
    other = enqueue(kind="fit", key="fit:other", payload={"study": 0})
    load(tmp_path, "--replace", ratings=CHANGED)
    assert not type(job).objects.filter(pk=job.pk).exists()
    assert type(other).objects.filter(pk=other.pk).exists()


def test_a_replacement_with_faults_leaves_the_old_study(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    before = count()
    with pytest.raises(CommandError, match="Nothing was loaded"):
        load(tmp_path, "--replace", ratings=CHANGED + "r1,p1,fear,9\n")
    assert count() == before


def test_a_study_that_was_not_imported_is_never_replaced(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    ImportRecord.objects.all().delete()
    before = count()
    for options in ((), ("--replace",)):
        with pytest.raises(CommandError, match="was not loaded from files"):
            load(tmp_path, *options, ratings=RATINGS)
    assert count() == before


def test_a_value_system_of_somebody_elses_is_not_overwritten(tmp_path: Path) -> None:
    theirs = ValueTree.flat("moods-values", ["pride"], Scale(1, 5, 1, "low", "high"))
    save_value_system(theirs)
    with pytest.raises(CommandError, match="'moods-values' exists and has other values"):
        load(tmp_path, ratings=RATINGS)
    assert get_tree(ValueSystem.objects.get()) == theirs
    assert not Study.objects.exists()


def test_a_value_system_that_another_study_uses_stays_when_its_import_is_replaced(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS)
    system = ValueSystem.objects.get()
    Study.objects.create(slug="second", name="Second", title="Second", value_system=system)
    load(tmp_path, "--replace", ratings=CHANGED)
    assert ValueSystem.objects.get() == system
    with pytest.raises(CommandError, match="exists and has other values"):
        load(tmp_path, "--replace", ratings=CHANGED.replace("fear", "dread"))
    assert Study.objects.count() == 2


@pytest.mark.parametrize("slug", ["Moods", "two words", "m" * 44])
def test_a_slug_that_cannot_be_used_is_refused(tmp_path: Path, slug: str) -> None:
    with pytest.raises(CommandError, match="The slug"):
        load(tmp_path, slug=slug, ratings=RATINGS)
    assert not Study.objects.exists()


def test_the_longest_ids_fit_their_columns(tmp_path: Path) -> None:
    slug, rater, post, value = "s" * 43, "r" * 150, "p" * 200, "v" * 80
    load(tmp_path, slug=slug, ratings=HEADER + f"{rater},{post},{value},1\n")
    assert Rater.objects.get().external_id == f"{slug}:{rater}"
    assert Post.objects.get().key == post
    assert Study.objects.get().value_keys == [value]


def test_the_record_names_each_file_with_its_hash(tmp_path: Path) -> None:
    load(tmp_path, ratings=RATINGS, raters=RATERS)
    record = ImportRecord.objects.get()
    assert [(file["role"], file["name"], len(file["sha256"])) for file in record.files] == [
        ("ratings", "ratings.csv", 64),
        ("raters", "raters.csv", 64),
    ]
    assert (
        record.digest
        == read_study(tmp_path / "ratings.csv", scale=(1, 5), raters=tmp_path / "raters.csv").digest
    )


def test_the_number_of_queries_does_not_grow_with_the_ratings(
    tmp_path: Path, django_assert_max_num_queries
) -> None:
    lines = [f"r{rater},p{post},joy,3\n" for rater in range(50) for post in range(30)]
    path = tmp_path / "many.csv"
    path.write_text(HEADER + "".join(lines))
    data = read_study(path, scale=(1, 5))
    with django_assert_max_num_queries(60):
        load_study("many", data, files=[])
