"""Packets: questions, answers and decoded responses that agents share, as arrays of tokens.

Shapes: ``Q`` questions of one agent in a round, ``G`` responses to each, ``P`` tokens of a
question, ``T`` of a response, ``A`` of an answer; ``...`` any leading axes, such as agents'.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.language import RewardFn
from jaxswarm.models.transformer import END, Completions, check_tokens


class Packets(NamedTuple):
    """Groups of responses as they are shared: text as tokens, without rewards or parameters.

    Attributes:
        prompts: ``int32[..., Q, P]``, the questions.
        prompt_mask: ``bool[..., Q, P]``.
        answers: ``int32[..., Q, A]``, with ``answer_lengths`` what a receiver verifies against.
        answer_lengths: ``int32[..., Q]``.
        tokens: ``int32[..., Q, G, T]``, the responses, each with its end token if it has one.
        mask: ``bool[..., Q, G, T]``; a group with an empty response is never chosen.
        log_probs: ``float32[..., Q, G, T]`` under the sender's policy when they were sampled;
            ``None`` if they are not shared.
    """

    prompts: Any
    prompt_mask: Any
    answers: Any
    answer_lengths: Any
    tokens: Any
    mask: Any
    log_probs: Any = None

    @property
    def problems(self) -> verifiable.Problems:
        """The questions as a verifier takes them; solutions are not shared and have length 0."""
        nothing = jnp.zeros((*jnp.shape(self.prompts)[:-1], 0), jnp.int32)
        return verifiable.Problems(
            self.prompts,
            self.prompt_mask,
            nothing,
            nothing.astype(bool),
            self.answers,
            self.answer_lengths,
        )

    @property
    def completions(self) -> Completions:
        """The responses as a verifier takes them; log-probabilities that are not shared are 0."""
        mask = jnp.asarray(self.mask)
        known = jnp.zeros(mask.shape) if self.log_probs is None else self.log_probs
        ended = jnp.any(mask & (jnp.asarray(self.tokens) == END), axis=-1)
        lengths = jnp.sum(mask, axis=-1, dtype=jnp.int32)
        return Completions(self.tokens, mask, known, lengths, ended)

    @property
    def well_formed(self) -> jax.Array:
        """``bool[..., Q]``, groups without empty responses whose answer has at least a token."""
        answered = jnp.asarray(self.answer_lengths) > 0
        return answered & jnp.all(jnp.any(jnp.asarray(self.mask), axis=-1), axis=-1)


def make_packets(
    problems: verifiable.Problems, completions: Completions, *, log_probs: bool
) -> Packets:
    """Packets of an agent's own questions and responses; its solutions stay with it."""
    return Packets(
        jnp.asarray(problems.prompts),
        jnp.asarray(problems.prompt_mask),
        jnp.asarray(problems.answers),
        jnp.asarray(problems.answer_lengths),
        completions.tokens,
        completions.mask,
        completions.log_probs if log_probs else None,
    )


def verify(packets: Packets, reward: RewardFn) -> jax.Array:
    """Rewards that a receiver's own verifier gives to shared responses.

    They are computed from the packets' text alone: packets carry no rewards.

    Args:
        packets: with any leading axes.
        reward: ``reward(problems, completions) -> float[Q, G]``.

    Returns:
        ``float32[..., Q, G]``.

    Raises:
        ValueError: for what are no packets, or rewards of another shape.
    """
    checks.instance("packets", packets, Packets, "sapo(…).sample(key, state, problems)[1]")
    checks.function("reward", reward)
    shape = jnp.shape(packets.tokens)[:-1]

    def one(packets: Packets) -> jax.Array:
        found = checks.numbers("reward", reward(packets.problems, packets.completions))
        if found.shape != shape[-2:]:
            raise ValueError(
                f"reward: expected one for each response, shape {shape[-2:]}, got {found.shape}"
            )
        return found.astype(jnp.float32)

    function = one
    for _ in shape[:-2]:
        function = jax.vmap(function)
    return function(packets)


