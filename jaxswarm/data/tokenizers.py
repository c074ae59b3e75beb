"""Tokenizers on the host: characters, byte-pair encoding, and conversion between vocabularies.

Token 0 is padding and token 1 ends a text; the tokens after them stand for bytes. Texts become
padded arrays with :func:`encode_batch`, generated arrays become texts with :func:`decode_batch`.

Shapes: ``B`` texts, ``T`` tokens, ``V`` tokens of a vocabulary.

References:
    R. Sennrich, B. Haddow, A. Birch, Neural machine translation of rare words with subword units,
    2016 (byte-pair encoding).
"""

import collections
import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from jaxswarm import checks

PAD, END = 0, 1
NUM_SPECIAL = 2
SIDES = ("right", "left")
UNKNOWN = ("refuse", "skip")


class Encoded(NamedTuple):
    """Texts as padded arrays of tokens.

    Attributes:
        tokens: ``int32[B, T]``.
        mask: ``bool[B, T]``, tokens that are no padding.
        lengths: ``int32[B]``.
    """

    tokens: np.ndarray
    mask: np.ndarray
    lengths: np.ndarray


class Tokenizer(NamedTuple):
    """A vocabulary and, for byte-pair encoding, the merges that make it.

    Attributes:
        pieces: the bytes of each token; those of padding and end are empty.
        merges: pairs of tokens that are merged, in the order of their rank; empty for characters.
    """

    pieces: tuple[bytes, ...]
    merges: tuple[tuple[int, int], ...] = ()

    @property
    def vocab_size(self) -> int:
        """Number of tokens ``V``, padding and end included."""
        return len(self.pieces)

    @property
    def byte_level(self) -> bool:
        """Whether tokens are pieces of bytes, so that every text can be encoded."""
        return bool(self.merges) or len(self.pieces) >= NUM_SPECIAL + 256

    def encode(self, text: str, *, end: bool = False, unknown: str = "refuse") -> list[int]:
        """Turn a text into tokens.

        Args:
            text: what to encode.
            end: append the end token.
            unknown: ``"refuse"`` characters outside the vocabulary, or ``"skip"`` them.

        Raises:
            ValueError: for what is no text, or a character outside the vocabulary.
        """
        checks.instance("text", text, str)
        checks.choice("unknown", unknown, UNKNOWN)
        tokens = self._merge(text) if self.byte_level else self._lookup(text, unknown)
        return [*tokens, END] if checks.flag("end", end) else tokens

    def decode(self, tokens: Iterable[int]) -> str:
        """Turn tokens into a text, up to the first end token; padding is left out.

        Bytes that are no UTF-8 (a model may generate any) become the replacement character.

        Raises:
            ValueError: for tokens outside ``[0, V)``.
        """
        pieces = []
        for token in checks.wholes("tokens", list(tokens), 0, self.vocab_size - 1).tolist():
            if token == END:
                break
            pieces.append(self.pieces[token])
        return b"".join(pieces).decode("utf-8", errors="replace")

    def token(self, character: str) -> int:
        """The token of a single character, such as the newline between reasoning steps.

        Raises:
            ValueError: if the vocabulary has no such token.
        """
        checks.instance("character", character, str)
        found = self.encode(character)
        if len(found) != 1:
            raise ValueError(
                f"character: expected one that is a single token, got {checks.shown(character)} "
                f"of {len(found)}"
            )
        return found[0]

    def _lookup(self, text: str, unknown: str) -> list[int]:
        ids = {piece: i for i, piece in enumerate(self.pieces) if piece}
        found = [ids.get(character.encode("utf-8", "surrogatepass")) for character in text]
        if None in found and unknown == "refuse":
            raise ValueError(
                f"text: expected characters of the vocabulary, got {text[found.index(None)]!r}"
            )
        return [token for token in found if token is not None]

    def _merge(self, text: str) -> list[int]:
        try:
            tokens = [NUM_SPECIAL + byte for byte in text.encode("utf-8")]
        except UnicodeEncodeError as error:
            raise ValueError(f"text: expected valid Unicode, got {error.object[:20]!r}") from error
        ranks = {pair: rank for rank, pair in enumerate(self.merges)}
        while len(tokens) > 1:
            pairs = set(itertools.pairwise(tokens))
            pair = min(pairs, key=lambda p: ranks.get(p, len(ranks)))
            if pair not in ranks:
                break
            tokens = _replace(tokens, pair, NUM_SPECIAL + 256 + ranks[pair])
        return tokens


