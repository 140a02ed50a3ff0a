import csv
import io
import math

import pytest

from annotation.errors import Refused
from modeling.errors import ImportRefused
from modeling.experts import services
from modeling.experts.exporting import write_labels
from modeling.experts.importing import import_labels, import_resolutions
from modeling.experts.rows import read_labels
from modeling.experts.standing import list_standings
from modeling.models import ExpertLabel
from tests.factories import load_nineteen, load_ten
from tests.modeling.experts.ground import item_at, label, make_experts, make_set

TREE = load_nineteen()
FACE = TREE.value_keys.index("face")


def as_file(*lines):
    return io.BytesIO("\n".join(lines).encode())


def faults_of(*lines, tree=TREE, **options):
    found = read_labels(as_file(*lines), tree, **options)
    return [f"Line {line}: {problem}" for line, problem in found.faults]


class TestReading:
    def test_values_are_named_by_key_or_as_raters_see_them(self):
        found = read_labels(as_file("Post,expert,FACE,Lawfulness", "p1,ann,5,0"), TREE)
        rules = TREE.value_keys.index("conformity_rules")
        assert found.labels["p1", "ann"].ratings == {FACE: 5, rules: 0}
        assert FACE not in found.absent
        assert len(found.absent) == 17

    def test_one_line_for_each_rating_is_the_same_label(self):
        wide = read_labels(as_file("post,expert,face,humility,note", "p1,ann,5,0,why"), TREE)
        long = read_labels(
            as_file("post,expert,value,rating,note", "p1,ann,face,5,why", "p1,ann,humility,0,why"), TREE
        )
        assert wide.labels["p1", "ann"] == long.labels["p1", "ann"]

    def test_an_empty_cell_is_no_rating(self):
        found = read_labels(as_file("post;expert;face;humility", "p1;ann;;2.0"), TREE)
        vector = found.labels["p1", "ann"].as_vector(19)
        assert math.isnan(vector[FACE])
        assert sum(not math.isnan(rating) for rating in vector) == 1

    def test_the_same_line_again_is_counted(self):
        found = read_labels(as_file("post,expert,face", "p1,ann,5", "p1,ann,5"), TREE)
        assert (found.n_repeated, len(found.labels)) == (1, 1)

    @pytest.mark.parametrize(
        ("lines", "says"),
        [
            (["post,expert,face", "p1,ann,7"], "Line 2: '7' for 'face' is no whole number from 0 to 6"),
            (["post,expert,face", "p1,ann,2.5"], "Line 2: '2.5' for 'face'"),
            (["post,expert,face", "p1,ann,five"], "Line 2: 'five' for 'face'"),
            (["post,expert,face", "p1,ann,5", "p1,ann,4"], "expert 'ann' labels post 'p1' otherwise than from line 2"),
            (["post,expert,value,rating", "p1,ann,face,5", "p1,ann,face,4"], "expert 'ann' labels post 'p1' on 'face'"),
            (["post,expert,face", "p1,ann,"], "Line 2: there is no rating"),
            (["post,expert,face", ",ann,3"], "Line 2: the post is empty"),
            (["post,expert,face", "p1,,3"], "Line 2: the expert must have a name"),
            (["post,expert,fame", "p1,ann,3"], "Line 1: column 'fame' is no value of the study"),
            (["post,expert,value,rating", "p1,ann,fame,3"], "Line 2: 'fame' is no value of the study"),
            (["post,face", "p1,3"], "Line 1: there is no column 'expert'"),
            (["post,expert", "p1,ann"], "Line 1: there is neither a column for any value"),
            (["post,expert,face,Reputation", "p1,ann,3,3"], "is of a value that another column has"),
            (["post,expert,face", "p1,ann,3,4"], "Line 2: has 4 cells"),
            ([""], "empty"),
        ],
    )  # fmt: skip
    def test_a_fault_names_its_line_and_what_to_mend(self, lines, says):
        assert any(says in fault for fault in faults_of(*lines))

    def test_every_fault_is_named_at_once(self):
        assert len(faults_of("post,expert,face", "p1,ann,9", "p2,,1", "p3,ben,x")) == 3

    def test_the_scale_is_the_studys_own(self):
        key = load_ten().value_keys[0]
        lines = (f"post,expert,{key}", "p1,ann,0")
        assert "from 1 to 5" in faults_of(*lines, tree=load_ten())[0]


