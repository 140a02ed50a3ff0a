import re
from base64 import b64decode
from html import unescape

import pytest

from modeling.reports.document.blocks import (
    Document,
    Facts,
    Grid,
    Heading,
    Paragraph,
    Picture,
    Points,
    make_grid,
    write_cell,
)
from modeling.reports.document.compose import LONGEST_TABLE, WIDEST_TABLE, About, Part, StoredFigure, compose
from modeling.reports.document.html import write_html
from modeling.reports.document.pdf import write_pdf
from modeling.reports.evaluation import describe_evaluation
from tests.modeling.reports import samples
from tests.modeling.reports.made_up import make_evaluation

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
HOSTILE = 'A #panic("x") *bold* $x$ <script>alert(1)</script> \\ @label [y] "quoted" & é'
ABOUT = About(name="Who sees what", version="3", made="21 November 2026")


def measure(rho, **further):
    return {"rho": rho, "interval": [0.1, 0.3], "posts": 50, "undefined": 7, "compared": 900} | further


def build_figure(key="alpha", n_rows=2):
    columns = [
        {"key": "value", "label": "Value", "kind": "text"},
        {"key": "alpha", "label": "Alpha", "kind": "number"},
    ]
    rows = [[f"value {number}", number / 100] for number in range(n_rows)]
    return StoredFigure(
        key, f"Figure of {key}", f"Caption of {key}.", SVG, {"columns": columns, "rows": rows}
    )


def build_agreement(**changes):
    measures = {
        "n_raters": 120,
        "n_posts": 200,
        "n_annotations": 3600,
        "n_values": 2,
        "n_simulated": 0,
        "n_excluded": 0,
        "scale": [0, 6],
        "inclusion": "everyone who completed the study",
        "values": [{"key": "care", "name": "Caring"}, {"key": "face", "name": "Reputation"}],
        "human_human": measure(0.2034),
        "human_human_over_raters": {
            "interval": [0.15, 0.25],
            "raters": 118,
            "left_out": 2,
            "resamples": 1000,
        },
        "human_consensus": measure(0.2651),
        "alpha_range": {
            "lowest": {"value": "face", "alpha": 0.11},
            "highest": {"value": "care", "alpha": 0.45},
            "median": 0.3,
        },
        "notes": ["Note of people.", "Note of both."],
        "data_hash": "ab" * 32,
        "inputs_hash": "ef" * 32,
        "code_version": "0.1.0+abc",
        "seed": 5,
    }
    return Part(measures | changes, [build_figure()], "20 November 2026")


def build_evaluation(**changes):
    measures = build_agreement().measures | {
        "holdout": {"n_posts": 56, "human_human": measure(0.2)},
        "models": {"text": measure(0.15)},
        "personalized": measure(0.3),
        "gain": {"mean": -0.02, "interval": [-0.05, 0.01], "n_raters": 110, "share_better": 0.4},
        "notes": ["Note of both.", "Note of models."],
        "data_hash": "cd" * 32,
    }
    return Part(measures | changes, [build_figure("agreement")], "21 November 2026")


def list_texts(document):
    for block in document.blocks:
        match block:
            case Heading() | Paragraph():
                yield block.text
            case Points():
                yield from block.items
            case Facts():
                yield from (fact for _, fact in block.pairs)
            case Picture():
                yield block.caption
            case Grid():
                yield from (cell for row in block.rows for cell in row)


def test_the_findings_are_the_stored_numbers_in_words():
    text = "\n".join(list_texts(compose(ABOUT, build_agreement(), build_evaluation())))
    assert (
        "Two people who read the same post agree with a mean rho of 0.203 (0.100 to 0.300, 50 posts; 7 of 900"
        in text
    )
    assert "would lie between 0.150 and 0.250 (bootstrap over 118 raters)" in text
    assert "alpha runs from 0.110 (Reputation) to 0.450 (Caring); its median over the values is 0.300" in text
    assert "the personalized prediction with a mean rho of 0.300" in text
    assert "50 % more than with one other person" in text
    assert "25 % less than with one other person" in text
    assert "by \N{MINUS SIGN}0.020 on average" in text
    assert "higher for 40 % of them" in text


def test_the_methods_state_sample_scale_rule_and_resampling():
    text = "\n".join(list_texts(compose(ABOUT, build_agreement(n_excluded=4), build_evaluation())))
    for said in (
        "120 raters made 3,600 annotations of 200 posts",
        "from 0 to 6",
        "everyone who completed the study; 4 were excluded",
        "percentile bootstraps over posts",
        "56 posts that were set aside",
    ):
        assert said in text


def test_versions_hashes_and_seeds_of_both_reports_are_named():
    texts = list(list_texts(compose(ABOUT, build_agreement(), build_evaluation())))
    for fact in (
        "3",
        "ab" * 32,
        "cd" * 32,
        "ef" * 32,
        "0.1.0+abc",
        "5",
        "20 November 2026",
        "21 November 2026",
    ):
        assert fact in texts


