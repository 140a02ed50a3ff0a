import re

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from annotation.models import StudyEvent
from annotation.selectors import get_tree
from jobs.models import Job
from modeling.experts import services
from modeling.experts.standing import list_standings
from modeling.models import ExpertLabel, ExpertSet, SplitOpening
from tests.modeling.experts.ground import (
    item_at,
    items_of,
    label,
    make_experts,
    make_person,
    make_run,
    make_set,
)

pytestmark = pytest.mark.django_db


def page_of(expert_set, name="expert_set", *more):
    return reverse(f"modeling:{name}", args=[expert_set.study.slug, expert_set.pk, *more])


def words_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def enter(client, expert_set, name="ann", role="analyst"):
    user = make_person(expert_set.study, name, role)
    client.force_login(user)
    return user


def rating_of(stored, key):
    return stored.ratings[stored.item.expert_set.study.value_keys.index(key)]


@pytest.fixture
def expert_set():
    return make_set(4, name="spring")


class TestMaking:
    SENT = {
        "name": "summer",
        "form": "tree",
        "threshold": "4",
        "n_experts": "3",
        "which": "drawn",
        "number": "2",
        "test_share": "0.5",
        "seed": "9",
        "keys": "",
        "guidance": "Read twice.",
    }

    def address(self, expert_set, name="expert_new"):
        return reverse(f"modeling:{name}", args=[expert_set.study.slug])

    def test_a_set_is_made_as_it_was_filled_in_and_listed(self, client, expert_set):
        enter(client, expert_set, role="assistant")
        response = client.post(self.address(expert_set), self.SENT)
        made = ExpertSet.objects.get(name="summer")
        assert response.url == page_of(made)
        assert (made.form, made.threshold, made.n_experts, made.items.count()) == ("tree", 4, 3, 2)
        page = words_of(client.get(self.address(expert_set, "experts")))
        assert "summer" in page
        assert "expressed from 4" in page

    def test_what_was_typed_stays_beside_what_is_wrong_with_it(self, client, expert_set):
        enter(client, expert_set, role="assistant")
        sent = self.SENT | {"threshold": "high", "n_experts": "0", "number": "", "seed": "x"}
        response = client.post(self.address(expert_set), sent)
        page = response.content.decode()
        assert response.status_code == 422
        assert all(f'value="{typed}"' in page for typed in ("summer", "high", "0", "x"))
        assert page.count('class="error"') == 4

    def test_what_the_study_rules_out_is_said(self, client, expert_set):
        enter(client, expert_set, role="assistant")
        page = words_of(client.post(self.address(expert_set), self.SENT | {"number": "99"}), 422)
        assert "99 posts were asked for and the study has 4" in page

    def test_only_who_sets_up_the_study_makes_one(self, client, expert_set):
        enter(client, expert_set)
        assert client.get(self.address(expert_set)).status_code == 404