def token_bytes(tokenizer: tokenizers.Tokenizer) -> np.ndarray:
    """Bytes of text of each token, ``int32[V]``; padding and end have none.

    Raises:
        ValueError: for what is no tokenizer.

    Example:
        >>> from jaxswarm.data import tokenizers
        >>> token_bytes(tokenizers.character("aé")).tolist()
        [0, 0, 1, 2]
    """
    checks.instance("tokenizer", tokenizer, tokenizers.Tokenizer, "verifiable.tokenizer()")
    return np.asarray([len(piece) for piece in tokenizer.pieces], np.int32)


def packet_bytes(packets: Packets, sizes: Any = None) -> jax.Array:
    """Bytes of each agent's packets: text of questions, answers and responses.

    Log-probabilities, if they are shared, take four bytes for each token.

    Args:
        packets: leaves ``[..., Q, ...]``.
        sizes: bytes of each token, see :func:`token_bytes`; four bytes (``int32``) if ``None``.

    Returns:
        ``float32[...]``.

    Raises:
        ValueError: for what are no packets, or sizes that are no whole numbers.
    """
    checks.instance("packets", packets, Packets, "sapo(…).sample(key, state, problems)[1]")
    if sizes is not None:
        sizes = jnp.asarray(checks.wholes("sizes", sizes, shape=(None,)))
    shape = jnp.shape(packets.answers)
    slots = jnp.broadcast_to(jnp.arange(shape[-1]).reshape((1,) * (len(shape) - 1) + (-1,)), shape)
    answer_mask = slots < jnp.expand_dims(jnp.asarray(packets.answer_lengths), -1)

    def total(tokens: Any, mask: Any, axes: int) -> jax.Array:
        each = jnp.full(jnp.shape(tokens), 4) if sizes is None else sizes[jnp.asarray(tokens)]
        return jnp.sum(jnp.where(mask, each, 0).astype(jnp.float32), axis=tuple(range(-axes, 0)))

    found = total(packets.prompts, packets.prompt_mask, 2)
    found += total(packets.answers, answer_mask, 2) + total(packets.tokens, packets.mask, 3)
    if packets.log_probs is not None:
        found += 4.0 * jnp.sum(packets.mask, axis=(-3, -2, -1))
    return found


def check_packets(
    packets: Packets, *, vocab_size: int, num_samples: int, age: int = 0, max_age: int = 0
) -> Packets:
    """Check packets of one agent that come from elsewhere, on the host.

    Args:
        packets: leaves ``[Q, ...]``.
        vocab_size: ``V`` of the receiver.
        num_samples: ``G`` that the receiver takes, at least 2.
        age: of the packets in rounds.
        max_age: largest age that is taken.

    Returns:
        The packets.

    Raises:
        ValueError: naming what is wrong: another number of responses, tokens that are no tokens, an
            empty response, a missing answer, an answer that does not match its length, a group that
            comes twice, or packets that are too old.
    """
    checks.instance("packets", packets, Packets, "sapo(…).sample(key, state, problems)[1]")
    checks.concrete("packets", packets)
    vocab_size = checks.whole("vocab_size", vocab_size, 2)
    num_samples = checks.whole("num_samples", num_samples, 2)
    max_age = checks.whole("max_age", max_age)
    if checks.whole("age", age) > max_age:
        raise ValueError(f"age: expected at most max_age={max_age} rounds, got {age}")
    shape = np.shape(packets.tokens)
    if len(shape) != 3 or shape[1] != num_samples:
        raise ValueError(f"tokens: expected shape [Q, {num_samples}, T], got {list(shape)}")
    rows = np.asarray(packets.tokens).reshape(-1, shape[-1])
    mask = np.asarray(checks.mask("mask", packets.mask, shape))
    check_tokens(rows, mask.reshape(rows.shape), vocab_size)
    check_tokens(packets.prompts, packets.prompt_mask, vocab_size, "prompts")
    if len(packets.prompts) != shape[0]:
        raise ValueError(f"prompts: expected {shape[0]} like tokens, got {len(packets.prompts)}")
    if not mask.any(-1).all():
        raise ValueError("mask: expected at least one token of each response, got an empty one")
    _check_answers(packets, shape[0], vocab_size)
    if packets.log_probs is not None:
        checks.real("log_probs", packets.log_probs, high=0.0, shape=shape)
    seen = set()
    for question, group, used in zip(packets.prompts, packets.tokens, mask, strict=True):
        entry = np.asarray(question).tobytes(), np.where(used, group, 0).tobytes()
        if entry in seen:
            raise ValueError("packets: expected each group once, got a duplicate")
        seen.add(entry)
    return packets


