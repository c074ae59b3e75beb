"""A verifiable task as an environment, in which an action is a token.

Shapes: ``N`` agents, each with a question of its own; ``M`` questions, ``P`` tokens of a question,
``T`` of a response.
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import agents, checks
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.envs import Outcome, SwarmEnvironment, discrete_actions


class TokenWorld(NamedTuple):
    """What has been written. ``row int32[N]`` question of each agent; ``tokens int32[N, T]``."""

    row: jax.Array
    tokens: jax.Array
    length: jax.Array  # int32[N]
    right: jax.Array  # bool[N], ended with the right answer
    agent_mask: jax.Array  # bool[N], still writing


class TokenObservation(NamedTuple):
    """What an agent observes.

    Attributes:
        tokens: ``int32[N, P + T]``, question and response so far, each padded at the right.
        mask: ``bool[N, P + T]``, tokens that are no padding.
        last: ``int32[N]``, place of the last token, whose logits are those of the next action.
        agent_mask: ``bool[N]``, agents whose response has not ended.
    """

    tokens: jax.Array
    mask: jax.Array
    last: jax.Array
    agent_mask: jax.Array


class TokenEnv(SwarmEnvironment):
    r"""Write a response token by token; the reward is 1 at its end if its last line is the answer.

    Agents do not interact: each gets a question at random and leaves with its end token. A response
    without an end token within ``T`` tokens is truncated and has no reward.

    Args:
        problems: ``M`` questions.
        tokenizer: of the questions.
        num_agents: ``N``.
        max_new_tokens: ``T >= 1``.
        separator: character between lines.

    Raises:
        ValueError: for arguments of another kind, or a separator that is no token.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import language
        >>> from jaxswarm.data import verifiable
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.chain_sums(2), 1, seed=0)
        >>> env = language.TokenEnv(verifiable.to_arrays(items, tokens), tokens)
        >>> state, timestep = env.reset(jax.random.key(0))
        >>> for token in tokens.encode(items[0].solution, end=True):
        ...     state, timestep = env.step(state, jnp.array([token]))
        >>> timestep.reward.tolist(), bool(timestep.last())
        ([1.0], True)
    """

    def __init__(
        self,
        problems: verifiable.Problems,
        tokenizer: tokenizers.Tokenizer,
        num_agents: int = 1,
        *,
        max_new_tokens: int = 16,
        separator: str = "\n",
    ):
        checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")
        checks.instance("tokenizer", tokenizer, tokenizers.Tokenizer, "verifiable.tokenizer()")
        max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
        self._separator = tokenizer.token(checks.instance("separator", separator, str))
        self._problems = jax.tree.map(jnp.asarray, problems)
        self._tokenizer = tokenizer
        super().__init__(num_agents, time_limit=max_new_tokens)

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``, a token in ``[0, V)`` each."""
        return discrete_actions(self.num_agents, self._tokenizer.vocab_size)

    def agent_mask(self, world: TokenWorld) -> jax.Array:
        """Mask of the agents whose response has not ended, ``bool[N]``."""
        return world.agent_mask

    def start(self, key: jax.Array, params: Any) -> TokenWorld:
        """A question for each agent, and empty responses."""
        del params
        n, count = self.num_agents, self._problems.prompts.shape[0]
        rows = jax.vmap(lambda k: jax.random.randint(k, (), 0, count))(agents.keys(key, n))
        return TokenWorld(
            rows,
            jnp.full((n, self.time_limit), tokenizers.PAD, jnp.int32),
            jnp.zeros(n, jnp.int32),
            jnp.zeros(n, bool),
            jnp.ones(n, bool),
        )

    def advance(self, key: jax.Array, world: TokenWorld, action: jax.Array, params: Any) -> Outcome:
        """Append a token to each response that has not ended, and verify those that end."""
        del key, params
        acting = world.agent_mask
        here = (jnp.arange(self.time_limit)[None] == world.length[:, None]) & acting[:, None]
        known = (action >= 0) & (action < self._tokenizer.vocab_size)
        token = jnp.where(known, action, tokenizers.PAD).astype(jnp.int32)
        tokens = jnp.where(here, token[:, None], world.tokens)
        length = world.length + acting
        ends = acting & (token == tokenizers.END)
        right = ends & verifiable.exact_match(
            tokens,
            jnp.arange(self.time_limit)[None] < length[:, None],
            self._problems.answers[world.row],
            self._problems.answer_lengths[world.row],
            separator=self._separator,
        )
        left = acting & ~ends
        world = TokenWorld(world.row, tokens, length, world.right | right, left)
        metrics = {"right": jnp.mean(world.right.astype(jnp.float32))}
        return Outcome(world, right.astype(jnp.float32), ~jnp.any(left), metrics)

    def observe(self, world: TokenWorld, params: Any, step_count: jax.Array) -> TokenObservation:
        """Each agent's own question and response so far."""
        del params, step_count
        prompts, prompt_mask = (
            self._problems.prompts[world.row],
            self._problems.prompt_mask[world.row],
        )
        written = jnp.arange(self.time_limit)[None] < world.length[:, None]
        mask = jnp.concatenate([prompt_mask, written], axis=1)
        return TokenObservation(
            jnp.concatenate([prompts, world.tokens], axis=1),
            mask,
            jnp.max(jnp.where(mask, jnp.arange(mask.shape[1])[None], 0), axis=1),
            world.agent_mask,
        )

    def draw(self, world: TokenWorld, params: Any, ax: Any) -> None:
        """Draw the questions and responses of the first eight agents as text."""
        del params
        ax.set_axis_off()
        for place, row in enumerate(np.asarray(world.row)[:8]):
            prompt = np.asarray(self._problems.prompts)[row]
            shown = np.asarray(self._problems.prompt_mask)[row]
            question = self._tokenizer.decode(prompt[shown])
            written = np.asarray(world.tokens)[place][: int(world.length[place])]
            text = f"{question} {self._tokenizer.decode(written)}".replace("\n", " ⏎ ")
            ax.text(
                0.0, 1.0 - (place + 1) / 9.0, text, family="monospace", transform=ax.transAxes,
                color="#2A7F3F" if world.right[place] else "black",
            )  # fmt: skip