class TestLabeling:
    def rate(self, expert_set, position=1, **ratings):
        given = {f"rate-{key}": "0" for key in expert_set.study.value_keys}
        return {"post": str(position)} | given | {f"rate-{key}": each for key, each in ratings.items()}

    def test_the_first_post_is_shown_and_the_next_after_it(self, client, expert_set):
        enter(client, expert_set)
        page = client.get(page_of(expert_set, "expert_label")).content.decode()
        assert item_at(expert_set).post.text in page
        assert page.count("<fieldset") == 19
        response = client.post(page_of(expert_set, "expert_label"), self.rate(expert_set, face="5"))
        assert response.url.endswith("?post=2")
        stored = ExpertLabel.objects.get()
        assert (stored.expert, rating_of(stored, "face")) == ("ann", 5)

    def test_nothing_of_others_or_of_models_or_of_the_split_is_on_the_page(self, client, expert_set):
        (ben,) = make_experts(expert_set, "ben")
        label(item_at(expert_set), ben, face=5, note="quixotic")
        make_run(expert_set, name="jabberwock")
        enter(client, expert_set)
        page = client.get(page_of(expert_set, "expert_label") + "?post=1").content.decode()
        assert all(word not in page for word in ("quixotic", "jabberwock", " checked", "evelopment", ">ben"))

    def test_what_is_missing_is_marked_and_what_was_given_stays(self, client, expert_set):
        enter(client, expert_set)
        sent = self.rate(expert_set, face="5") | {"note": "because"}
        del sent["rate-humility"]
        response = client.post(page_of(expert_set, "expert_label"), sent)
        page = response.content.decode()
        assert response.status_code == 422
        assert page.count('class="error"') == 1
        assert re.search(r'id="rate-face-5" value="5" checked', page)
        assert ">because</textarea>" in page
        assert not ExpertLabel.objects.exists()

    def test_the_rest_can_be_given_the_lowest_rating_at_once_and_that_is_kept(self, client, expert_set):
        enter(client, expert_set)
        client.post(page_of(expert_set, "expert_label"), {"post": "1", "rate-face": "4", "rest": "lowest"})
        stored = ExpertLabel.objects.get()
        assert (rating_of(stored, "face"), rating_of(stored, "humility")) == (4, 0)
        assert len(stored.walk["rest"]) == 18
        assert "face" not in stored.walk["rest"]

    def test_a_label_can_be_changed_and_the_first_is_kept(self, client, expert_set):
        ann = enter(client, expert_set)
        label(item_at(expert_set), ann, face=5)
        page = client.get(page_of(expert_set, "expert_label") + "?post=1").content.decode()
        assert re.search(r'id="rate-face-5" value="5" checked', page)
        assert "kept as number 1" in page
        client.post(page_of(expert_set, "expert_label"), self.rate(expert_set, face="2"))
        assert ExpertLabel.objects.count() == 2
        assert "Labeled twice" in words_of(client.get(page_of(expert_set)))

    def test_the_tree_opens_group_by_group(self, client):
        expert_set = make_set(2, form="tree")
        enter(client, expert_set)
        address = page_of(expert_set, "expert_label")
        tree = get_tree(expert_set.study.value_system)
        sent = {"post": "1", "shown": [tree.root.key]}
        assert "missing is marked" in words_of(client.post(address, sent), 422)
        branch = tree.root.child_branches[0]
        sent[f"open-{tree.root.key}"] = branch.key
        page = client.post(address, sent).content.decode()
        assert f'name="open-{branch.key}"' in page
        group = branch.child_branches[0]
        sent |= {"shown": [tree.root.key, branch.key], f"open-{branch.key}": group.key}
        page = client.post(address, sent).content.decode()
        key = group.child_leaves[0].key
        assert f'id="rate-{key}-0"' in page  # as it is stored, not as raters count
        sent |= {"shown": [tree.root.key, branch.key, group.key]}
        sent |= {f"rate-{leaf.key}": "3" for leaf in group.child_leaves}
        assert client.post(address, sent).url.endswith("?post=2")
        stored = ExpertLabel.objects.get()
        assert rating_of(stored, key) == 3
        assert sum(stored.ratings) == 3 * len(group.child_leaves)

    def test_after_the_last_post_it_leads_back_to_the_set(self, client):
        expert_set = make_set(1, test_share=0)
        enter(client, expert_set)
        response = client.post(page_of(expert_set, "expert_label"), self.rate(expert_set))
        assert response.url == page_of(expert_set)
        assert "every post that waited for you" in words_of(client.get(response.url))

    def test_a_set_that_was_closed_meanwhile_keeps_what_was_typed_on_the_page(self, client, expert_set):
        enter(client, expert_set)
        services.close_set(expert_set)
        response = client.post(
            page_of(expert_set, "expert_label"), self.rate(expert_set, face="5") | {"note": "because"}
        )
        assert "is closed" in words_of(response, 422)
        assert ">because</textarea>" in response.content.decode()
        assert client.get(page_of(expert_set, "expert_label")).url == page_of(expert_set)

    @pytest.mark.parametrize("post", ["", "x", "9999999"])
    def test_a_post_that_is_no_place_is_refused(self, client, expert_set, post):
        enter(client, expert_set)
        assert client.post(page_of(expert_set, "expert_label"), {"post": post}).status_code == 400

    def test_someone_of_another_study_finds_nothing(self, client, expert_set):
        other = make_set(1, test_share=0)
        client.force_login(make_person(other.study, "eve", "owner"))
        for name in ("expert_set", "expert_label", "expert_disagreements", "expert_file", "expert_import"):
            assert client.get(page_of(expert_set, name)).status_code == 404
            address = reverse(f"modeling:{name}", args=[other.study.slug, expert_set.pk])
            assert client.get(address).status_code == 404


