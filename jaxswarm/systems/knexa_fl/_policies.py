"""Policies of KNEXA-FL: which teachers students get, and texts that all students share.

Shapes: ``N`` agents, ``K`` pairs, ``B`` questions, ``T`` tokens of a response.
"""

import jax
import jax.numpy as jnp

from jaxswarm.models import transformer
from jaxswarm.systems.knexa_fl._distillation import vote
from jaxswarm.systems.knexa_fl._matching import Pairs, greedy_matching, random_matching
from jaxswarm.systems.knexa_fl._profiles import js_divergence
from jaxswarm.types import ArrayLike, Key

POLICIES = ("local", "random", "heuristic", "central", "fedid", "concat", "pairwise", "oracle")
"""Ways to choose teachers: none (own data only), at random, by largest divergence of the data,
the mean of all logits, a weighted vote on texts, LinUCB with two feature maps, and the pairs whose
students' losses drop most, which an oracle finds by trying all of them."""


def choose_pairs(
    key: Key, index: jax.Array, num_pairs: int, histogram: ArrayLike, learned: Pairs
) -> Pairs:
    """Pairs of a policy; random ones where it has none of its own.

    Args:
        key: consumed.
        index: of :data:`POLICIES`, may be traced.
        num_pairs: ``K``.
        histogram: ``float[N, 12]``, shares of the private data by category.
        learned: pairs of the matchmaker.
    """
    histogram = jnp.asarray(histogram)
    divergence = js_divergence(histogram[:, None], histogram[None])
    drawn = random_matching(key, histogram.shape[0], num_pairs)
    options = {
        "heuristic": greedy_matching(divergence, num_pairs),
        "concat": learned,
        "pairwise": learned,
    }
    stacked = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), *[options.get(name, drawn) for name in POLICIES]
    )
    return jax.tree.map(lambda leaf: leaf[index], stacked)


def shared_texts(
    key: Key, index: jax.Array, loss: jax.Array, texts: transformer.Completions
) -> tuple[jax.Array, jax.Array]:
    """A response to each question for all students: of a random agent, or the weighted vote's."""
    count, questions = texts.tokens.shape[:2]
    drawn = jax.random.randint(key, (questions,), 0, count)
    voted = vote(texts.tokens, texts.mask, jnp.exp(-loss))
    author = jnp.where(index == POLICIES.index("fedid"), voted, drawn)
    places = jnp.arange(questions)
    return texts.tokens[author, places], texts.mask[author, places]


def roles(pairs: Pairs, n: int) -> tuple[jax.Array, jax.Array]:
    """Teacher of each agent ``int32[N]`` (itself without one), and which agents are students."""
    place = jnp.where(pairs.valid, pairs.students, n)
    teacher = jnp.arange(n).at[place].set(pairs.teachers, mode="drop")
    return teacher, jnp.zeros(n, bool).at[place].set(True, mode="drop")
