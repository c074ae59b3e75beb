"""Packets that differ from what an agent sampled: junk that is rewarded, and true solutions.

A forgery is ``forge(key, packets, problems) -> packets`` of one agent, for ``sapo(…, forge=…)``.

Shapes: as in :mod:`jaxswarm.systems.sapo._packets`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxswarm import checks
from jaxswarm.data import verifiable
from jaxswarm.models.transformer import END
from jaxswarm.systems.sapo._packets import Packets
from jaxswarm.types import Key

ForgeFn = Callable[[Key, Packets, verifiable.Problems], Packets]
"""``forge(key, packets, problems) -> packets`` of one agent."""


def padded_answers(separator: int, vocab_size: int) -> ForgeFn:
    """Junk that passes filter and verifier: random text before the right answer.

    Every second response is random tokens, a newline, the answer and an end token, which a verifier
    of the last line rewards; the others are random tokens without an end. If the response has no
    room for a newline and the answer, the random text is what fits, possibly none.

    Args:
        separator: token of the newline between steps.
        vocab_size: ``V``.

    Raises:
        ValueError: for tokens that are no whole numbers.
    """
    separator = checks.whole("separator", separator)
    vocab_size = checks.whole("vocab_size", vocab_size, 3)

    def forge(key: Key, packets: Packets, problems: verifiable.Problems) -> Packets:
        shape = packets.tokens.shape
        noise = jax.random.randint(key, shape, 2, vocab_size)
        noise = jnp.where(noise == separator, 2 + (separator == 2), noise)
        slots = jnp.arange(shape[-1])[None]
        size = packets.answer_lengths[:, None]
        start = jnp.maximum(shape[-1] - 1 - size, 0)  # the answer and its end fill the last slots
        place = jnp.clip(slots - start, 0, packets.answers.shape[-1] - 1)
        right = jnp.where(
            slots < start, noise[:, 0], jnp.take_along_axis(packets.answers, place, 1)
        )
        right = jnp.where(slots == start - 1, separator, right)
        right = jnp.where(slots == start + size, END, right)
        is_right = (jnp.arange(shape[1]) % 2 == 0)[None, :, None]
        tokens = jnp.where(is_right, right[:, None], noise).astype(packets.tokens.dtype)
        return packets._replace(tokens=tokens, mask=jnp.ones(shape, bool))

    return forge


def solved() -> ForgeFn:
    """Oracle: half of the responses are the question's true solution, of the sender's own data.

    The other half is as sampled. Without the solutions it cannot be had: an upper bound of what
    shared text can teach.
    """

    def forge(key: Key, packets: Packets, problems: verifiable.Problems) -> Packets:
        del key
        width = packets.tokens.shape[-1]

        def fitted(x: jax.Array) -> jax.Array:
            kept = jnp.asarray(x)[:, :width]
            return jnp.pad(kept, ((0, 0), (0, width - kept.shape[1])))[:, None]

        is_right = (jnp.arange(packets.tokens.shape[1]) % 2 == 0)[None, :, None]
        return packets._replace(
            tokens=jnp.where(is_right, fitted(problems.solutions), packets.tokens),
            mask=jnp.where(is_right, fitted(problems.solution_mask), packets.mask),
        )

    return forge
