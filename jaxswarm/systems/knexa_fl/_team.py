"""Language agents of different architectures and vocabularies that exchange texts.

All agents have low-rank adapters over frozen parameters. Texts travel in one vocabulary; each agent
re-encodes them. Vocabularies must have the same characters, in any order, so that re-encoding is a
table inside ``jit``; with byte-pair encoding, re-encode on the host (``data.tokenizers.reencode``).

Shapes: ``N`` agents, ``F`` of a family, ``B`` questions, ``P`` tokens of a question, ``T`` of a
response, ``V`` tokens of a vocabulary.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.models import transformer
from jaxswarm.types import ArrayLike, Key, Params, PyTree


class Team(NamedTuple):
    """Agents with frozen parameters, adapters and vocabularies; made by :func:`team`.

    Attributes:
        swarm: models by family.
        params: frozen, a dict from family to leaves ``[F, ...]``.
        adapters: functions of the low-rank adapters.
        to_text: ``int32[N, V]``, token of the texts for each token of an agent.
        from_text: ``int32[N, V]``, the inverse.
    """

    swarm: transformer.Families
    params: dict[str, Params]
    adapters: transformer.Lora
    to_text: np.ndarray
    from_text: np.ndarray

    @property
    def num_agents(self) -> int:
        """Number of agents ``N``."""
        return self.swarm.num_agents

    @property
    def families(self) -> np.ndarray:
        """Number of the family of each agent, ``int32[N]``."""
        found = np.zeros(self.num_agents, np.int32)
        for number, ids in enumerate(self.swarm.members.values()):
            found[ids] = number
        return found

    def init(self, key: Key) -> dict[str, PyTree]:
        """Adapters that change nothing yet, a dict from family to leaves ``[F, ...]``."""
        keys = agents.keys(key, self.num_agents)
        return {
            name: jax.vmap(self.adapters.init)(keys[ids], self.params[name])
            for name, ids in self.swarm.members.items()
        }

    def pairs(self, state: Mapping[str, PyTree]) -> dict[str, tuple[Params, PyTree]]:
        """Frozen parameters and adapters of each family, as :meth:`Families.map` takes them."""
        return {name: (self.params[name], state[name]) for name in self.swarm.models}


def team(
    swarm: transformer.Families,
    params: Mapping[str, Params],
    vocabularies: Mapping[str, tokenizers.Tokenizer],
    text: tokenizers.Tokenizer,
    *,
    adapters: transformer.Lora | None = None,
) -> Team:
    """Make a team of language agents that exchange texts.

    Args:
        swarm: models by family, see :func:`jaxswarm.models.transformer.families`.
        params: parameters, which stay frozen, a dict from family to leaves ``[F, ...]``.
        vocabularies: a tokenizer for each family.
        text: the tokenizer of texts that are exchanged; every vocabulary has its characters.
        adapters: of the agents; rank 2 on all dense layers if ``None``.

    Raises:
        ValueError: for families that do not agree, or vocabularies of other characters.

    Example:
        >>> import jax
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> from jaxswarm.systems import knexa_fl
        >>> text = verifiable.tokenizer()
        >>> model = transformer.from_config(transformer.Config(text.vocab_size, width=8))
        >>> swarm = transformer.families({"small": model}, ["small"] * 4)
        >>> team = knexa_fl.team(swarm, swarm.init(jax.random.key(0)), {"small": text}, text)
        >>> team.num_agents, team.to_text.shape
        (4, (4, 35))
    """
    checks.instance("swarm", swarm, transformer.Families, "transformer.families(models, names)")
    checks.instance("text", text, tokenizers.Tokenizer, "verifiable.tokenizer()")
    adapters = adapters or transformer.lora(2, targets=transformer.TARGETS)
    checks.instance("adapters", adapters, transformer.Lora, "transformer.lora(2)")
    names = set(swarm.models)
    for name, given in (("params", params), ("vocabularies", vocabularies)):
        if not isinstance(given, Mapping) or set(given) != names:
            raise ValueError(
                f"{name}: expected a dict of the families {sorted(names)}, got "
                f"{sorted(given) if isinstance(given, Mapping) else checks.shown(given)}"
            )
    to_text = np.zeros((swarm.num_agents, text.vocab_size), np.int32)
    from_text = np.zeros_like(to_text)
    for name, ids in swarm.members.items():
        agents.check_leading_axis(params[name], len(ids), f"params[{name!r}]")
        own = vocabularies[name]
        checks.instance("vocabularies", own, tokenizers.Tokenizer, "verifiable.tokenizer()")
        if not own.vocab_size == swarm.models[name].vocab_size == text.vocab_size:
            raise ValueError(
                f"vocabularies: expected {text.vocab_size} tokens in the texts, vocabulary and "
                f"model of family {name!r}, got {own.vocab_size} and "
                f"{swarm.models[name].vocab_size}"
            )
        to_text[ids] = tokenizers.token_map(own, text)
        from_text[ids] = tokenizers.token_map(text, own)
    return Team(swarm, dict(params), adapters, to_text, from_text)


def team_texts(
    key: Key,
    team: Team,
    state: Mapping[str, PyTree],
    prompts: ArrayLike,
    mask: ArrayLike,
    *,
    max_new_tokens: int,
    temperature: ArrayLike = 1.0,
) -> transformer.Completions:
    """Responses of every agent to the same questions, in the vocabulary of the texts.

    Args:
        key: consumed.
        team: of the agents.
        state: adapters, a dict from family to leaves ``[F, ...]``.
        prompts: ``int[B, P]`` of texts.
        mask: ``bool[B, P]``.
        max_new_tokens: ``T``.
        temperature: of sampling; 0 takes the most probable tokens.

    Returns:
        Completions ``[N, B, T]``.

    Raises:
        ValueError: as :func:`jaxswarm.models.transformer.generate`.
    """
    check_team(team)

    def one(model: transformer.LanguageModel, params: PyTree, key: Key, to: PyTree) -> PyTree:
        found = transformer.generate(
            key,
            model,
            team.adapters.merge(*params),
            translate(prompts, mask, to[1]),
            jnp.asarray(mask),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
        )
        return found._replace(tokens=translate(found.tokens, found.mask, to[0]))

    keys = agents.keys(key, team.num_agents)
    tables = (jnp.asarray(team.to_text), jnp.asarray(team.from_text))
    return team.swarm.map(one, team.pairs(state), keys, tables)


def solution_losses(
    team: Team, state: Mapping[str, PyTree], problems: verifiable.Problems
) -> jax.Array:
    """Mean negative log-probability of the solution of each question under every agent.

    Args:
        team: of the agents.
        state: adapters.
        problems: ``B`` questions in the vocabulary of the texts.

    Returns:
        Nats per token, ``float32[N, B]``.

    Raises:
        ValueError: for arguments of another kind.
    """
    check_team(team)
    checks.instance("problems", problems, verifiable.Problems, "verifiable.to_arrays(items, …)")

    def one(model: transformer.LanguageModel, params: PyTree, table: jax.Array) -> jax.Array:
        own = translate_problems(problems, table)
        found = transformer.completion_log_probs(
            model,
            team.adapters.merge(*params),
            own.prompts,
            own.prompt_mask,
            own.solutions,
            own.solution_mask,
        )
        return -jnp.sum(found, axis=-1) / jnp.maximum(jnp.sum(own.solution_mask, axis=-1), 1)

    return team.swarm.map(one, team.pairs(state), jnp.asarray(team.from_text))


def mean_probabilities(
    team: Team,
    state: Mapping[str, PyTree],
    prompts: jax.Array,
    mask: jax.Array,
    tokens: jax.Array,
    token_mask: jax.Array,
) -> jax.Array:
    """Probabilities of each token of texts by the mean of all agents' logits.

    Args:
        team: of the agents.
        state: adapters.
        prompts: ``int[B, P]`` of texts.
        mask: ``bool[B, P]``.
        tokens: ``int[B, T]``, responses.
        token_mask: ``bool[B, T]``.

    Returns:
        ``float32[B, T, V]`` in the vocabulary of the texts.

    Raises:
        ValueError: for arguments that do not fit.
    """
    check_team(team)

    def one(model: transformer.LanguageModel, params: PyTree, table: jax.Array) -> jax.Array:
        outputs = transformer.completion_outputs(
            model,
            team.adapters.merge(*params),
            translate(prompts, mask, table),
            jnp.asarray(mask),
            translate(tokens, token_mask, table),
            jnp.asarray(token_mask),
        )
        return jax.nn.log_softmax(outputs.logits)[..., table]

    found = team.swarm.map(one, team.pairs(state), jnp.asarray(team.from_text))
    return jax.nn.softmax(jnp.mean(found, axis=0))


def translate(tokens: ArrayLike, mask: ArrayLike, table: jax.Array) -> jax.Array:
    """Tokens of another vocabulary by a table ``[V]``; padding becomes 0."""
    tokens, mask = jnp.asarray(tokens), jnp.asarray(mask)
    return jnp.where(mask, table[jnp.where(mask, tokens, 0)], 0)


def translate_problems(problems: verifiable.Problems, table: jax.Array) -> verifiable.Problems:
    """Questions and solutions in another vocabulary; the answers stay in that of the texts."""
    return problems._replace(
        prompts=translate(problems.prompts, problems.prompt_mask, table),
        prompt_mask=jnp.asarray(problems.prompt_mask),
        solutions=translate(problems.solutions, problems.solution_mask, table),
        solution_mask=jnp.asarray(problems.solution_mask),
    )


def check_team(team: Team) -> None:
    """Refuse what is no team."""
    checks.instance("team", team, Team, "knexa_fl.team(…)")