def reencode_packets(
    packets: Packets,
    source: tokenizers.Tokenizer,
    target: tokenizers.Tokenizer,
    *,
    prompt_length: int,
    answer_length: int,
    max_new_tokens: int,
) -> Packets:
    """Convert packets to the tokens of another vocabulary by way of their text, on the host.

    Log-probabilities are dropped: they belong to the sender's tokens. A group with characters that
    the target lacks, or longer than the lengths allow, gets an empty mask, so that no receiver
    chooses it.

    Args:
        packets: leaves ``[N, Q, ...]``.
        source: tokenizer of the sender.
        target: tokenizer of the receiver.
        prompt_length: ``P`` of the receiver.
        answer_length: ``A`` of the receiver.
        max_new_tokens: ``T`` of the receiver.

    Raises:
        ValueError: for arguments of another kind, or tokens outside the source's vocabulary.
    """
    checks.instance("packets", packets, Packets, "sapo(…).sample(key, state, problems)[1]")
    for name, each in (("source", source), ("target", target)):
        checks.instance(name, each, tokenizers.Tokenizer, "verifiable.tokenizer()")
    packets = Packets(*(None if x is None else np.asarray(x) for x in packets))
    n, q, g, _ = packets.tokens.shape
    sizes = {"prompts": prompt_length, "answers": answer_length, "tokens": max_new_tokens}
    sizes = {name: checks.whole(name, size, 1) for name, size in sizes.items()}
    if source == target and all(getattr(packets, k).shape[-1] == x for k, x in sizes.items()):
        return packets._replace(log_probs=None)
    made = Packets(
        np.zeros((n, q, prompt_length), np.int32),
        np.zeros((n, q, prompt_length), bool),
        np.zeros((n, q, answer_length), np.int32),
        np.zeros((n, q), np.int32),
        np.zeros((n, q, g, max_new_tokens), np.int32),
        np.zeros((n, q, g, max_new_tokens), bool),
    )
    slots = np.arange(packets.answers.shape[-1])
    for i in np.ndindex(n, q):
        answer = np.where(slots < packets.answer_lengths[i], packets.answers[i], 0)
        rows = (np.where(packets.prompt_mask[i], packets.prompts[i], 0)[None], answer[None])
        rows += (np.where(packets.mask[i], packets.tokens[i], 0),)
        for name, row in zip(sizes, rows, strict=True):
            checks.wholes(name, row, 0, source.vocab_size - 1)
        try:
            question, answer, responses = (
                tokenizers.reencode(row, source, target, length=size)
                for row, size in zip(rows, sizes.values(), strict=True)
            )
        except ValueError:  # too long, or characters outside the target's vocabulary
            continue
        made.prompts[i], made.prompt_mask[i] = question.tokens[0], question.mask[0]
        made.answers[i], made.answer_lengths[i] = answer.tokens[0], answer.lengths[0]
        made.tokens[i], made.mask[i] = responses.tokens, responses.mask
    return made


def _check_answers(packets: Packets, num_questions: int, vocab_size: int) -> None:
    """Check that answers are there and that their lengths, which verifiers use, match them."""
    answers = np.asarray(checks.wholes("answers", packets.answers, shape=(num_questions, None)))
    lengths = np.asarray(
        checks.wholes("answer_lengths", packets.answer_lengths, shape=(num_questions,))
    )
    if (lengths < 1).any():
        raise ValueError("answer_lengths: expected an answer to each question, got an empty one")
    filled = np.arange(answers.shape[1]) < lengths[:, None]
    if (lengths > answers.shape[1]).any() or ((answers != tokenizers.PAD) != filled).any():
        raise ValueError("answer_lengths: expected the number of tokens of each answer, got others")
    if (answers >= vocab_size).any():
        raise ValueError(f"answers: expected tokens in [0, {vocab_size}), got {answers.max()}")