def test_a_note_of_both_reports_stands_once():
    texts = list(list_texts(compose(ABOUT, build_agreement(), build_evaluation())))
    assert [texts.count(note) for note in ("Note of people.", "Note of both.", "Note of models.")] == [
        1,
        1,
        1,
    ]


def test_simulated_raters_are_named_before_anything_else():
    first = compose(ABOUT, build_agreement(n_simulated=120), None).blocks[0]
    assert isinstance(first, Paragraph)
    assert first.is_warning
    assert "120 of the 120 raters are simulated" in first.text
    assert not any(
        isinstance(block, Paragraph) and block.is_warning
        for block in compose(ABOUT, build_agreement(), None).blocks
    )


def test_what_does_not_exist_is_said_and_not_invented():
    nothing = {"lowest": None, "highest": None, "median": None}
    empty = measure(None, interval=[None, None], compared=3)
    part = build_agreement(human_human=empty, alpha_range=nothing)
    text = "\n".join(list_texts(compose(ABOUT, part, build_evaluation(personalized=None))))
    assert "no defined rho (all 3 comparisons" in text
    assert "alpha is not defined for any value" in text
    assert "the personalized prediction" not in text
    assert "None" not in text
    assert "nan" not in text


def test_one_report_is_enough_and_none_is_refused():
    assert "How far people agree" not in list(list_texts(compose(ABOUT, None, build_evaluation())))
    assert "People and models" not in list(list_texts(compose(ABOUT, build_agreement(), None)))
    with pytest.raises(ValueError, match="there is none; make one first"):
        compose(ABOUT, None, None)


def test_a_long_table_is_left_to_its_file():
    part = Part(build_agreement().measures, [build_figure(n_rows=LONGEST_TABLE + 1)], "today")
    document = compose(ABOUT, part, None)
    assert not any(isinstance(block, Grid) for block in document.blocks)
    assert any(f"are {LONGEST_TABLE + 1} rows of 2 columns" in text for text in list_texts(document))


def test_a_wide_table_is_left_to_its_file():
    table = {
        "columns": [{"key": f"c{n}", "label": f"C{n}", "kind": "number"} for n in range(WIDEST_TABLE + 1)],
        "rows": [[0.5] * (WIDEST_TABLE + 1)],
    }
    part = Part(build_agreement().measures, [StoredFigure("wide", "Wide", "Caption.", SVG, table)], "today")
    document = compose(ABOUT, part, None)
    assert not any(isinstance(block, Grid) for block in document.blocks)
    assert any(f"1 rows of {WIDEST_TABLE + 1} columns" in text for text in list_texts(document))


def test_a_table_too_wide_with_its_intervals_is_shown_without_them():
    kinds = ["text"] + ["number", "interval"] * 7
    columns = [{"key": f"c{n}", "label": f"C{n}", "kind": kind} for n, kind in enumerate(kinds)]
    row = ["care"] + [0.5, [0.4, 0.6]] * 7
    figure = StoredFigure("wide", "Wide", "Caption.", SVG, {"columns": columns, "rows": [row]})
    (grid,) = [
        block
        for block in compose(ABOUT, Part(build_agreement().measures, [figure], "today"), None).blocks
        if isinstance(block, Grid)
    ]
    assert grid.rows == (("care", *["0.500"] * 7),)
    assert grid.title.endswith("without their intervals")


def test_a_drawing_taller_than_a_page_is_set_to_fit():
    tall = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="100" height="900"><rect width="9" height="9"/></svg>'
    )
    blocks = (Picture("tall", tall, "Tall", "Caption.", "Words"),)
    assert write_pdf(Document("Title", "Subtitle", blocks)).count(b"/Type /Page\n") <= 2


@pytest.mark.parametrize(
    ("cell", "kind", "written"),
    [
        (0.12345, "number", "0.123"),
        (-0.5, "signed", "\N{MINUS SIGN}0.500"),
        (0.5, "signed", "+0.500"),
        (12345, "count", "12,345"),
        (0.256, "share", "26 %"),
        (0.0004, "p", "< .001"),
        (0.04, "p", "0.040"),
        ([0.1, None], "interval", "0.100 to \N{EN DASH}"),
        (None, "number", "\N{EN DASH}"),
        ("as it is", "text", "as it is"),
    ],
)
def test_cells_are_written_by_their_kind(cell, kind, written):
    assert write_cell(cell, kind) == written


def test_the_html_stands_by_itself():
    html = write_html(compose(ABOUT, build_agreement(), build_evaluation()))
    assert "<script" not in html
    assert not re.search(r'(src|href)="(?!data:)', html)
    drawings = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', html)
    assert [b64decode(drawing).decode() for drawing in drawings] == [SVG, SVG]
    assert html.count("<h1>") == 1
    assert html.count("<table>") == 2


