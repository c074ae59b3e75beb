"""A tiny model, questions with solutions of a few lines, and sampled steps of it."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import language
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer

TOKENIZER = tokenizers.character("\n12=")  # few tokens: a fresh model writes lines and ends
NEWLINE, END = TOKENIZER.token("\n"), 1
MODEL = transformer.from_config(transformer.Config(TOKENIZER.vocab_size, width=8, num_layers=1))
ITEMS = [
    verifiable.Item(f"{a}{b}=", f"{a}\n{b}\n{a}", a) for a in ("1", "2", "12") for b in ("1", "2")
][:4]
PROBLEMS = jax.tree.map(jnp.asarray, verifiable.to_arrays(ITEMS, TOKENIZER, solution_length=9))
LENGTH, STEPS, GROUP, NUMBER = 9, 3, 2, 3
_RNG = np.random.default_rng(0)
VALUES = jnp.asarray(_RNG.random((4, 6, 5)), jnp.float32)
REWARDS = jnp.asarray(_RNG.random((4, 6)), jnp.float32)
EXISTS = jnp.asarray(np.arange(5) < _RNG.integers(1, 6, (4, 6))[..., None])


def lines(problems, completions):
    """Share of a response that is newlines, and nothing without an end: rewards of all kinds."""
    hits = completions.mask & (completions.tokens == NEWLINE)
    return jnp.mean(hits.astype(jnp.float32), axis=-1) * completions.finished


@jax.jit
def sample(key, params):
    return language.sample_steps(
        key, MODEL, params, PROBLEMS, lines, separator=NEWLINE, num_steps=STEPS,
        num_samples=GROUP, num_completions=NUMBER, max_new_tokens=LENGTH,
    )  # fmt: skip
