"""Everything by command: a corpus loaded, read, verified, measured and exported."""

import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Post
from modeling.annotators.runs import create_run
from modeling.annotators.selecting import corpus_posts, find_posts, study_posts
from modeling.models import AnnotatorRun, RuleSet, Verification
from tests.factories import PostFactory
from tests.modeling.verifying.ground import (
    HIGH,
    RULES,
    decide,
    label_set,
    list_posts,
    make_person,
    make_run,
    make_study,
)

pytestmark = pytest.mark.django_db


def run(*arguments, **options):
    out = io.StringIO()
    call_command(*arguments, stdout=out, stderr=io.StringIO(), **options)
    return out.getvalue()


@pytest.fixture
def study():
    return make_study(3)


class TestVerify:
    def test_rules_of_a_file_are_stored_held_against_a_run_measured_and_exported(self, study, tmp_path):
        (tmp_path / "first.json").write_text(json.dumps(RULES))
        reader = make_run(study, [6, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0], is_standin=True)
        expert_set = label_set(study, [6, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0])
        rules = str(tmp_path / "first.json")
        said = run("verify", study.slug, rules=rules, run=reader.pk, set=expert_set.name)
        made = Verification.objects.get()
        assert "Stand-in: not from a real model." in said
        assert "2 of 3 posts flagged; 0 without a reading, 0 test posts left out." in said
        assert "  high: 1 flagged, 0 unknown" in said
        assert "  differ: 0 flagged, 3 unknown" in said
        assert (str(made.rule_set), made.threshold) == ("first, version 1", 2)
        decide(made, make_person(study, "ann"), list_posts(study)[1], "corrected", [0, 0, 0, 0])
        target = tmp_path / "out.csv"
        said = run("verify", study.slug, verification=made.pk, report=True, export=target)
        assert "1 of 2 flagged posts decided, 1 corrected, 0 unsure." in said
        assert (
            "care: 333.3 per 1,000 posts, precision 1.000 (no interval: 1 decided post, fewer than 5)" in said
        )
        with target.open(encoding="utf-8-sig", newline="") as file:
            assert [row["verdict"] for row in csv.DictReader(file)].count("corrected") == 1

    def test_the_same_again_is_told(self, study):
        reader = make_run(study, [6, 0, 0, 0])
        RuleSet.objects.create(study=study, name="kept", number=1, rules=[HIGH], digest="d")
        run("verify", study.slug, rules="kept", run=reader.pk)
        said = run("verify", study.slug, rules="kept", run=reader.pk)
        assert "held against the very same corpus before" in said

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ({}, "--rules and --run"),
            ({"rules": "none", "run": 1}, "has no run 1"),
            ({"verification": 7}, "no verification 7"),
        ],
        ids=["nothing", "run", "verification"],
    )
    def test_what_is_not_there_is_named(self, study, options, why):
        with pytest.raises(CommandError, match=why):
            run("verify", study.slug, **options)

    def test_faults_of_a_file_are_told_and_nothing_is_stored(self, study, tmp_path):
        reader = make_run(study, [6, 0, 0, 0])
        (tmp_path / "bad.json").write_text(json.dumps([HIGH | {"values": ["courage"]}]))
        with pytest.raises(CommandError, match="no value"):
            run("verify", study.slug, rules=str(tmp_path / "bad.json"), run=reader.pk)
        with pytest.raises(CommandError, match="neither a file nor stored rules. Stored: none"):
            run("verify", study.slug, rules="checks", run=reader.pk)
        assert not Verification.objects.exists()


class TestCorpus:
    def load(self, study, tmp_path, lines, **options):
        path = tmp_path / "corpus.csv"
        path.write_text("\n".join(lines))
        return run("load_posts", study.slug, str(path), reason="for models", **options)

    def test_a_corpus_is_for_models_alone(self, study, tmp_path):
        self.load(
            study,
            tmp_path,
            ["key,text,feed", "c1,A first post,news", "c2,A second one,news"],
            purpose="corpus",
        )
        posts = study.posts.filter(purpose=Post.Purpose.CORPUS)
        assert list(posts.order_by("pk").values_list("key", "metadata__source")) == [
            ("c1", "news"),
            ("c2", "news"),
        ]
        annotator = make_run(study, [0, 0, 0, 0]).annotator
        corpus = create_run(annotator, selection=corpus_posts(study))
        labeling = create_run(annotator, selection=study_posts(study))
        assert {post.key for post in find_posts(corpus)} == {"c1", "c2"}
        assert {post.key for post in find_posts(labeling)} == {"p1", "p2", "p3"}

    def test_without_a_purpose_posts_are_for_people(self, study, tmp_path):
        self.load(study, tmp_path, ["key,text", "c1,A first post"])
        assert study.posts.get(key="c1").purpose == Post.Purpose.LABELING

    def test_all_rows_are_loaded_or_none(self, study, tmp_path):
        with pytest.raises(CommandError, match="of the study has already"):
            self.load(study, tmp_path, ["key,text", "c1,One", "p1,Another"], purpose="corpus")
        assert not study.posts.filter(purpose=Post.Purpose.CORPUS).exists()

    def test_a_model_that_is_there_reads_the_corpus(self, study):
        PostFactory(study=study, key="c1", purpose=Post.Purpose.CORPUS)
        annotator = make_run(study, [0, 0, 0, 0]).annotator
        said = run("annotate", study.slug, annotator=annotator.pk, posts="corpus", estimate_only=True)
        assert "1 posts, 1 calls" in said
        with pytest.raises(CommandError, match="no annotator model 999"):
            run("annotate", study.slug, annotator=999)
        with pytest.raises(CommandError, match="not both"):
            run("annotate", study.slug, annotator=annotator.pk, provider="campus", model="small")
        assert AnnotatorRun.objects.filter(annotator=annotator).count() == 1