def test_texts_of_a_study_are_shown_as_they_are():
    html = write_html(compose(About(HOSTILE, "1", "today"), build_agreement(inclusion=HOSTILE), None))
    assert "<script" not in html
    assert unescape(html).count(HOSTILE) == 3  # title, heading and methods


def test_the_pdf_takes_texts_that_look_like_markup():
    hostile = build_agreement(inclusion=HOSTILE, notes=[HOSTILE])
    plain = write_pdf(compose(ABOUT, build_agreement(), None))
    assert plain.startswith(b"%PDF-")
    pdf = write_pdf(compose(About(HOSTILE, HOSTILE, "today"), hostile, build_evaluation()))
    assert pdf.startswith(b"%PDF-")
    assert len(pdf) > len(plain)


def test_every_kind_of_block_is_set():
    table = {"columns": [{"key": "p", "label": "p", "kind": "p"}], "rows": [[0.5], [None]]}
    blocks = (
        Heading("A", 2),
        Paragraph("B", is_warning=True),
        Points(("C",)),
        Facts((("D", "E"),)),
        Picture("f", SVG, "F", "G", "H"),
        make_grid("I", table),
    )
    document = Document("Title", "Subtitle", blocks)
    assert write_pdf(document).startswith(b"%PDF-")
    html = write_html(document)
    for text in ("Title", "Subtitle", "A", "B", "C", "D", "E", "G", 'alt="H"', "I", "0.500"):
        assert text in html


# --- personalization


def build_personal(**changes):
    measures = samples.build_evaluation(**changes) | {"data_hash": "cd" * 32, "inputs_hash": "ef" * 32}
    measures |= {"code_version": "0.2.0"}
    keys = (
        "agreement_by_condition",
        "gain_distribution",
        "controls",
        "cold_start",
        "learning_answers",
        "interval_coverage",
    )
    figures = [build_figure(key) for key in keys]
    return Part(measures, figures, "today")


def list_headings(document):
    return [block.text for block in document.blocks if isinstance(block, Heading)]


def test_the_two_questions_stand_apart_with_their_figures():
    document = compose(ABOUT, None, build_personal())
    headings = list_headings(document)
    known = headings.index("A. Known raters on new posts")
    assert headings[known : known + 6] == [
        "A. Known raters on new posts",
        "B. New raters who only answered the questionnaire",
        "What must be beaten",
        "How much there is to learn from",
        "Prediction intervals",
        "What is blended",
    ]
    assert headings[known + 6] == "The gain, rater by rater and value by value"
    pictures = [block.name for block in document.blocks if isinstance(block, Picture)]
    assert pictures == [
        "agreement_by_condition", "controls", "cold_start", "learning_answers", "interval_coverage",
        "gain_distribution",
    ]  # fmt: skip


def test_findings_tell_of_known_and_new_raters_and_of_what_the_model_could_see():
    text = "\n".join(list_texts(compose(ABOUT, None, build_personal())))
    assert "For raters with a history, on held-out posts, the mean rho is 0.800, a change of +0.100" in text
    assert "on posts that others had rated, the mean rho is 0.500" in text
    assert "changes by \N{MINUS SIGN}0.200 (\N{MINUS SIGN}0.250 to \N{MINUS SIGN}0.150) scale points" in text
    assert "Shuffled raters gain nothing." in text
    assert "Ratings of 22 posts, and the answers." in text
    assert "a weighted mean of several predictors" in text


def test_a_leak_and_a_loss_are_warnings_near_the_top():
    questions = samples.build_questions()
    questions["controls"]["permuted"] |= {"is_leaking": True, "sentence": "Something is leaking."}
    verdict = questions["verdict"] | {"is_worse": True, "sentence": "It is worse."}
    document = compose(ABOUT, None, build_personal(controls=questions["controls"], verdict=verdict))
    warnings = [
        place
        for place, block in enumerate(document.blocks)
        if isinstance(block, Paragraph) and block.is_warning
    ]
    assert [document.blocks[place].text for place in warnings] == ["It is worse.", "Something is leaking."]
    assert warnings[-1] < document.blocks.index(Heading("Methods"))


def test_what_a_fit_did_not_compute_is_said_in_its_place():
    data = describe_evaluation(make_evaluation(), seed=1)
    lacking = {key: data[key] for key in samples.build_questions()}
    document = compose(ABOUT, None, build_personal(**lacking))
    text = "\n".join(list_texts(document))
    assert "Missing: this fit set no raters apart" in text
    assert "Missing: known raters: this fit kept no prediction intervals." in text
    assert "Missing: no raters were set apart to be new ones." in text
    assert "None" not in text
    assert write_pdf(document).startswith(b"%PDF-")
