import pytest

from annotation.uploads.language import UNKNOWN, detect_language, read_code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("We should look after one another, whatever the neighbours may say about it.", "en"),
        ("Wir sollten aufeinander achten, was auch immer die Nachbarn dazu sagen.", "de"),
        ("Nous devrions veiller les uns sur les autres, quoi qu'en disent les voisins.", "fr"),
        ("Debemos cuidarnos los unos a los otros, digan lo que digan los vecinos.", "es"),
        ("Мы должны заботиться друг о друге, что бы ни говорили соседи.", "ru"),
        ("私たちは隣人が何と言おうと、お互いに気を配るべきだと思います。", "ja"),
    ],
)
def test_plain_sentences_are_told_apart(text, code):
    assert detect_language(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lol ok",
        "nineteen characters",
        "ok https://example.org/a/very/long/address @someone #longertag www.example.org",
    ],
)
def test_what_is_shorter_than_twenty_characters_is_unknown(text):
    assert detect_language(text) == UNKNOWN


def test_the_same_text_gets_the_same_answer():
    assert len({detect_language("Well, what shall we say to all of this now?") for _ in range(5)}) == 1


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("en", "en"),
        (" EN ", "en"),
        ("en-US", "en"),
        ("zh_Hant", "zh"),
        ("deu", "deu"),
        ("und", UNKNOWN),
        ("English", ""),
        ("", ""),
        ("e", ""),
    ],
)
def test_a_written_language_becomes_a_code(written, code):
    assert read_code(written) == code
