"""A card says whom a model was made of, how well it does, and what it must not be used for."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from modeling.reports.card import LIMITS, NO_LICENSE, NO_SCOPE, NOT_FOR, CardFacts, card_content, compose_card
from modeling.reports.document.blocks import Document, Facts, Grid, Heading, Paragraph, Points
from modeling.reports.document.html import write_html
from modeling.reports.document.pdf import write_pdf
from modeling.reports.evaluation import describe_evaluation
from tests.modeling.reports.made_up import make_evaluation, make_personal

ABOUT = {"inclusion": "everyone who completed", "n_simulated": 0}
FACTS = CardFacts(
    name="Who sees <what>",
    fit="Fit 12",
    made="21 November 2026",
    consent_scope="Research on values, by this team alone.",
    data_hash="ab" * 32,
    code_version="0.2.0",
    versions={"numpy": "2.4.0"},
    files={"forest: care": "cd" * 32},
    settings={"seed": 1},
    languages=("en", "de"),
    license_note="For research.",
    contact="lab@example.org",
)
BARE = CardFacts("A study", "1", "today", "", "ab" * 32, "0.2.0")


@pytest.fixture(scope="module")
def measures():
    return describe_evaluation(make_personal(), seed=1) | ABOUT


@pytest.fixture(scope="module")
def old():
    return describe_evaluation(make_evaluation(), seed=1) | ABOUT | {"n_simulated": 24}


def texts_of(document: Document) -> list[str]:
    found = [document.title, document.subtitle]
    for block in document.blocks:
        match block:
            case Heading() | Paragraph():
                found.append(block.text)
            case Points():
                found += block.items
            case Facts():
                found += [part for pair in block.pairs for part in pair]
            case Grid():
                found += [cell for row in block.rows for cell in row]
    return found


def test_the_content_is_strict_json_and_has_every_part(measures, old):
    for each in (measures, old):
        content = card_content(FACTS, each)
        assert json.loads(json.dumps(content, allow_nan=False)) == content
        assert content.keys() == {
            "schema", "name", "fit", "made", "data", "split", "method", "metrics", "verdict", "controls", "groups",
            "coverage", "intended_use", "not_for", "consent_scope", "limits", "provenance", "license", "contact",
        }  # fmt: skip


def test_its_numbers_are_those_of_the_evaluation(measures):
    content = card_content(FACTS, measures)
    assert content["data"]["raters"] == 60
    assert content["data"]["languages"] == ["en", "de"]
    assert content["split"] == {
        "held_out_posts": 10,
        "new_raters": 20,
        "could_see": ["ratings of 30 posts and the answers."],
    }
    assert content["metrics"]["known"]["conditions"] == measures["controls"]["conditions"]
    assert content["metrics"]["new_posts"]["annotations"] == measures["cold_start"]["new_posts"]["n_rows"]
    assert {row["from"] for row in content["metrics"]["known_posts"]["differences"]} == {
        "text", "text_forest", "forest"
    }  # fmt: skip
    assert [row["answer"] for row in content["groups"]["gains"]] == ["left", "right"]
    assert content["coverage"] == measures["coverage"]


def test_the_document_says_all_that_it_must(measures):
    texts = texts_of(compose_card(FACTS, measures))
    for sentence in (
        *NOT_FOR,
        *LIMITS,
        FACTS.consent_scope,
        measures["verdict"]["sentence"],
        measures["controls"]["permuted"]["sentence"],
        "ratings of 30 posts and the answers.",
        "For research.",
        "lab@example.org",
        "en, de",
        "ab" * 32,
        "cd" * 32,
        "2.4.0",
    ):
        assert sentence in texts
    assert "The paper’s forest" in texts
    assert "Mixed effects of raters" in texts
    said = " ".join(NOT_FOR)
    for word in ("what a person values", "protected traits", "consented", "truly expresses", "unlike those"):
        assert word in said


def test_what_must_not_be_done_stands_before_the_numbers(measures):
    blocks = compose_card(FACTS, measures).blocks
    first_table = next(place for place, block in enumerate(blocks) if isinstance(block, Grid))
    assert blocks.index(Points(NOT_FOR)) < first_table


def test_what_the_study_does_not_state_is_warned_of(measures):
    content = card_content(BARE, measures)
    assert (content["consent_scope"], content["license"]) == (NO_SCOPE, NO_LICENSE)
    document = compose_card(BARE, measures)
    assert Paragraph(NO_SCOPE, is_warning=True) in document.blocks
    assert "not stated" in texts_of(document)
    assert any("languages of the posts are not stated" in limit for limit in content["limits"])


def test_an_older_fit_has_a_card_that_says_what_was_not_evaluated(old):
    document = compose_card(FACTS, old)
    text = "\n".join(texts_of(document))
    assert "24 of the 24 raters are simulated" in text
    assert "Not evaluated: new raters, new posts." in text
    assert "Prediction intervals for known raters were not checked" in text
    assert "Only 24 raters" in text
    assert "None" not in text
    assert write_pdf(document).startswith(b"%PDF-")


@pytest.mark.parametrize(("shift", "word"), [(0.6, "too narrow"), (-1.0, "too wide")])
def test_intervals_that_do_not_keep_their_promise_are_a_limit(shift, word):
    data = make_personal()
    low, high = data.intervals["known"]
    data.intervals["known"] = (low + shift, high - shift)
    limits = card_content(FACTS, describe_evaluation(data, seed=1) | ABOUT)["limits"]
    assert any(f"for known raters are {word}" in limit for limit in limits)


def test_a_leak_and_a_loss_are_warnings():
    measures = describe_evaluation(make_personal(leak=0.4, gap=2.0), seed=1) | ABOUT
    warnings = [
        block.text
        for block in compose_card(FACTS, measures).blocks
        if isinstance(block, Paragraph) and block.is_warning
    ]
    assert warnings == [measures["verdict"]["sentence"], measures["controls"]["permuted"]["sentence"]]


def test_it_can_be_written_and_shows_texts_as_they_are(measures):
    document = compose_card(FACTS, measures)
    html = write_html(document)
    assert "Who sees &lt;what&gt;" in html
    assert "<what>" not in html
    assert write_pdf(document).startswith(b"%PDF-")


def test_facts_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        FACTS.name = "Another"


def test_a_consent_of_several_lines_is_set_in_paragraphs(measures):
    blocks = compose_card(
        replace(FACTS, consent_scope="Purpose: research.\n\nSharing: none."), measures
    ).blocks
    assert Paragraph("Purpose: research.") in blocks
    assert Paragraph("Sharing: none.") in blocks


def test_an_evaluation_from_before_the_card_is_refused(measures):
    older = {key: found for key, found in measures.items() if key != "verdict"}
    with pytest.raises(ValueError, match="evaluate the fit again"):
        card_content(FACTS, older)
