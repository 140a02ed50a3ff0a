import sys

import pytest

from modeling.encoders.transformer.packages import PackageMissing
from modeling.encoders.transformer.tokens import Tokenizer, define_by_vocabulary

from .tiny import PIECES, WORDS


def make_tokenizer(max_tokens: int = 10) -> Tokenizer:
    return Tokenizer(define_by_vocabulary(PIECES + WORDS, lowercase=True), max_tokens)


def test_words_become_their_places_between_the_two_marks():
    ids, is_cut = make_tokenizer().encode(["Baba  bade", ""])
    assert [text.tolist() for text in ids] == [[2, 4, 5, 3], [2, 3]]
    assert is_cut.tolist() == [False, False]


def test_a_longer_text_is_cut_and_said_to_be():
    ids, is_cut = make_tokenizer(6).encode(["baba " * 4, "baba " * 5])
    assert [len(text) for text in ids] == [6, 6]
    assert is_cut.tolist() == [False, True]


def test_what_is_no_word_or_no_text_at_all_is_an_unknown_piece():
    ids, _ = make_tokenizer().encode(["\ud800", "😀", "xyz"])
    assert [text.tolist() for text in ids] == [[2, 1, 3]] * 3


def test_padding_and_cutting_that_the_definition_asks_for_are_not_done():
    import tokenizers

    inner = tokenizers.Tokenizer.from_buffer(define_by_vocabulary(PIECES + WORDS, lowercase=True))
    inner.enable_padding(length=32)
    inner.enable_truncation(4)
    ids, _ = Tokenizer(inner.to_str().encode(), 10).encode(["baba bade bafi bago"])
    assert ids[0].tolist() == [2, 4, 5, 6, 7, 3]


def test_a_broken_definition_is_refused():
    with pytest.raises(ValueError, match="cannot be read"):
        Tokenizer(b"{}", 10)


def test_a_vocabulary_without_marks_is_refused():
    with pytest.raises(ValueError, match=r"lacks \[CLS\], \[SEP\]"):
        define_by_vocabulary(["[UNK]", "baba"], lowercase=True)


def test_a_missing_package_is_named_with_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(PackageMissing, match="tokenizers.*make encoder"):
        make_tokenizer()
