"""Tokenizers: round trips, byte safety, conversion between vocabularies, bad input."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxswarm.data import tokenizers
from tests.bad_input import FLAG, NAME, NAN, OBJECT, Call, cases, refuses

DIGITS = tokenizers.character("0123456789+=\n")
WIDER = tokenizers.character("-0123456789+=\nabcé")
BYTES = tokenizers.bpe(["the cat sat on the mat\n", "the hat and the rat\n", "12+12=24"], 290)
TEXT = st.text(max_size=30)
SUMS = st.text(alphabet="0123456789+=\n", max_size=30)


@given(SUMS)
def test_characters_round_trip(text):
    tokens = DIGITS.encode(text, end=True)
    assert DIGITS.decode(tokens) == text
    assert len(tokens) == len(text) + 1


@given(TEXT)
@settings(max_examples=50)
def test_bytes_round_trip(text):
    tokens = BYTES.encode(text)
    assert BYTES.decode(tokens) == text
    assert len(tokens) <= len(text.encode())


@given(st.lists(st.integers(0, BYTES.vocab_size - 1), max_size=20))
def test_every_sequence_of_tokens_has_a_text(tokens):
    text = BYTES.decode(tokens)
    assert BYTES.decode(BYTES.encode(text)) == text


def test_merges_are_those_of_the_algorithm():
    """A slow oracle: count all pairs of the corpus anew for every merge."""
    corpus = ["abab", "abc", "cabab"]
    found = tokenizers.bpe(corpus, 261)
    words = [[c.encode() for c in text] for text in corpus]
    for merge in found.merges:
        counts = {}
        for word in words:
            for pair in itertools.pairwise(word):
                counts[pair] = counts.get(pair, 0) + 1
        pair = tuple(found.pieces[t] for t in merge)
        assert counts[pair] == max(counts.values()) >= 2
        joined = []
        for word in words:
            out = []
            while word:
                step = 2 if tuple(word[:2]) == pair else 1
                out.append(b"".join(word[:step]))
                word = word[step:]
            joined.append(out)
        words = joined
    assert found.pieces[258] == b"ab"
    assert [found.decode([t]) for t in found.encode("cabab")] == ["c", "abab"]


def test_common_words_become_short():
    assert len(BYTES.encode("the cat sat")) <= 5
    assert BYTES.vocab_size <= 290


@given(st.lists(SUMS, min_size=1, max_size=5), st.sampled_from(["left", "right"]), st.booleans())
def test_batches_are_padded(texts, side, end):
    found = tokenizers.encode_batch(DIGITS, texts, side=side, end=end)
    assert tokenizers.decode_batch(DIGITS, found.tokens) == texts
    np.testing.assert_array_equal(found.mask.sum(1), found.lengths)
    assert not found.tokens[~found.mask].any()
    for row, mask, text in zip(found.tokens, found.mask, texts, strict=True):
        assert row[mask].tolist() == DIGITS.encode(text, end=end)
    gaps = np.diff(found.mask.astype(int), axis=1)
    assert (gaps <= 0).all() if side == "right" else (gaps >= 0).all()


@given(st.lists(SUMS, min_size=1, max_size=4), st.booleans())
def test_conversion_keeps_text_and_end(texts, end):
    own = tokenizers.encode_batch(DIGITS, texts, end=end)
    for target in (WIDER, BYTES, DIGITS):
        there = tokenizers.reencode(own.tokens, DIGITS, target)
        assert tokenizers.decode_batch(target, there.tokens) == texts
        assert ((there.tokens == tokenizers.END).any(1) == end).all()
        back = tokenizers.reencode(there.tokens, target, DIGITS, length=own.tokens.shape[1])
        np.testing.assert_array_equal(back.tokens, own.tokens)
    table = tokenizers.token_map(DIGITS, WIDER)
    np.testing.assert_array_equal(
        table[own.tokens], tokenizers.reencode(own.tokens, DIGITS, WIDER).tokens
    )


def test_vocabularies_differ():
    text = "12+7="
    assert DIGITS.encode(text) != WIDER.encode(text) != BYTES.encode(text)
    assert WIDER.encode("é") == [WIDER.vocab_size - 1]
    assert DIGITS.token("\n") == 2


def test_what_a_vocabulary_lacks_is_refused_or_skipped():
    with pytest.raises(ValueError, match="text: expected characters of the vocabulary, got 'a'"):
        DIGITS.encode("1a2")
    assert DIGITS.encode("1a2", unknown="skip") == DIGITS.encode("12")
    own = tokenizers.encode_batch(WIDER, ["1a2"]).tokens
    with pytest.raises(ValueError, match="text"):
        tokenizers.reencode(own, WIDER, DIGITS)
    skipped = tokenizers.reencode(own, WIDER, DIGITS, unknown="skip")
    assert tokenizers.decode_batch(DIGITS, skipped.tokens) == ["12"]
    with pytest.raises(ValueError, match="target: expected a token for each character"):
        tokenizers.token_map(WIDER, DIGITS)
    with pytest.raises(ValueError, match="source: expected a tokenizer of characters"):
        tokenizers.token_map(BYTES, DIGITS)


TEXTS = (3, None, [3], [b"1"], [None])
TOKENS = ([[99]], [[-1]], [[0.5]], [1, 2], "ab", None, [[NAN]])
CALLS = {
    "character": Call(tokenizers.character, {"texts": "abc"}, {"texts": ("", [], *TEXTS)}),
    "bpe": Call(
        tokenizers.bpe,
        {"texts": ["ab"], "vocab_size": 260},
        {"texts": TEXTS, "vocab_size": (257, 0, -1, 2.5, NAN, "300", None, True)},
    ),
    "encode": Call(
        DIGITS.encode,
        {"text": "12"},
        {"text": (3, None, b"1", ["1"], "x"), "end": FLAG, "unknown": NAME},
        {"unknown": "unknown"},
    ),
    "decode": Call(DIGITS.decode, {"tokens": [3, 4]}, {"tokens": ([99], [-1], [0.5], ["a"])}),
    "token": Call(DIGITS.token, {"character": "\n"}, {"character": (3, None, "12", "")}),
    "encode_batch": Call(
        tokenizers.encode_batch,
        {"tokenizer": DIGITS, "texts": ["12", "3"]},
        {
            "tokenizer": OBJECT,
            "texts": ([], *TEXTS),
            "length": (1, 0, -1, 2.5, "3", True),
            "side": NAME,
            "end": FLAG,
            "unknown": NAME,
        },
    ),
    "decode_batch": Call(
        tokenizers.decode_batch,
        {"tokenizer": DIGITS, "tokens": [[3, 4]]},
        {"tokenizer": OBJECT, "tokens": TOKENS},
    ),
    "reencode": Call(
        tokenizers.reencode,
        {"tokens": [[3, 4]], "source": DIGITS, "target": WIDER},
        {"tokens": TOKENS, "source": OBJECT, "target": OBJECT, "length": (1, 0, 2.5)},
    ),
    "token_map": Call(
        tokenizers.token_map,
        {"source": DIGITS, "target": WIDER},
        {"source": OBJECT, "target": OBJECT},
    ),
}


@pytest.mark.parametrize(("name", "argument"), cases(CALLS))
def test_bad_input_is_refused_by_name(name, argument):
    refuses(CALLS[name], argument)
