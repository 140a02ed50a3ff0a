"""All posts for all raters: what one rater or one post is predicted comes back, and files that are others' do not."""

import dataclasses
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from django.core.files.storage import storages

from annotation.models import Post
from modeling.errors import ArtefactDamaged, DataChanged
from modeling.export.pseudonyms import make_pseudonym
from modeling.models import ScoreFile, ScoreRun
from modeling.scoring import store
from modeling.scoring.pieces import choose_factor
from modeling.scoring.store import Block, Scores, export_parquet, save_axes, save_piece
from tests.modeling.bare_fits import make_fit

N_RATERS, N_POSTS = 3, 7
KEYS = ("order", "play")


@pytest.fixture(autouse=True)
def places(settings, tmp_path):
    settings.VAR_DIR = tmp_path / "var"
    settings.STORAGES = settings.STORAGES | {
        "artefacts": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path / "artefacts")},
        }
    }


@pytest.fixture
def predictions():
    """Of shape (n_values, n_raters, n_posts), in steps that bytes hold exactly."""
    steps = np.random.default_rng(3).integers(0, 256, (len(KEYS), N_RATERS, N_POSTS))
    return np.divide(steps, 42.5, dtype=np.float32)


@pytest.fixture
def keep(db, predictions):
    """Store the predictions in two pieces for each value."""

    def keep(dtype="uint8", change=lambda predictions: predictions):
        fit_run = make_fit(n_raters=N_RATERS, n_posts=N_POSTS)
        study = fit_run.study
        factor = choose_factor((0, 6), dtype)
        axes, digest = save_axes(
            "axes",
            list(study.enrollments.order_by("-pk").values_list("pk", flat=True)),
            list(study.posts.order_by("pk").values_list("pk", flat=True)),
        )
        run = ScoreRun.objects.create(
            fit_run=fit_run,
            key="run",
            value_keys=list(KEYS),
            n_posts=N_POSTS,
            n_raters=N_RATERS,
            dtype=dtype,
            scale=factor,
            axes=axes,
            axes_sha256=digest,
        )
        for key, matrix in zip(KEYS, change(predictions.copy()), strict=True):
            for first in (0, 4):
                part = matrix[:, first : first + 4]
                blocks = (Block(row, 0, part[row : row + 1]) for row in range(N_RATERS))
                piece = save_piece(f"scores-{key}", part.shape, blocks, dtype=dtype, factor=factor)
                ScoreFile.objects.create(
                    score_run=run, value_key=key, first_post=first, **dataclasses.asdict(piece)
                )
        return run

    return keep


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_each_raters_row_and_each_posts_column_comes_back(keep, predictions, dtype):
    scores = Scores(keep(dtype))
    for row, enrollment in enumerate(scores.enrollment_ids.tolist()):
        np.testing.assert_array_equal(scores.read_rater(enrollment), predictions[:, row].T)
    for column, post in enumerate(scores.post_ids.tolist()):
        np.testing.assert_array_equal(scores.read_post(post), predictions[:, :, column].T)
    np.testing.assert_array_equal(scores.read_raters(1, 2), predictions[:, 1:])


def test_some_values_come_in_the_order_asked_for(keep, predictions):
    scores = Scores(keep())
    found = scores.read_rater(scores.enrollment_ids[0], values=["play", "order"])
    np.testing.assert_array_equal(found, predictions[::-1, 0].T)


def test_what_a_stored_piece_says_of_itself_is_true(keep):
    for file in keep().files.all():
        path = Path(storages["artefacts"].path(file.name))
        assert path.stat().st_size == file.n_bytes
        assert np.load(path).shape == (N_RATERS, file.n_posts)


def test_only_the_files_that_are_asked_for_are_opened(keep):
    run = keep()
    scores = Scores(run)
    late = run.files.get(value_key="play", first_post=4)
    storages["artefacts"].delete(late.name)
    scores.read_rater(scores.enrollment_ids[0], values=["order"])
    scores.read_post(scores.post_ids[3])
    with pytest.raises(ArtefactDamaged, match=f"{late.name} is not in the artefact storage"):
        scores.read_post(scores.post_ids[4])


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda scores: scores.read_rater(0), "rater 0 is not in Scores"),
        (lambda scores: scores.read_post(0), "post 0 is not in Scores"),
        (
            lambda scores: scores.read_rater(scores.enrollment_ids[0], values=["fame"]),
            "order, play, each once",
        ),
        (lambda scores: scores.read_rater(scores.enrollment_ids[0], values=[]), "not none"),
    ],
    ids=["rater", "post", "value", "no value"],
)
def test_what_is_not_in_it_is_refused(keep, ask, words):
    with pytest.raises(ValueError, match=words):
        ask(Scores(keep()))