def character(texts: str | Iterable[str]) -> Tokenizer:
    """Make a tokenizer with one token for each character that occurs in some texts, sorted.

    Args:
        texts: an alphabet, or texts.

    Raises:
        ValueError: without any character.

    Example:
        >>> tokenizer = character("0123456789+=")
        >>> tokenizer.vocab_size, tokenizer.encode("1+2=", end=True)
        (14, [4, 2, 5, 13, 1])
        >>> tokenizer.decode([4, 2, 5, 13, 1, 0, 0])
        '1+2='
    """
    texts = _texts("texts", [texts] if isinstance(texts, str) else texts)
    alphabet = sorted(set("".join(texts)))
    if not alphabet:
        raise ValueError("texts: expected at least one character, got none")
    try:
        pieces = tuple(symbol.encode("utf-8") for symbol in alphabet)
    except UnicodeEncodeError as error:
        raise ValueError(f"texts: expected valid Unicode, got {error.object!r}") from error
    if len(pieces) >= 256:
        raise ValueError(
            f"texts: expected fewer than 256 different characters, got {len(pieces)}; use bpe"
        )
    return Tokenizer((b"", b"", *pieces))


def bpe(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Train byte-pair encoding: merge the most frequent pair until the vocabulary is full.

    All 256 bytes are tokens, so every text can be encoded. Ties go to the pair with the smaller
    tokens. Merges do not cross the borders of the texts.

    Args:
        texts: what to train on.
        vocab_size: at least 258, padding, end and bytes included; fewer result if no pair occurs
            twice any more.

    Raises:
        ValueError: for arguments of another kind.

    Example:
        >>> tokenizer = bpe(["the cat", "the hat", "the mat"], 262)
        >>> [tokenizer.decode([t]) for t in tokenizer.encode("the rat")]
        ['the ', 'r', 'at']
    """
    texts = _texts("texts", texts)
    vocab_size = checks.whole("vocab_size", vocab_size, NUM_SPECIAL + 256)
    pieces = [b"", b"", *(bytes([byte]) for byte in range(256))]
    base = Tokenizer(tuple(pieces))
    words = collections.Counter(tuple(base.encode(text)) for text in texts)
    merges: list[tuple[int, int]] = []
    while len(pieces) < vocab_size:
        counts: collections.Counter[tuple[int, int]] = collections.Counter()
        for word, times in words.items():
            for pair in itertools.pairwise(word):
                counts[pair] += times
        pair = min(counts, key=lambda p: (-counts[p], p), default=None)
        if pair is None or counts[pair] < 2:
            break
        merged: collections.Counter[tuple[int, ...]] = collections.Counter()
        for word, times in words.items():
            merged[tuple(_replace(word, pair, len(pieces)))] += times
        words = merged
        pieces.append(pieces[pair[0]] + pieces[pair[1]])
        merges.append(pair)
    return Tokenizer(tuple(pieces), tuple(merges))


def encode_batch(
    tokenizer: Tokenizer,
    texts: Iterable[str],
    *,
    length: int | None = None,
    side: str = "right",
    end: bool = False,
    unknown: str = "refuse",
) -> Encoded:
    """Turn texts into padded arrays of tokens.

    Args:
        tokenizer: of the texts.
        texts: at least one.
        length: ``T``, at least the longest text's; that, if ``None``.
        side: where the padding stands, ``"right"`` or ``"left"``.
        end: append the end token to every text.
        unknown: ``"refuse"`` or ``"skip"`` characters outside the vocabulary.

    Raises:
        ValueError: without texts, for texts longer than ``length``, unknown names or characters.

    Example:
        >>> encode_batch(character("abc"), ["ab", "c"], side="left").tokens.tolist()
        [[2, 3], [0, 4]]
    """
    checks.instance("tokenizer", tokenizer, Tokenizer, "tokenizers.character('0123456789')")
    checks.choice("side", side, SIDES)
    texts = _texts("texts", texts)
    if not texts:
        raise ValueError("texts: expected at least one, got none")
    rows = [tokenizer.encode(text, end=end, unknown=unknown) for text in texts]
    return _padded(rows, length, side)


def decode_batch(tokenizer: Tokenizer, tokens: np.ndarray) -> list[str]:
    """Turn an array of tokens ``[B, T]`` into texts, each up to its first end token.

    Raises:
        ValueError: for another shape or tokens outside ``[0, V)``.
    """
    checks.instance("tokenizer", tokenizer, Tokenizer, "tokenizers.character('0123456789')")
    tokens = checks.wholes("tokens", tokens, 0, tokenizer.vocab_size - 1, shape=(None, None))
    return [tokenizer.decode(row) for row in np.asarray(tokens)]


def reencode(
    tokens: np.ndarray,
    source: Tokenizer,
    target: Tokenizer,
    *,
    length: int | None = None,
    unknown: str = "refuse",
) -> Encoded:
    """Convert tokens of one vocabulary to tokens of another by way of the text.

    A row that has an end token keeps one.

    Args:
        tokens: ``int[B, T]`` of ``source``.
        source: their tokenizer.
        target: the tokenizer of the result.
        length: of the result; the longest row's if ``None``.
        unknown: ``"refuse"`` or ``"skip"`` characters outside the target's vocabulary.

    Raises:
        ValueError: for tokens outside the source's vocabulary, or as :func:`encode_batch`.

    Example:
        >>> digits, hexadecimal = character("0123456789"), character("0123456789abcdef-")
        >>> reencode([[11, 2, 1]], digits, hexadecimal).tokens.tolist()
        [[12, 3, 1]]
    """
    checks.instance("target", target, Tokenizer, "tokenizers.character('0123456789')")
    checks.instance("source", source, Tokenizer, "tokenizers.character('0123456789')")
    texts = decode_batch(source, tokens)
    ended = (np.asarray(tokens) == END).any(axis=1)
    rows = [
        target.encode(text, end=bool(closed), unknown=unknown)
        for text, closed in zip(texts, ended, strict=True)
    ]
    return _padded(rows, length, "right")


def token_map(source: Tokenizer, target: Tokenizer) -> np.ndarray:
    """Token of the target for each token of the source, to convert characters inside ``jit``.

    Args:
        source: a tokenizer of characters.
        target: a tokenizer of characters or bytes that has a single token for each of them.

    Returns:
        ``int32[V]``: ``table[tokens]`` is what :func:`reencode` gives. Padding and end are kept.

    Raises:
        ValueError: for merges in the source, or a character that is no single token of the target.

    Example:
        >>> token_map(character("abc"), character("-abc")).tolist()
        [0, 1, 3, 4, 5]
    """
    checks.instance("source", source, Tokenizer, "tokenizers.character('0123456789')")
    checks.instance("target", target, Tokenizer, "tokenizers.character('0123456789')")
    if source.merges:
        raise ValueError("source: expected a tokenizer of characters, got one with merges")
    table = [PAD, END]
    ids = {piece: i for i, piece in enumerate(target.pieces) if piece}
    for piece in source.pieces[NUM_SPECIAL:]:
        if piece not in ids:
            raise ValueError(
                f"target: expected a token for each character of the source, got none for {piece!r}"
            )
        table.append(ids[piece])
    return np.asarray(table, np.int32)


def _replace(tokens: Sequence[int], pair: tuple[int, int], merged: int) -> list[int]:
    """Replace each occurrence of a pair, from the left, by one token."""
    result, i = [], 0
    while i < len(tokens):
        if i + 1 < len(tokens) and (tokens[i], tokens[i + 1]) == pair:
            result.append(merged)
            i += 2
        else:
            result.append(tokens[i])
            i += 1
    return result


def _padded(rows: list[list[int]], length: int | None, side: str) -> Encoded:
    lengths = np.asarray([len(row) for row in rows], np.int32)
    longest = max(int(lengths.max()), 1)
    width = longest if length is None else checks.whole("length", length, 1)
    if width < longest:
        raise ValueError(f"length: expected at least {longest}, the longest text's, got {width}")
    tokens = np.full((len(rows), width), PAD, np.int32)
    slots = np.arange(width)[None]
    mask = slots < lengths[:, None] if side == "right" else slots >= width - lengths[:, None]
    tokens[mask] = np.concatenate([np.asarray(row, np.int32) for row in rows])
    return Encoded(tokens, mask, lengths)


def _texts(name: str, texts: Iterable[str]) -> list[str]:
    try:
        found = [texts] if isinstance(texts, str) else list(texts)
    except TypeError as error:
        raise ValueError(f"{name}: expected texts, got {checks.shown(texts)}") from error
    if not all(isinstance(text, str) for text in found):
        raise ValueError(f"{name}: expected texts, got {checks.shown(texts)}")
    return found