class TestDisagreements:
    @pytest.fixture
    def disputed(self, expert_set):
        ann, ben = make_experts(expert_set)
        label(item_at(expert_set), ann, face=5, humility=1, note="quixotic")
        label(item_at(expert_set), ben, face=1, humility=2)
        return expert_set

    def test_what_everybody_said_stands_side_by_side_and_is_settled(self, client, disputed):
        enter(client, disputed, "cem")
        page = words_of(client.get(page_of(disputed, "expert_disagreements")))
        assert "1 post, 1 of them open" in page
        assert "Reputation" in page
        response = client.get(page_of(disputed, "expert_resolve", 1))
        page = words_of(response)
        assert "quixotic" in page
        assert response.content.decode().count("<fieldset") == 1
        client.post(page_of(disputed, "expert_resolve", 1), {"rate-face": "4", "note": "we talked"})
        found = list_standings(disputed)[0]
        assert (found.n_open, found.resolution.resolver) == (0, "cem")
        page = words_of(client.get(page_of(disputed, "expert_resolve", 1)))
        assert "Settled by cem" in page
        assert "“we talked”" in page

    def test_a_choice_is_needed_and_what_was_typed_stays(self, client, disputed):
        enter(client, disputed, "cem")
        response = client.post(page_of(disputed, "expert_resolve", 1), {"note": "we talked"})
        assert "at least one of the values" in words_of(response, 422)
        assert ">we talked</textarea>" in response.content.decode()

    def test_who_labels_sees_nothing_of_others_before_the_set_is_closed(self, client, disputed):
        client.force_login(disputed.study.accesses.get(user__username="ben").user)
        assert "once it is closed" in words_of(client.get(page_of(disputed, "expert_disagreements")))
        response = client.get(page_of(disputed, "expert_resolve", 1))
        assert response.url == page_of(disputed, "expert_disagreements")
        assert client.get(page_of(disputed, "expert_file")).status_code == 404
        client.post(page_of(disputed, "expert_close"))
        assert "quixotic" in words_of(client.get(page_of(disputed, "expert_resolve", 1)))
        assert client.get(page_of(disputed, "expert_file")).status_code == 200

    def test_a_post_that_not_all_have_labeled_is_not_shown(self, client, disputed):
        enter(client, disputed, "cem")
        response = client.get(page_of(disputed, "expert_resolve", 2), follow=True)
        assert "not labeled by all yet" in words_of(response)


class TestTheSet:
    def test_it_tells_how_far_everybody_is_and_nothing_of_what_they_said(self, client, expert_set):
        ann, ben = make_experts(expert_set)
        label(item_at(expert_set), ann, face=5, note="quixotic")
        label(item_at(expert_set), ben, face=5)
        enter(client, expert_set, "cem")
        page = words_of(client.get(page_of(expert_set)))
        assert "ann 1 of 4" in page
        assert "quixotic" not in page
        assert "from a rating of 3 on" in page

    def test_a_closed_set_can_take_labels_again(self, client, expert_set):
        enter(client, expert_set)
        client.post(page_of(expert_set, "expert_close"))
        assert "Take labels again" in words_of(client.get(page_of(expert_set)))
        client.post(page_of(expert_set, "expert_reopen"))
        expert_set.refresh_from_db()
        assert expert_set.closed_at is None

    def test_the_download_is_logged(self, client, expert_set):
        (ben,) = make_experts(expert_set, "ben")
        label(item_at(expert_set), ben, face=5)
        enter(client, expert_set, "cem")
        lines = (
            b"".join(client.get(page_of(expert_set, "expert_file")).streaming_content).decode().splitlines()
        )
        assert len(lines) == 3
        assert StudyEvent.objects.filter(action="export", actor_name="cem").count() == 1


