import pytest

from modeling.simulation.page import Page, PageError


def only_form(fields, attributes='method="post" action="/next"'):
    return Page(f"<main><form {attributes}>{fields}</form></main>").form()


def test_fields_of_one_name_are_one_control():
    form = only_form(
        '<input type="radio" name="r" value="0"><input type="radio" name="r" value="1" checked>'
        '<input type="checkbox" name="c" value="x" checked><input type="checkbox" name="c" value="y" checked>'
        '<input type="hidden" name="h" value="42">'
    )
    assert (form.action, form.method) == ("/next", "post")
    assert (form.controls["r"].options, form.controls["r"].values) == (["0", "1"], ["1"])
    assert form.controls["c"].values == ["x", "y"]
    assert form.controls["h"].values == ["42"]
    assert [control.name for control in form.questions()] == ["r", "c"]


def test_options_that_go_alone_are_known_and_a_box_of_only_those_is_a_refusal():
    form = only_form(
        '<input type="checkbox" name="c" value="x"><input type="checkbox" name="c" value="no" data-exclusive>'
        '<input name="age"><input type="checkbox" name="age-declined" value="no" data-exclusive>'
        '<input type="checkbox" name="agree">'
    )
    assert form.controls["c"].exclusive == ["no"]
    assert [control.name for control in form.questions() if control.is_refusal] == ["age-declined"]


def test_of_radios_marked_twice_the_last_counts():
    form = only_form(
        '<input type="radio" name="r" value="0" checked><input type="radio" name="r" value="1" checked>'
    )
    assert form.controls["r"].values == ["1"]


def test_a_select_sends_its_first_option_unless_one_is_selected():
    form = only_form(
        '<select name="a"><option value="">Choose<option>Red <b>wine</b><option value="x" disabled>X</select>'
        '<select name="b"><option value="1">One</option><option value="2" selected>Two</option></select>'
        '<select name="c" multiple><option selected>1</option><option selected>2</option></select>'
    )
    assert (form.controls["a"].options, form.controls["a"].values) == (["", "Red wine"], [""])
    assert form.controls["b"].values == ["2"]
    assert form.controls["c"].values == ["1", "2"]


def test_a_textarea_loses_its_first_line_break_only():
    assert only_form('<textarea name="t">\n\n2 &lt; 3\n</textarea>').controls["t"].values == ["\n2 < 3\n"]


def test_disabled_and_nameless_fields_are_left_out():
    form = only_form(
        '<input name="a" disabled><input><input name="kept"><input type="reset" name="r">'
        '<fieldset disabled><input name="b"><textarea name="t"></textarea></fieldset>'
        '<select name="s" disabled><option>1</option></select>'
    )
    assert list(form.controls) == ["kept"]


def test_a_field_elsewhere_belongs_to_the_form_it_names():
    page = Page('<input name="far" form="f" value="1"><main><form id="f"></form><form id="g"></form></main>')
    assert page.form(identifier="f").controls["far"].values == ["1"]
    assert page.form(identifier="g").controls == {}


def test_the_first_button_is_the_default_even_without_a_name():
    form = only_form('<button>Go on</button><button name="leave" value="1">Leave</button>')
    assert form.default_button is not None
    assert form.default_button.name == ""
    assert form.controls["leave"].options == ["1"]


def test_text_is_heard_as_shown():
    page = Page(
        "<main><article data-post='7'><blockquote data-post-context>Hi</blockquote>"
        "<p data-post-text>\n  One&nbsp;&amp;<br>t<b>w</b>o <script>var no = 1;</script></p></article></main>"
    )
    assert page.find("data-post-text").text == "One & two"
    assert page.find("data-post-context").text == "Hi"
    assert page.find("data-post").attributes["data-post"] == "7"
    assert page.find("data-post").text == "Hi One & two"
    assert page.find("data-value") is None


def test_a_tag_left_open_ends_with_the_one_around_it():
    page = Page("<main><div data-a><p data-b>one</div><div data-c>two")
    assert page.find("data-b").text == "one"
    assert page.find("data-a").text == "one"
    assert page.find("data-c").text == "two"


def test_links_keep_their_words():
    (link,) = Page('<a name="here"></a><a href="/help">Get <i>help</i></a>').links
    assert (link.href, link.text) == ("/help", "Get help")


def test_of_several_forms_in_main_the_one_that_asks_is_taken():
    page = Page(
        '<header><form id="language"><input name="a"><input name="b"></form></header>'
        '<main><form id="leave"><button>Leave</button></form><form id="ask"><input name="q"></form></main>'
    )
    assert page.form().identifier == "ask"
    assert page.form(having="a").identifier == "language"


def test_a_page_without_the_form_says_where_and_shows_itself():
    page = Page("<title>No</title><main><p>" + "x" * 400, url="http://here/there", status=200)
    with pytest.raises(PageError, match="path-form") as caught:
        page.form(identifier="path-form")
    assert (caught.value.status, caught.value.url) == (200, "http://here/there")
    assert caught.value.excerpt == "x" * 300


def test_a_page_without_main_says_all_its_words():
    assert Page("<title>No</title><p>Not<p>here").text == "Not here"
