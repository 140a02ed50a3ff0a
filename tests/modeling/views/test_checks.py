import re

import pytest
from django.urls import reverse
from django.utils import timezone

from jobs.models import Job
from jobs.services import run_here
from modeling.checking import services
from modeling.models import CheckLabel, ClassifierCheck
from tests.factories import StudyFactory
from tests.modeling.checking.ground import (
    close_here,
    label_all,
    make_check,
    make_person,
    make_rated_curation,
)

pytestmark = pytest.mark.django_db


def page_of(check, name="check"):
    return reverse(f"modeling:{name}", args=[check.curation.study.slug, check.pk])


def words_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def enter(client, study, name="ann", role="analyst"):
    user = make_person(study, name, role)
    client.force_login(user)
    return user


@pytest.fixture
def check():
    return make_check()


class TestMaking:
    def address(self, curation):
        return reverse("modeling:check_make", args=[curation.study.slug, curation.pk])

    def test_a_check_is_drawn_by_the_curations_own_threshold_when_none_is_given(self, client):
        curation = make_rated_curation([3, 2, 2])
        enter(client, curation.study, role="assistant")
        page = words_of(client.get(self.address(curation)))
        assert "Comprehensible: from 3, by judge of comprehensibility" in page
        sent = {"purpose": "comprehensibility", "threshold": "", "n_each": "1", "seed": "4"}
        response = client.post(self.address(curation), sent)
        check = ClassifierCheck.objects.get()
        assert response.url == page_of(check)
        assert (check.threshold, check.n_each, check.seed, check.items.count()) == (3, 1, 4, 2)
        listed = reverse("modeling:checks_of", args=[curation.study.slug, curation.pk])
        assert page_of(check) in client.get(listed).content.decode()

    def test_fewer_than_asked_for_is_said_and_all_are_taken(self, client):
        curation = make_rated_curation([3, 0, 0])
        enter(client, curation.study, role="assistant")
        sent = {"purpose": "comprehensibility", "n_each": "2", "seed": "4"}
        page = words_of(client.post(self.address(curation), sent, follow=True))
        assert (
            "2 posts were asked for; the classifier said “Comprehensible” to 1 only. All of them were taken"
            in page
        )
        assert "There is 1 post less" in page

    def test_what_was_typed_stays_beside_what_is_wrong_with_it(self, client):
        curation = make_rated_curation([3, 0])
        enter(client, curation.study, role="assistant")
        sent = {"purpose": "nsfw", "threshold": "lots", "n_each": "0", "seed": "x1"}
        response = client.post(self.address(curation), sent)
        page = response.content.decode()
        assert response.status_code == 422
        assert all(f'value="{typed}"' in page for typed in ("lots", "0", "x1"))
        assert page.count('class="error"') == 3
        response = client.post(self.address(curation), sent | {"threshold": "", "n_each": "5", "seed": "1"})
        assert "No model has decided this yet" in words_of(response, 422)
        assert not ClassifierCheck.objects.exists()

    def test_whoever_does_not_set_up_cannot_draw(self, client):
        curation = make_rated_curation([3, 0])
        enter(client, curation.study, role="analyst")
        assert client.get(self.address(curation)).status_code == 404