def test_a_changed_file_is_refused(keep):
    run = keep()
    path = Path(storages["artefacts"].path(run.files.first().name))
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    scores = Scores(run)
    with pytest.raises(ArtefactDamaged, match="is not the one this fit wrote"):
        scores.read_rater(scores.enrollment_ids[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda run: run.files.filter(first_post=0, value_key="play").delete(),
        lambda run: run.files.filter(first_post=4, value_key="play").delete(),
        lambda run: run.files.filter(first_post=4, value_key="play").update(first_post=3),
        lambda run: run.files.filter(value_key="play").update(value_key="fame"),
        lambda run: run.files.filter(first_post=4, value_key="play").update(n_posts=4),
    ],
    ids=["first", "last", "overlap", "value", "beyond"],
)
def test_files_that_do_not_make_a_matrix_are_refused(keep, change):
    run = keep()
    change(run)
    scores = Scores(run)
    with pytest.raises(ArtefactDamaged, match=r"hold \d of 7 posts in a row; score the posts again"):
        scores.read_rater(scores.enrollment_ids[0], values=["order"])


def test_a_file_of_another_run_is_refused(keep):
    run = keep()
    first, second = run.files.filter(value_key="order")
    run.files.filter(pk=second.pk).update(name=first.name, sha256=first.sha256)
    scores = Scores(run)
    with pytest.raises(ArtefactDamaged, match=r"not a piece of .*\(3, 4\); uint8 of \(3, 3\) was expected"):
        scores.read_rater(scores.enrollment_ids[0])


def test_axes_of_other_lengths_are_refused(keep):
    run = keep()
    run.n_raters = 4
    with pytest.raises(ArtefactDamaged, match="do not have the raters and posts of their axes"):
        Scores(run)


@pytest.mark.parametrize("ids", [[1, 1], [1.0, 2.0], [[1]]], ids=["twice", "floats", "shape"])
def test_axes_name_each_once(ids):
    with pytest.raises(ValueError, match="enrollment_ids must be a list of whole numbers, each there once"):
        save_axes("axes", ids, [1])


def test_a_faulty_piece_leaves_nothing_behind(settings, tmp_path):
    with pytest.raises(ValueError, match="were not written"):
        save_piece("scores", (2, 2), [Block(0, 0, np.ones((1, 2)))], dtype="uint8", factor=42.5)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


# --- Parquet -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_the_export_has_a_row_for_each_rater_and_post(keep, predictions, tmp_path, dtype):
    run = keep(dtype)
    assert export_parquet(run, tmp_path / "out" / "all.parquet") == N_RATERS * N_POSTS
    table = pq.read_table(tmp_path / "out" / "all.parquet")
    assert table.column_names == ["rater_id", "post_id", *KEYS]
    scores = Scores(run)
    people = dict(run.fit_run.study.enrollments.values_list("pk", "public_id"))
    names = [make_pseudonym(people[pk]) for pk in scores.enrollment_ids.tolist()]
    assert table["rater_id"].to_pylist() == [name for name in names for _ in range(N_POSTS)]
    assert table["post_id"].to_pylist() == [f"p{number}" for number in range(N_POSTS)] * N_RATERS
    for key, matrix in zip(KEYS, predictions, strict=True):
        np.testing.assert_array_equal(table[key].to_numpy(), matrix.ravel())


def test_a_row_group_holds_whole_raters_and_is_packed(keep, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "ROWS_IN_GROUP", N_POSTS + 1)
    export_parquet(keep(), tmp_path / "all.parquet", values=["play"])
    file = pq.ParquetFile(tmp_path / "all.parquet")
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [2 * N_POSTS, N_POSTS]
    assert {group.column(0).compression for group in groups} == {"ZSTD"}
    assert file.schema_arrow.names == ["rater_id", "post_id", "play"]
    assert file.schema_arrow.metadata[b"fit"] == b"one"


def test_a_missing_prediction_is_null(keep, tmp_path):
    def forget(predictions):
        predictions[0, 1, 2] = np.nan
        return predictions

    export_parquet(keep("float32", change=forget), tmp_path / "all.parquet")
    column = pq.read_table(tmp_path / "all.parquet")["order"]
    assert column.null_count == 1
    assert column[N_POSTS + 2].as_py() is None


def test_an_export_that_fails_leaves_the_earlier_file(keep, tmp_path):
    run = keep()
    (tmp_path / "all.parquet").write_bytes(b"earlier")
    storages["artefacts"].delete(run.files.last().name)
    with pytest.raises(ArtefactDamaged):
        export_parquet(run, tmp_path / "all.parquet")
    assert (tmp_path / "all.parquet").read_bytes() == b"earlier"
    assert not list(tmp_path.glob(".export-*"))


@pytest.mark.parametrize("gone", ["enrollments", "posts"])
def test_who_is_gone_is_in_no_export(keep, tmp_path, gone):
    run = keep()
    getattr(run.fit_run.study, gone).first().delete()
    with pytest.raises(DataChanged, match="1 raters or posts of .* are not in the study any more"):
        export_parquet(run, tmp_path / "all.parquet")
    assert not (tmp_path / "all.parquet").exists()


def test_posts_named_as_they_are_now(keep, tmp_path):
    run = keep()
    Post.objects.filter(study=run.fit_run.study, key="p0").update(key="renamed")
    export_parquet(run, tmp_path / "all.parquet")
    assert pq.read_table(tmp_path / "all.parquet")["post_id"][0].as_py() == "renamed"
