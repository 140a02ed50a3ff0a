import pytest

from annotation.uploads.mapping import ColumnMap, PostMaker, Role, RowRefused, guess_roles
from annotation.uploads.reading import Row


def rows(*cells):
    return [Row(number, number + 1, each) for number, each in enumerate(cells, start=1)]


def make(cells, roles=None, **options):
    return PostMaker(ColumnMap(roles or {"text": Role.TEXT}, **options)).make(Row(1, 2, cells))


# --- guesses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        (
            ["post_id", "body", "lang", "subreddit", "author", "score"],
            [Role.KEY, Role.TEXT, Role.LANGUAGE, Role.SOURCE, Role.AUTHOR, Role.METADATA],
        ),
        (
            ["uri", "post_text", "context_text", "context_kind"],
            [Role.KEY, Role.TEXT, Role.CONTEXT_TEXT, Role.CONTEXT_KIND],
        ),
        (["id", "Full Text", "In-Reply-To"], [Role.KEY, Role.TEXT, Role.METADATA]),
        (["column 1", "text"], [Role.LEFT_OUT, Role.TEXT]),
        (["text", "context_kind"], [Role.TEXT, Role.METADATA]),
    ],
)
def test_meanings_are_guessed_from_names(columns, roles):
    cells = rows(*({name: f"{name} {n}" for name in columns} for n in range(3)))
    assert list(guess_roles(columns, cells).values()) == roles


def test_without_a_telling_name_the_longest_texts_are_the_text():
    cells = rows({"a": "x", "b": "some longer words", "c": 12345678901234567890})
    assert guess_roles(["a", "b", "c"], cells)["b"] == Role.TEXT


@pytest.mark.parametrize("ids", [("1", "1"), ("1", ""), ("1", None), (1.5, 2.5)])
def test_a_column_whose_cells_name_no_post_is_no_key(ids):
    cells = rows(*({"id": each, "text": "a"} for each in ids))
    assert guess_roles(["id", "text"], cells)["id"] == Role.METADATA


def test_nothing_is_guessed_of_nothing():
    assert guess_roles([], []) == {}


def test_whatever_is_guessed_can_be_used():
    columns = ["id", "text", "body", "context", "context_kind", "lang", "language", "feed", "user"]
    roles = guess_roles(columns, rows({name: name for name in columns}))
    assert ColumnMap(roles).find_faults(columns) == []


# --- faults of a mapping --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("roles", "columns", "words"),
    [
        ({}, ["a", "b"], "No column is the text. Choose the one that raters are to read: 'a', 'b'."),
        ({"gone": Role.TEXT}, ["a"], "No column is the text"),
        ({"a": Role.TEXT, "b": Role.TEXT}, ["a", "b"], "'a', 'b' have the same meaning"),
        ({"a": Role.TEXT, "b": Role.CONTEXT_KIND}, ["a", "b"], "none holds the context"),
        ({"a": Role.TEXT}, ["a", "source", "source_given"], "kept under the same name"),
    ],
)
def test_a_mapping_that_makes_no_posts_says_why(roles, columns, words):
    (fault,) = ColumnMap(roles).find_faults(columns)
    assert words in fault


def test_any_number_of_columns_is_kept_or_left_out():
    roles = {"a": Role.TEXT, "b": Role.LEFT_OUT, "c": Role.LEFT_OUT, "d": Role.METADATA}
    assert ColumnMap(roles).find_faults(["a", "b", "c", "d", "e"]) == []


# --- posts ----------------------------------------------------------------------------------------


def test_a_row_becomes_a_post_and_keeps_what_it_has():
    post = make(
        {
            "id": 7,
            "body": " Hi there ",
            "who": "ann",
            "feed": "home",
            "likes": 3,
            "junk": "x",
            "lang": "en-GB",
        },
        {
            "id": Role.KEY,
            "body": Role.TEXT,
            "who": Role.AUTHOR,
            "feed": Role.SOURCE,
            "junk": Role.LEFT_OUT,
            "lang": Role.LANGUAGE,
        },
    )
    assert (post.key, post.text, post.language) == ("7", "Hi there", "en")
    assert post.metadata == {"likes": 3, "author": "ann", "source": "home", "language_given": "en-GB"}


def test_columns_named_as_our_own_are_kept_beside_them():
    post = make({"text": "a", "upload": "theirs", "language": "x"}, source="a feed")
    assert post.metadata == {"upload_given": "theirs", "language_given": "x", "source": "a feed"}


def test_a_row_without_a_source_gets_that_of_the_file():
    roles = {"text": Role.TEXT, "feed": Role.SOURCE}
    assert make({"text": "a", "feed": ""}, roles, source="all").metadata == {"source": "all"}
    assert make({"text": "a", "feed": "own"}, roles, source="all").metadata == {"source": "own"}


def test_without_a_key_the_row_names_the_post():
    assert make({"text": "a"}, key_prefix="upload-3-row-").key == "upload-3-row-1"


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "is empty"),
        (None, "is empty"),
        ("  ", "is empty"),
        (1.25e18, "lose digits"),
        (True, "neither text nor a whole number"),
        (["a"], "neither text nor a whole number"),
        ("a\nb", "line break"),
        ("k" * 201, "201 characters"),
    ],
)
def test_a_key_that_names_nothing_is_refused(key, words):
    with pytest.raises(RowRefused, match=words) as refused:
        make({"id": key, "text": "a"}, {"id": Role.KEY, "text": Role.TEXT})
    assert refused.value.reason == "key"


WITH_KIND = {"text": Role.TEXT, "other": Role.CONTEXT_TEXT, "kind": Role.CONTEXT_KIND}


@pytest.mark.parametrize(
    ("kind", "other", "found"),
    [
        ("reply", "Before", ("reply", "Before")),
        ("Quoted", "Before", ("quote", "Before")),
        ("replied_to", "Before", ("reply", "Before")),
        ("", "", ("", "")),
        ("none", None, ("", "")),
    ],
)
def test_a_context_has_kind_and_text(kind, other, found):
    post = make({"text": "a", "other": other, "kind": kind}, WITH_KIND)
    assert (post.context_kind, post.context_text) == found


@pytest.mark.parametrize(("kind", "other"), [("reply", ""), ("", "Before"), ("retweet", "Before")])
def test_a_context_that_lacks_one_of_them_is_refused(kind, other):
    with pytest.raises(RowRefused) as refused:
        make({"text": "a", "other": other, "kind": kind}, WITH_KIND)
    assert refused.value.reason == "context"


def test_a_context_without_a_column_of_kinds_has_that_of_the_file():
    roles = {"text": Role.TEXT, "other": Role.CONTEXT_TEXT}
    assert make({"text": "a", "other": "b"}, roles, context_kind="quote").context_kind == "quote"
    assert make({"text": "a", "other": ""}, roles, context_kind="quote").context_kind == ""


def test_a_list_is_no_text():
    with pytest.raises(RowRefused, match="holds a list"):
        make({"text": ["a"]})


def test_too_much_to_keep_is_refused():
    with pytest.raises(RowRefused) as refused:
        make({"text": "a", "x": "y" * 99_000, "z": ["y" * 99_000, "y" * 9_000]})
    assert refused.value.reason == "too_big"


def test_a_missing_text_is_an_empty_one():
    assert make({}).text == ""