class TestLabeling:
    def test_one_post_after_the_other_until_all_are_labeled(self, client, check):
        user = enter(client, check.curation.study)
        address = page_of(check, "check_label")
        for number in range(1, 7):
            page = words_of(client.get(address))
            assert f"Post {number} of 6" in page
            assert f"{number - 1} labeled by you" in page
            assert check.items.get(position=number).feed_post.text in page
            response = client.post(address, {"post": number, "label": "yes"})
        assert response.url == page_of(check)
        assert CheckLabel.objects.filter(labeler=user, is_positive=True).count() == 6
        assert "You have labeled every post" in words_of(client.get(page_of(check)))

    def test_one_goes_back_and_changes_ones_own_label(self, client, check):
        user = enter(client, check.curation.study)
        address = page_of(check, "check_label")
        client.post(address, {"post": 1, "label": "yes"})
        assert "Back to post 1" in words_of(client.get(address))
        page = client.get(address, {"post": 1}).content.decode()
        assert re.search(r'value="yes"[^>]* aria-pressed="true"', page)
        assert re.search(r'value="no"[^>]* aria-pressed="false"', page)
        assert client.post(address, {"post": 1, "label": "no"}).url == f"{address}?post=2"
        assert CheckLabel.objects.get(labeler=user).is_positive is False

    def test_the_codebook_that_the_classifier_was_given_stands_beside_the_post(self, client, check):
        enter(client, check.curation.study)
        page = client.get(page_of(check, "check_label")).content.decode()
        for concept in check.curation.comprehensibility.prompt.content["concepts"]:
            assert concept["label"] in page
        assert 'data-key="1"' in page
        assert 'data-key="2"' in page

    def test_text_of_a_post_is_never_markup(self, client):
        check = make_check()
        check.items.get(position=1).feed_post.__class__.objects.update(text="<script>alert(1)</script>")
        enter(client, check.curation.study)
        page = client.get(page_of(check, "check_label")).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)" in page

    @pytest.mark.parametrize(
        "sent",
        [
            {},
            {"post": 1},
            {"post": "one", "label": "yes"},
            {"post": "9" * 5000, "label": "yes"},
            {"post": 1, "label": "2"},
        ],
    )
    def test_anything_but_a_label_is_refused(self, client, check, sent):
        enter(client, check.curation.study)
        assert client.post(page_of(check, "check_label"), sent).status_code == 400
        assert not CheckLabel.objects.exists()

    def test_a_post_that_is_not_there_leads_back(self, client, check):
        enter(client, check.curation.study)
        assert client.get(page_of(check, "check_label"), {"post": 77}).url == page_of(check)
        assert "Post 1 of 6" in words_of(client.get(page_of(check, "check_label"), {"post": "9" * 5000}))
        response = client.post(page_of(check, "check_label"), {"post": 77, "label": "no"}, follow=True)
        assert "no post 77" in words_of(response)

    def test_after_closing_no_label_is_taken(self, client, check):
        user = enter(client, check.curation.study)
        label_all(check, user)
        label_all(check, make_person(check.curation.study, "ben"))
        services.close_check(check)
        before = list(CheckLabel.objects.order_by("pk").values_list("is_positive", flat=True))
        assert client.get(page_of(check, "check_label")).url == page_of(check)
        for answer in ("yes", "no"):
            response = client.post(page_of(check, "check_label"), {"post": 1, "label": answer}, follow=True)
            assert "The check is closed" in words_of(response)
        assert list(CheckLabel.objects.order_by("pk").values_list("is_positive", flat=True)) == before

    @pytest.mark.parametrize("name", ["check", "check_label", "check_close", "check_file"])
    def test_who_has_no_access_finds_nothing(self, client, check, name):
        enter(client, StudyFactory(posts=0, questions=0, steps=()), role="owner")
        ask = client.post if name == "check_close" else client.get
        assert ask(page_of(check, name)).status_code == 404


class TestBlinding:
    """Two checks that differ in nothing but the decisions and what others said give the very same pages."""

    def read_pages(self, client, check):
        addresses = [page_of(check), *(f"{page_of(check, 'check_label')}?post={n}" for n in range(1, 7))]
        pages = [client.get(address) for address in addresses]
        assert {page.status_code for page in pages} == {200}
        return [
            re.sub(r'(csrfmiddlewaretoken" value=")[^"]+', r"\1", page.content.decode()) for page in pages
        ]

    def test_no_page_depends_on_what_the_model_or_anybody_else_said(self, client, check):
        study = check.curation.study
        ben = make_person(study, "ben")
        label_all(check, ben)
        user = enter(client, study)
        services.set_label(check, 2, user, is_positive=True)
        before = self.read_pages(client, check)
        for item in check.items.all():
            item.is_predicted = not item.is_predicted
            item.save()
        for label in CheckLabel.objects.filter(labeler=ben):
            label.is_positive = not label.is_positive
            label.save()
        check.curation.feed_posts.update(
            comprehensibility=1.5, dropped_at="sample", reason="not_drawn", detail="q"
        )
        run = check.curation.runs.get()
        run.readings.update(ratings=(0.0,), detail={})
        assert self.read_pages(client, check) == before
        services.set_label(check, 2, user, is_positive=False)
        assert self.read_pages(client, check) != before  # one's own does show, or nothing here could fail

    def test_reasons_ratings_and_keys_stand_on_no_page_before_the_end(self, client, check):
        label_all(check, make_person(check.curation.study, "ben"))
        label_all(check, enter(client, check.curation.study))
        pages = " ".join(self.read_pages(client, check))
        assert not [word for word in ("quixotic", "key-", "rated", "kappa") if word in pages]
        assert "quixotic" not in client.get(page_of(check), headers={"HX-Request": "true"}).content.decode()
        assert client.get(page_of(check, "check_file")).status_code == 404


