import re
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation import services
from annotation.models import Enrollment, Exclusion, Outcome, Rater, Study, StudyAccess
from modeling.models import QualityFlag
from modeling.watching import overview
from tests.modeling.watching.people import (
    attempt,
    come,
    complete,
    decide,
    forget,  # noqa: F401 - a fixture
    make_study,
    read_posts,
    set_time,
    visit,
)

pytestmark = pytest.mark.django_db


def watch_page(study):
    return reverse("modeling:watch", args=[study.slug])


def people_page(study):
    return reverse("modeling:people", args=[study.slug])


def person_page(study, person):
    return reverse("modeling:person", args=[study.slug, person.rater.pseudonym])


def pages_of(study, person):
    return watch_page(study), people_page(study), person_page(study, person)


def text_of(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def log_in_as(client, role=None, study=None, name="colleague"):
    user = get_user_model().objects.create_user(name, is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)


def test_strangers_are_sent_to_the_login(client):
    study = make_study()
    for address in pages_of(study, come(study)):
        response = client.get(address)
        assert response.status_code == 302
        assert "login" in response["Location"]


def test_staff_without_access_find_nothing_and_learn_nothing(client):
    study, own = make_study(), make_study()
    person = come(study)
    log_in_as(client, StudyAccess.Role.OWNER, own)
    for address in pages_of(study, person):
        assert client.get(address).status_code == 404
    assert client.get(person_page(own, person)).status_code == 404


@pytest.mark.parametrize("role", StudyAccess.Role.values)
def test_every_role_may_watch(client, role):
    study = make_study()
    person = come(study)
    log_in_as(client, role, study)
    for address in pages_of(study, person):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize(("role", "sees"), [("owner", True), ("analyst", False), ("assistant", False)])
def test_only_who_may_identify_sees_prolific_ids(client, role, sees):
    study = make_study()
    person = complete(study, prolific_session_id="session-of-theirs", prolific_study_id="at-prolific")
    log_in_as(client, role, study)
    for address in pages_of(study, person):
        page = client.get(address).content.decode()
        expected = sees and address == person_page(study, person)
        assert (person.rater.external_id in page) == expected
        assert ("session-of-theirs" in page) == expected


def test_no_page_holds_what_opens_the_participants_own_pages(admin_client):
    study = make_study()
    person = complete(study)
    for address in pages_of(study, person):
        page = admin_client.get(address).content.decode()
        assert str(person.public_id) not in page
        assert person.public_id.hex not in page


def test_nothing_can_be_sent_to_these_pages(admin_client):
    study = make_study()
    for address in pages_of(study, come(study)):
        assert admin_client.post(address).status_code == 405


def test_the_numbers_are_on_the_page(admin_client):
    study = make_study(reward=250, target_participants=10, redundancy_cap=2)
    for minutes in (20, 30, 60):
        read_posts(complete(study, minutes=minutes, minutes_ago=100), study.posts.all()[:2])
    person = come(study, took=(1, 2), outcome=Outcome.SCREENED_OUT)
    decide(person, "gating", False)
    attempt(person, "training", "t1", False, True)
    come(study, took=(1,), minutes_ago=2)
    text = text_of(admin_client.get(watch_page(study)))
    assert "Came 5" in text
    assert "Inside now 1 1 active in the last 10 minutes" in text
    assert "Completed 3 of 10 wanted" in text
    assert "Median time 30.0 minutes; the middle half took 25.0 to 45.0" in text
    assert "Pay per hour £5.00 £2.50 for the median time; at least £6.00 is due" in text
    assert "Paid below Prolific’s minimum." in text
    assert "A reward of £3.00 would be fair" in text
    assert "3. Gating 4 3" in text
    assert "1 screened out" in text
    assert "0 of 1 passed" in text
    assert "t1 practice, step 2 1 1 1.00" in text
    assert "6 ratings of 3 posts: 2.00 each, from 0 to 3." in text
    assert "2 of 3 posts have reached the cap of 2." in text


def test_fair_pay_is_no_problem(admin_client):
    study = make_study(reward=300)
    complete(study, minutes=30)
    text = text_of(admin_client.get(watch_page(study)))
    assert "£6.00" in text
    assert "below Prolific" not in text


def test_an_empty_study_and_one_that_was_only_rehearsed_can_be_looked_at(admin_client):
    study = make_study(state=Study.State.DRAFT)
    assert "Came 0" in text_of(admin_client.get(watch_page(study)))
    assert "Nobody has come yet." in text_of(admin_client.get(people_page(study)))
    tester = complete(study, phase=Enrollment.Phase.REHEARSAL, origin=Rater.Origin.TEST)
    overview.memory.clear()
    assert "Came 0" in text_of(admin_client.get(watch_page(study)))
    assert "Nobody has come yet." in text_of(admin_client.get(people_page(study)))
    assert "Rehearsal, Test participant" in text_of(
        admin_client.get(people_page(study), {"group": "rehearsal"})
    )
    assert "Test participant" in text_of(admin_client.get(person_page(study, tester)))


def test_groups_are_apart_and_simulated_raters_are_marked(admin_client):
    study = make_study()
    complete(study)
    complete(study, origin=Rater.Origin.SIMULATED)
    complete(study, phase=Enrollment.Phase.PILOT)
    text = text_of(admin_client.get(watch_page(study)))
    assert "Live 1 Pilot 1 Simulated 1" in text
    assert "say nothing about people" not in text
    assert "say nothing about people" in text_of(admin_client.get(watch_page(study), {"group": "simulated"}))
    assert "People of the pilot." in text_of(admin_client.get(watch_page(study), {"group": "pilot"}))


def test_htmx_gets_the_parts_that_change_and_the_page_names_them_all(admin_client):
    study = make_study()
    complete(study)
    page = admin_client.get(watch_page(study))
    part = admin_client.get(watch_page(study), headers={"HX-Request": "true"})
    assert "<html" in page.content.decode()
    assert "<html" not in part.content.decode()
    assert "HX-Request" in page["Vary"]
    assert "no-store" in page["Cache-Control"]
    swapped = re.search(r'hx-select-oob="([^"]+)"', page.content.decode())[1]
    for target in swapped.split(","):
        name = target.split(":")[0].removeprefix("#")
        for response in (page, part):
            assert response.content.decode().count(f'id="{name}"') == 1
    assert 'hx-trigger="every 5s, look"' in page.content.decode()
    assert "data-seen-at" in part.content.decode()


def test_nothing_that_changes_by_itself_is_read_aloud(admin_client):
    part = admin_client.get(watch_page(make_study()), headers={"HX-Request": "true"}).content.decode()
    assert not re.search(r'aria-live|role="(status|alert|log)"', part)


def test_whoever_can_have_the_focus_keeps_it_when_the_parts_are_renewed(admin_client):
    study = make_study()
    come(study, took=(1,))
    part = admin_client.get(watch_page(study), headers={"HX-Request": "true"}).content.decode()
    links = re.findall(r"<a [^>]*>", part)
    assert links
    assert all(' id="' in link for link in links)  # htmx gives the focus back by the id


def test_there_is_a_link_to_load_the_page_again_and_no_script_in_it(admin_client):
    page = admin_client.get(watch_page(make_study())).content.decode()
    assert '<a href="?group=live">Load again</a>' in page
    assert not re.search(r"<script(?![^>]*src=)|style=|onclick", page)


def test_what_people_typed_is_shown_as_text(admin_client):
    nasty = "<script>alert('x')</script>"
    study = make_study(name=f"Study {nasty}")
    study.posts.filter(key="p1").update(text=nasty)
    person = complete(study)
    read_posts(person, study.posts.filter(key="p1"))
    person.annotations.update(rationale=nasty)
    attempt(person, "training", nasty, False)
    decide(person, "gating", False, nasty)
    visit(person, "labeling", nasty, away=1, away_ms=5)
    Exclusion.objects.create(enrollment=person, reason=nasty)
    QualityFlag.objects.create(enrollment=person, rule=nasty[:40], number=1, limit=2)
    for address in (*pages_of(study, person), f"{people_page(study)}?q={nasty}"):
        page = admin_client.get(address).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;" in page


def test_the_list_links_to_journeys_and_keeps_its_filter_from_page_to_page(admin_client, monkeypatch):
    monkeypatch.setattr("modeling.watching.people.PER_PAGE", 2)
    study = make_study()
    people = [come(study, took=(1,), minutes_ago=5) for _ in range(3)]
    complete(study)
    page = admin_client.get(people_page(study), {"where": "inside", "step": 2}).content.decode()
    assert page.count("/people/") - page.count('/people/"') >= 2
    assert person_page(study, people[-1]) in page
    assert "?where=inside&amp;step=2&amp;page=2" in page
    assert "3 people, the newest first." in page
    assert "Nobody is like that." in text_of(admin_client.get(people_page(study), {"q": "zzz"}))


@pytest.mark.parametrize("query", [{"step": "99"}, {"where": "nowhere"}, {"group": "all"}, {"q": "a" * 40}])
def test_a_filter_that_is_none_says_so_beside_its_field(admin_client, query):
    study = make_study()
    come(study)
    response = admin_client.get(people_page(study), query)
    assert response.status_code == 422
    assert 'class="error"' in response.content.decode()
    assert "newest first" not in response.content.decode()


def test_a_journey_shows_what_happened(admin_client):
    study = make_study()
    person = complete(study, minutes=30)
    read_posts(person, study.posts.all()[:2], minutes=2)
    decide(person, "gating", True, "2 of 2 right, 1 needed")
    visit(person, "labeling", minutes=6, away=3, away_ms=120_000)
    text = text_of(admin_client.get(person_page(study, person)))
    assert "Total time 30.0 minutes, arrival to end" in text
    assert "Active time 4.0 minutes with a page in view" in text
    assert "Looked away 3 × 2.0 minutes, noted on 1 of 1 pages" in text
    assert "Posts read 2 median 2.0 minutes each" in text
    assert "Passed: 2 of 2 right, 1 needed" in text
    assert "nothing above the lowest 10 rated" in text
    assert str(person.rater.pseudonym) in text


def test_someone_who_withdrew_is_a_proof_and_nothing_else(admin_client):
    study = make_study()
    person = come(study, took=(1, 1, 1))
    read_posts(person, study.posts.all())
    before = person.rater.pseudonym
    services.withdraw(person)
    assert admin_client.get(reverse("modeling:person", args=[study.slug, before])).status_code == 404
    text = text_of(admin_client.get(person_page(study, person)))
    assert "This person withdrew on" in text
    assert "3 × annotation" in text
    assert "The way" not in text
    assert "withdrawn-" not in text  # the stand-in's name


def test_nobody_and_nonsense_are_not_found(admin_client):
    study = make_study()
    assert admin_client.get(reverse("modeling:person", args=[study.slug, uuid4()])).status_code == 404
    assert admin_client.get(f"{people_page(study)}someone/").status_code == 404


def count_queries(client, address):
    overview.memory.clear()
    with CaptureQueriesContext(connection) as queries:
        assert client.get(address).status_code == 200
    return len(queries)


def test_pages_take_the_same_few_queries_however_many_people_there_are(admin_client):
    study = make_study()
    person = complete(study)
    addresses = pages_of(study, person)
    for address in addresses:
        admin_client.get(address)
    few = [count_queries(admin_client, address) for address in addresses]
    for _ in range(6):
        read_posts(complete(study), study.posts.all())
        come(study, took=(1,), minutes_ago=50)
    set_time(person, timed_out_at=None)
    assert [count_queries(admin_client, address) for address in addresses] == few


def test_the_study_menu_leads_to_both_pages(admin_client):
    study = make_study()
    page = admin_client.get(watch_page(study)).content.decode()
    assert f'<a href="{watch_page(study)}" aria-current="page">Watch</a>' in page
    assert f'<a href="{people_page(study)}">People</a>' in page
