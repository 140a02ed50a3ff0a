import re

import pytest

from annotation.attention.number_image import draw_task
from annotation.models import Attempt, Draft, Enrollment, GateDecision, Outcome, Step, Study
from annotation.views.attention import _draw_for
from annotation.views.number_words import NUMBER_WORDS
from tests.every_step import ALL_CODES, GRID, build_study
from tests.visitor import enter, find_codes, freeze_rows, read, step_path

pytestmark = pytest.mark.django_db
RIGHT_GRID = {"row-item": "0", "row-told": "3", "row-page": "1"}


@pytest.fixture
def study():
    return build_study("number", "vcq")


@pytest.fixture
def enrollment(client, study):
    return enter(client, study)


@pytest.fixture
def here(study, enrollment):
    return step_path(study, "attention_check")


@pytest.fixture
def number(study, enrollment):
    return draw_task(_draw_for(enrollment, study.steps.first())).number


def in_full_width(number):
    return "".join(chr(ord("\uff10") + int(digit)) for digit in str(number))


class TestTheNumber:
    def test_is_asked_for_beside_its_image_and_opening_the_page_stores_nothing(self, client, here):
        before = freeze_rows()
        page = read(client.get(here))
        assert page.find("data-check").attributes["data-check"] == "number"
        assert page.form().controls["seen"].values == [""]
        assert 'src="data:image/png;base64,' in client.get(here).content.decode()
        assert freeze_rows() == before

    def test_stands_nowhere_on_the_page_as_digits_or_as_a_word(self, client, study):
        for each in range(40):
            enrollment = enter(client, study, f"rater-{each}")
            number = draw_task(_draw_for(enrollment, study.steps.first())).number
            response = client.get(step_path(study, "attention_check"))
            alt = re.search(r'alt="([^"]*)"', response.content.decode())[1]
            said = f"{read(response).text} {alt}"
            assert not re.search(rf"(?<!\d){number}(?!\d)", said)
            assert not re.search(rf"(?<![\w-]){NUMBER_WORDS[number]}(?![\w-])", said)

    def test_is_the_same_at_every_visit(self, client, here):
        pages = [re.search(r"base64,[^\"]*", client.get(here).content.decode())[0] for _ in range(2)]
        assert pages[0] == pages[1]

    @pytest.mark.parametrize("write", [str, in_full_width, lambda number: f" {number}\u200f "])
    def test_read_rightly_in_any_digits_passes(self, client, study, here, number, write):
        response = client.post(here, {"seen": write(number)})
        assert (response.status_code, response.url) == (303, step_path(study, "vcq"))
        assert GateDecision.objects.get().passed
        assert Attempt.objects.get().is_right

    def test_read_wrongly_is_stored_and_leads_on_without_a_word(self, client, study, here, number):
        response = client.post(here, {"seen": str(number + 1)}, follow=True)
        assert response.redirect_chain[-1][0] == step_path(study, "vcq")
        assert not GateDecision.objects.get().passed
        assert Attempt.objects.get().answers == {"number": number + 1}
        assert 'role="alert"' not in read(response).text

    @pytest.mark.parametrize(
        "sent",
        ["", " ", "seventy", "4 2", "4.2", "-42", "\x00", "9" * 10, "9" * 5000, "½", "<b>42</b>", None],
    )
    def test_what_cannot_be_a_number_is_asked_again_and_counts_as_no_failure(
        self, client, here, number, sent
    ):
        before = freeze_rows()
        response = client.post(here, {} if sent is None else {"seen": sent})
        assert response.status_code == 422
        if sent and sent.strip() and len(sent) <= 40 and sent != "\x00":
            assert read(response).form().controls["seen"].values == [sent]
        assert freeze_rows() == before
        client.post(here, {"seen": str(number)})
        assert GateDecision.objects.get().passed

    def test_answered_first_stands(self, client, here, number):
        client.post(here, {"seen": str(number + 1)})
        client.post(here, {"seen": str(number)})
        assert not GateDecision.objects.get().passed
        assert Attempt.objects.count() == 1

    def test_typed_and_not_sent_is_kept(self, client, here):
        client.post(f"{here}draft/", {"item": "", "seen": "7", "draft-number": "1"})
        assert read(client.get(here)).form().controls["seen"].values == ["7"]
        assert "seen=7" in Draft.objects.get().fields


class TestTheGrid:
    @pytest.fixture
    def here(self, client):
        study = build_study("grid", "vcq")
        enter(client, study)
        return step_path(study, "attention_check")

    def test_shows_every_row_with_every_answer_and_marks_none(self, client, here):
        page = read(client.get(here))
        controls = page.form().controls
        for row in GRID["rows"]:
            assert row["text"] in page.text
            assert controls[f"row-{row['key']}"].options == ["0", "1", "2", "3", "4"]
            assert controls[f"row-{row['key']}"].values == []

    @pytest.mark.parametrize(("told", "passed"), [("3", True), ("2", False)])
    def test_is_passed_by_the_answer_that_its_row_asks_for(self, client, here, told, passed):
        assert client.post(here, RIGHT_GRID | {"row-told": told}).status_code == 303
        assert GateDecision.objects.get().passed is passed
        assert Attempt.objects.get().answers == {"item": "0", "told": told, "page": "1"}

    @pytest.mark.parametrize("sent", ["", "5", "x", "\x00"])
    def test_what_is_missing_is_asked_beside_its_row_and_the_rest_is_kept(self, client, here, sent):
        before = freeze_rows()
        response = client.post(here, RIGHT_GRID | {"row-told": sent})
        page = read(response)
        assert response.status_code == 422
        assert page.text.count("Please choose an answer.") == 1
        assert page.form().controls["row-item"].values == ["0"]
        assert freeze_rows() == before

    def test_chosen_and_not_sent_is_kept_also_in_rows_named_as_hidden_fields_are(self, client, here):
        client.post(f"{here}draft/", {"item": "", "row-item": "4", "row-page": "2"})
        controls = read(client.get(here)).form().controls
        assert (controls["row-item"].values, controls["row-page"].values) == (["4"], ["2"])


class TestFailing:
    @pytest.fixture
    def study(self):
        return build_study("grid", "grid", "grid", "vcq", attention_limit=2)

    def fail(self, client, study, *, times):
        enter(client, study)
        checks = Step.objects.filter(study=study, kind="attention_check").order_by("position")
        for check in checks[:times]:
            response = client.post(f"/s/{study.slug}/step/{check.position}/", RIGHT_GRID | {"row-told": "0"})
        return response

    def test_below_the_limit_leads_on(self, client, study):
        Study.objects.update(attention_consequence="end")
        self.fail(client, study, times=1)
        assert Enrollment.objects.get().outcome == ""

    def test_at_the_limit_ends_the_study_with_its_own_page_and_code(self, client, study):
        Study.objects.update(attention_consequence="end")
        response = self.fail(client, study, times=2)
        last = client.get(response.url)
        assert read(last).find("data-outcome").attributes["data-outcome"] == Outcome.FAILED_ATTENTION
        assert find_codes(last.content.decode(), ALL_CODES.values()) == {ALL_CODES[Outcome.FAILED_ATTENTION]}

    def test_is_only_noted_where_the_study_says_so(self, client, study):
        response = self.fail(client, study, times=3)
        assert response.url == step_path(study, "vcq")
        assert GateDecision.objects.filter(passed=False).count() == 3