class TestClosing:
    def test_it_says_what_is_missing(self, client, check):
        label_all(check, enter(client, check.curation.study))
        page = client.get(page_of(check)).content.decode()
        assert "At least 2 people must have labeled every post; 1 has." in page
        assert page_of(check, "check_close") not in page
        assert "must have labeled" in words_of(client.post(page_of(check, "check_close")), 422)

    def test_whose_labels_will_not_count_is_said_before(self, client, check):
        for name in ("ben", "cem"):
            label_all(check, make_person(check.curation.study, name))
        user = enter(client, check.curation.study)
        services.set_label(check, 1, user, is_positive=True)
        assert "who have not finished will not count: ann" in words_of(client.get(page_of(check)))

    def test_the_page_waits_for_the_results_and_then_shows_them(self, client, check):
        label_all(check, make_person(check.curation.study, "ben"), differing=[3])
        label_all(check, enter(client, check.curation.study), differing=[3])
        assert client.post(page_of(check, "check_close")).url == page_of(check)
        assert "being computed" in words_of(client.get(page_of(check)))
        part = client.get(page_of(check), headers={"HX-Request": "true"})
        assert "hx-trigger" in part.content.decode()
        run_here(services.find_job(check), poll_seconds=0.01)
        assert client.get(page_of(check), headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
        page = words_of(client.get(page_of(check)))
        assert "Cohen’s kappa" in page
        assert "ann and ben 1.000" in page
        assert "ben and the classifier" in page
        assert "(2 of 2)" in page
        assert "quixotic" in page
        assert check.items.get(position=3).feed_post.text in page

    def test_a_failure_is_shown_and_can_be_tried_again(self, client, check):
        label_all(check, make_person(check.curation.study, "ben"))
        label_all(check, enter(client, check.curation.study))
        job = services.close_check(check)
        Job.objects.filter(pk=job.pk).update(
            state="failed", error="The disk was full.", finished_at=timezone.now()
        )
        assert "could not be computed. The disk was full." in words_of(client.get(page_of(check)))
        client.post(page_of(check, "check_close"))
        assert "being computed" in words_of(client.get(page_of(check)))


class TestResults:
    def close(self, client, role="analyst", **fields):
        check = make_check(**fields)
        study = check.curation.study
        user = enter(client, study, role=role)
        label_all(check, make_person(study, "ben"), differing=[1])
        label_all(check, user)
        close_here(check)
        return check

    def test_the_stand_in_is_named_on_the_page_and_in_the_file(self, client):
        check = self.close(client, is_standin=True)
        words = "Stand-in: not from a real model."
        assert words in words_of(client.get(page_of(check)))
        lines = b"".join(client.get(page_of(check, "check_file")).streaming_content).decode().splitlines()
        assert (
            lines[0] == "position,key,rating,classifier,majority,unanimous,label_ann,label_ben,ratings_from"
        )
        assert len(lines) == 7
        assert all(line.endswith(words) for line in lines[1:])

    def test_the_file_holds_every_label_and_is_for_those_who_may_export(self, client):
        check = self.close(client)
        lines = b"".join(client.get(page_of(check, "check_file")).streaming_content).decode().splitlines()
        item = check.items.get(position=1)
        said, other = ("yes", "no") if item.is_predicted else ("no", "yes")
        assert (
            lines[1]
            == f"1,{item.feed_post.key},{item.feed_post.comprehensibility:g},{said},,,{said},{other},"
        )
        client.force_login(make_person(check.curation.study, "cem", "assistant"))
        assert client.get(page_of(check, "check_file")).status_code == 404
        assert page_of(check, "check_file") not in client.get(page_of(check)).content.decode()

    def test_a_number_that_does_not_exist_is_a_dash_with_its_reason(self, client):
        check = make_check([0, 0, 1])
        label_all(check, make_person(check.curation.study, "ben"))
        label_all(check, enter(client, check.curation.study))
        close_here(check)
        page = words_of(client.get(page_of(check)))
        assert "– both give every post one and the same label" in page
        assert "the classifier said “Comprehensible” to 0 and “Not comprehensible” to 3 only" in page
        assert "They differ nowhere" in page