@pytest.mark.django_db
class TestLoading:
    def load(self, expert_set, *lines, **options):
        return import_labels(expert_set, as_file(*lines), **options)

    def test_labels_are_stored_and_absent_values_told(self):
        expert_set = make_set()
        counts = self.load(expert_set, "post,expert,face", "p1,ann,5", "p1,ben,4", "p2,ann,0")
        assert (counts.n_new, counts.experts, len(counts.absent)) == (3, ("ann", "ben"), 18)
        assert set(ExpertLabel.objects.values_list("source", flat=True)) == {"file"}
        assert "humility" in counts.list_sentences()[-1]

    def test_the_same_file_again_changes_nothing(self):
        expert_set = make_set()
        lines = ("post,expert,face", "p1,ann,5")
        self.load(expert_set, *lines)
        assert self.load(expert_set, *lines).n_unchanged == 1
        assert ExpertLabel.objects.count() == 1

    def test_another_rating_is_a_fault_unless_the_file_may_revise(self):
        expert_set = make_set()
        self.load(expert_set, "post,expert,face", "p1,ann,5")
        lines = ("post,expert,face", "p1,ann,4", "p2,ann,1")
        with pytest.raises(
            ImportRefused, match="Line 2: expert 'ann' has labeled post 'p1' otherwise before"
        ):
            self.load(expert_set, *lines)
        assert ExpertLabel.objects.count() == 1
        counts = self.load(expert_set, *lines, revise=True)
        assert (counts.n_new, counts.n_revised) == (1, 1)
        revised = ExpertLabel.objects.filter(item__post__key="p1").order_by("number")
        assert [(each.number, each.is_current, each.ratings[FACE]) for each in revised] == [
            (1, False, 5),
            (2, True, 4),
        ]

    def test_posts_that_are_not_in_the_set_are_told_from_those_that_are_nowhere(self):
        expert_set = make_set(posts=["p1"])
        with pytest.raises(ImportRefused) as refusal:
            self.load(expert_set, "post,expert,face", "p2,ann,5", "p9,ann,5", "p1,ann,5")
        assert refusal.value.faults == [
            "Line 2: post 'p2' is not in this set.",
            "Line 3: post 'p9' is no post of this study.",
        ]
        assert not ExpertLabel.objects.exists()

    def test_faults_of_lines_and_unknown_posts_are_told_together(self):
        with pytest.raises(ImportRefused) as refusal:
            self.load(make_set(), "post,expert,face", "p9,ann,9", "p1,ann,5")
        assert len(refusal.value.faults) == 2

    def test_a_closed_set_takes_no_file(self):
        with pytest.raises(Refused, match="is closed"):
            self.load(make_set(closed=True), "post,expert,face", "p1,ann,5")

    def test_resolutions_come_from_a_file_without_experts(self):
        expert_set = make_set()
        self.load(expert_set, "post,expert,face", "p1,ann,5", "p1,ben,0", "p2,ann,5", "p2,ben,4")
        assert import_resolutions(expert_set, as_file("post,face,note", "p1,4,so be it")) == 1
        found = next(each for each in list_standings(expert_set) if each.resolution)
        assert (found.settled.ratings[FACE], found.resolution.resolver) == (4, "command")
        with pytest.raises(ImportRefused, match="Line 2: post 'p2': The experts do not differ"):
            import_resolutions(expert_set, as_file("post,face", "p2,4"))


@pytest.mark.django_db
class TestWriting:
    def read(self, expert_set):
        return list(csv.DictReader(io.StringIO("".join(write_labels(expert_set)))))

    def test_everything_that_was_said_stands_there_also_what_was_said_before(self):
        expert_set = make_set()
        ann, ben = make_experts(expert_set)
        item = item_at(expert_set)
        label(item, ann, face=1)
        label(item, ann, face=5)
        label(item, ben, face=0)
        vector = [4.0 if key == "face" else math.nan for key in expert_set.study.value_keys]
        services.resolve(item, vector, "=HYPERLINK()", None)
        lines = [(row["what"], row["expert"], row["number"], row["face"]) for row in self.read(expert_set)]
        assert lines == [
            ("earlier label", "ann", "1", "1"),
            ("label", "ann", "2", "5"),
            ("label", "ben", "1", "0"),
            ("resolution", "command", "1", "4"),
            ("reference", "", "", "4"),
        ]
        assert self.read(expert_set)[3]["note"] == "'=HYPERLINK()"
        assert self.read(expert_set)[3]["humility"] == ""

    def test_the_file_can_be_loaded_again(self):
        expert_set = make_set()
        ann, ben = make_experts(expert_set)
        label(item_at(expert_set), ann, face=1, note="=1+1")
        label(item_at(expert_set), ann, face=5, note="=1+1")
        label(item_at(expert_set, 2), ben)
        written = "".join(write_labels(expert_set))
        counts = import_labels(expert_set, io.BytesIO(written.encode()))
        assert (counts.n_new, counts.n_unchanged, counts.n_passed_over) == (0, 2, 3)
        other = make_set(study=expert_set.study)
        assert import_labels(other, io.BytesIO(written.encode())).n_new == 2