class TestLoadingAFile:
    def send(self, client, expert_set, text, **more):
        file = SimpleUploadedFile("labels.csv", text.encode())
        return client.post(page_of(expert_set, "expert_import"), {"file": file} | more)

    def test_labels_are_loaded_and_what_was_done_is_said(self, client, expert_set):
        enter(client, expert_set)
        response = self.send(client, expert_set, "post,expert,face\np1,dan,5\np1,eva,4\n")
        assert response.url == page_of(expert_set)
        page = words_of(client.get(response.url))
        assert "2 labels added, of 2 experts: dan, eva." in page

    def test_every_fault_is_shown_with_its_line(self, client, expert_set):
        enter(client, expert_set)
        page = words_of(self.send(client, expert_set, "post,expert,face\np1,dan,9\np9,eva,x\n"), 422)
        assert "3 faults" in page
        assert "Line 3: &#x27;x&#x27;" in page
        assert "Line 3: post &#x27;p9&#x27; is no post of this study" in page
        assert not ExpertLabel.objects.exists()

    def test_a_long_list_of_faults_is_cut_and_says_so(self, client, expert_set):
        enter(client, expert_set)
        lines = "".join(f"p1,e{n},9\n" for n in range(60))
        page = words_of(self.send(client, expert_set, "post,expert,face\n" + lines), 422)
        assert "60 faults, the first 50 of them" in page

    def test_no_file_is_a_fault_beside_the_field(self, client, expert_set):
        enter(client, expert_set)
        response = client.post(page_of(expert_set, "expert_import"), {})
        assert "Choose a file first" in words_of(response, 422)


class TestOpeningTheTest:
    def test_it_is_opened_logged_and_scored(self, client):
        expert_set = make_set(closed=True)
        run = make_run(expert_set)
        enter(client, expert_set)
        assert "Open the test posts" in words_of(client.get(page_of(expert_set)))
        sent = {"runs": [str(run.pk)], "reason": "version 6 is final"}
        response = client.post(page_of(expert_set, "expert_open_test"), sent)
        opening = SplitOpening.objects.get()
        assert response.url == page_of(expert_set, "calibration_test", opening.pk)
        assert (opening.opener, opening.reason) == ("ann", "version 6 is final")
        job = Job.objects.get(kind="report_calibration")
        assert job.payload["subject"] == f"set-{expert_set.pk}-test-{opening.pk}"
        page = words_of(client.get(page_of(expert_set)))
        assert "prompt: main" in page
        assert "version 6 is final" in page
        assert "no finished run over the test posts" in page

    def test_runs_of_two_families_are_refused_and_the_reason_stays(self, client):
        expert_set = make_set(closed=True)
        runs = [make_run(expert_set), make_run(expert_set, family="other")]
        enter(client, expert_set)
        sent = {"runs": [str(run.pk) for run in runs], "reason": "it is final"}
        response = client.post(page_of(expert_set, "expert_open_test"), sent)
        assert "several families" in words_of(response, 422)
        assert 'value="it is final"' in response.content.decode()
        assert not SplitOpening.objects.exists()

    def test_neither_runs_nor_reason_is_a_fault_of_each(self, client):
        expert_set = make_set(closed=True)
        make_run(expert_set)
        enter(client, expert_set)
        page = words_of(client.post(page_of(expert_set, "expert_open_test"), {}), 422)
        assert "Choose at least one run" in page
        assert "Say why" in page

    def test_a_test_post_that_was_opened_is_not_settled_any_more(self, client):
        expert_set = make_set()
        ann, ben = make_experts(expert_set)
        for item in expert_set.items.all():
            label(item, ann, face=5)
            label(item, ben, face=0)
        services.close_set(expert_set)
        services.open_test(expert_set, "prompt: main", [make_run(expert_set)], reason="done")
        client.force_login(ann)
        test = items_of(expert_set, "test")[0].position
        assert "its reference stays as it is" in words_of(
            client.get(page_of(expert_set, "expert_resolve", test))
        )
        response = client.post(page_of(expert_set, "expert_resolve", test), {"rate-face": "4"})
        assert "stays as it was then" in words_of(response, 422)
