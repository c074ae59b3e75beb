"""Rounds of KNEXA-FL: matchmaking by profiles, text-level distillation, feedback; and baselines.

In a round every agent generates responses to questions of the public transfer set, the matchmaker
pairs teachers with students, all agents train on their private data, students also on the
re-encoded text of their teacher, and the students' drop of the loss on public validation
questions is the reward of the pairs. All policies make the same number of gradient steps and have
the same number of students.

Shapes: ``N`` agents, ``F`` of a family, ``K`` pairs, ``M`` private questions, ``X`` of the transfer
set, ``W`` of the validation set.

References:
    I. Singh, E. Vissol-Gaudin, A. Otung, M. Sekiya, Learning to collaborate: an
    orchestrated-decentralized framework for peer-to-peer LLM federation, 2026.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxswarm import checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.algorithm import Algorithm
from jaxswarm.coordination import bandits
from jaxswarm.systems.knexa_fl._data import KnexaData, check_data
from jaxswarm.systems.knexa_fl._distillation import Transfer
from jaxswarm.systems.knexa_fl._features import FEATURES, NUM_FEATURES, pair_features
from jaxswarm.systems.knexa_fl._matching import Pairs, greedy_matching
from jaxswarm.systems.knexa_fl._matchmaker import (
    MatchmakerState,
    matchmaker,
    transfer_reward,
)
from jaxswarm.systems.knexa_fl._policies import POLICIES, choose_pairs, roles, shared_texts
from jaxswarm.systems.knexa_fl._profiles import NUM_SCORES, make_profiles
from jaxswarm.systems.knexa_fl._team import (
    Team,
    check_team,
    mean_probabilities,
    solution_losses,
    team_texts,
)
from jaxswarm.systems.knexa_fl._training import train_agents
from jaxswarm.types import ArrayLike, Key, PyTree


class KnexaState(NamedTuple):
    """State of :func:`knexa`.

    Attributes:
        adapters: a dict from family to leaves ``[F, ...]``.
        opt_state: of the optimizer, the same.
        matchmaker: its statistics.
        scores: ``float32[N, 12]``, mean over a category of exp(-loss), in ``[0, 1]``.
        loss: ``float32[N]``, on the validation set, in nats per token.
        round: ``int32[]``.
    """

    adapters: dict[str, PyTree]
    opt_state: dict[str, PyTree]
    matchmaker: MatchmakerState
    scores: jax.Array
    loss: jax.Array
    round: jax.Array


class KnexaInfo(NamedTuple):
    """Measurements of a round.

    Attributes:
        pairs: of teachers and students; under ``central`` and ``fedid`` only the students count.
        rewards: ``float32[K]``, scaled drop of the student's loss, before normalization.
        loss: ``float32[N]``, validation loss after the round.
        sent: ``float32[]``, characters of text and bytes of profiles that were sent.
    """

    pairs: Pairs
    rewards: jax.Array
    loss: jax.Array
    sent: jax.Array


def knexa(
    team: Team,
    optimizer: optax.GradientTransformation,
    *,
    num_pairs: int,
    max_new_tokens: int,
    features: str = "pairwise",
    bandit: bandits.Bandit | None = None,
    policy: ArrayLike | None = None,
    beta0: float = 1.0,
    regularization: float = 1.0,
    gamma: float = 1.0,
    delta: float = 0.0,
    alpha: Sequence[float] = (0.2, 0.5),
    num_rounds: int = 20,
    steps: int = 8,
    batch_size: int = 16,
    transfer_size: int = 16,
    temperature: ArrayLike = 1.0,
) -> Algorithm:
    """KNEXA-FL: learn which agent should teach which, from profiles and reported rewards alone.

    ``init(params, data) -> KnexaState`` from adapters, as ``team.init(key)`` makes them;
    ``step(key, state, data) -> (KnexaState, KnexaInfo)`` with :class:`KnexaData`.

    Args:
        team: agents with adapters, see :func:`team`.
        optimizer: of the adapters, an optax optimizer.
        num_pairs: ``K`` of a round, from 1 to ``N / 2``.
        max_new_tokens: of a response to a question of the transfer set.
        features: map of profiles to features of a pair, one of :data:`FEATURES`.
        bandit: another rule than LinUCB, of ``NUM_FEATURES[features]`` features.
        policy: a baseline instead, as an index of :data:`POLICIES` that may be traced.
        beta0: confidence radius ``β0 / √t``.
        regularization: ``λ`` of the ridge regression.
        gamma: weight of the loss drop in the reward.
        delta: price of a kilobyte in the reward.
        alpha: weight of the teacher's text in a student's loss, in the first and the last round,
            each in ``[0, 1]``; linear between.
        num_rounds: after which ``alpha`` stays at its last value.
        steps: gradient steps of every agent in a round.
        batch_size: private questions of a step.
        transfer_size: questions of the transfer set in a round.
        temperature: of the responses.

    Raises:
        ValueError: for arguments out of range; by ``init``, for data of other shapes, histograms
            whose sum is not 1, or a transfer set that is empty or shares a question with the
            validation set.

    Example:
        >>> import jax, optax
        >>> import jax.numpy as jnp
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> from jaxswarm.systems import knexa_fl
        >>> text = verifiable.tokenizer()
        >>> model = transformer.from_config(transformer.Config(text.vocab_size, 8, num_layers=1))
        >>> swarm = transformer.families({"small": model}, ["small"] * 4)
        >>> team = knexa_fl.team(swarm, swarm.init(jax.random.key(0)), {"small": text}, text)
        >>> items = verifiable.draw_items(verifiable.products(), 24, seed=0, distinct=True)
        >>> tokens = verifiable.to_arrays(items, text)
        >>> part = lambda start, stop: jax.tree.map(lambda x: x[start:stop], tokens)
        >>> data = knexa_fl.KnexaData(
        ...     private=jax.tree.map(lambda x: x.reshape(4, 2, *x.shape[1:]), part(0, 8)),
        ...     histogram=jnp.eye(4, 12),
        ...     prompts=part(8, 16).prompts,
        ...     prompt_mask=part(8, 16).prompt_mask,
        ...     validation=part(16, 24),
        ...     category=jnp.zeros(8, int),
        ... )
        >>> learner = knexa_fl.knexa(
        ...     team, optax.adam(1e-2), num_pairs=2, max_new_tokens=3, steps=1, batch_size=2
        ... )
        >>> state = learner.init(team.init(jax.random.key(1)), data)
        >>> state, info = jax.jit(learner.step)(jax.random.key(2), state, data)
        >>> info.pairs.teachers.shape, info.loss.shape
        ((2,), (4,))
    """
    check_team(team)
    n = team.num_agents
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    checks.choice("features", features, FEATURES)
    if policy is not None:
        checks.index("policy", policy, len(POLICIES))
    checks.probability("alpha", alpha, shape=(2,))
    num_rounds = checks.whole("num_rounds", num_rounds, 1)
    steps = checks.whole("steps", steps, 1)
    batch_size = checks.whole("batch_size", batch_size, 1)
    transfer_size = checks.whole("transfer_size", transfer_size, 1)
    checks.real("temperature", temperature, 0.0)
    checks.real("gamma", gamma, 0.0)
    checks.real("delta", delta, 0.0)
    index = jnp.asarray(POLICIES.index(features) if policy is None else policy)
    kind = features if policy is None else "pairwise"
    maker = matchmaker(
        n,
        NUM_FEATURES[kind],
        num_pairs=num_pairs,
        bandit=bandit,
        beta0=beta0,
        regularization=regularization,
    )

    def init(params: dict[str, PyTree], data: KnexaData) -> KnexaState:
        check_data(data, team)
        adapters = params
        opt_state = {}
        for name, ids in team.swarm.members.items():
            opt_state[name] = init_per_agent(optimizer, adapters[name], ids)
        scores, loss = _validate(team, adapters, data)
        zero = jnp.zeros((), jnp.int32)
        return KnexaState(adapters, opt_state, maker.init(), scores, loss, zero)

    def step(key: Key, state: KnexaState, data: KnexaData) -> tuple[KnexaState, KnexaInfo]:
        checks.instance("data", data, KnexaData, "knexa_fl.KnexaData(private, …)")
        key_rows, key_text, key_match, key_author, key_train = jax.random.split(checks.key(key), 5)
        size = min(transfer_size, jnp.shape(data.prompts)[0])
        rows = jax.random.permutation(key_rows, jnp.shape(data.prompts)[0])[:size]
        prompts = jnp.asarray(data.prompts)[rows]
        prompt_mask = jnp.asarray(data.prompt_mask)[rows]
        texts = team_texts(
            key_text,
            team,
            state.adapters,
            prompts,
            prompt_mask,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
        )
        profiles = make_profiles(team.families, state.scores, data.histogram)
        x = pair_features(kind, profiles, state.matchmaker.history)
        if kind == "pairwise" and policy is not None:
            terms = jnp.arange(x.shape[-1]) >= NUM_FEATURES["concat"]
            terms = terms[None, None] & (index == POLICIES.index("concat"))
            x = jnp.where(terms, 0.0, x)
        dispatched, learned = maker.choose(key_match, state.matchmaker, x)
        chosen = choose_pairs(key_match, index, num_pairs, data.histogram, learned)
        shared_tokens, shared_mask = shared_texts(key_author, index, state.loss, texts)
        probabilities = jax.lax.cond(
            index == POLICIES.index("central"),
            lambda: mean_probabilities(
                team, state.adapters, prompts, prompt_mask, shared_tokens, shared_mask
            ),
            lambda: jax.nn.one_hot(shared_tokens, team.to_text.shape[1]),
        )
        is_central = (index == POLICIES.index("central")) | (index == POLICIES.index("fedid"))
        fraction = jnp.minimum(state.round / max(num_rounds - 1, 1), 1.0)
        weight = jnp.where(index == 0, 0.0, alpha[0] + (alpha[1] - alpha[0]) * fraction)
        oracle = index == POLICIES.index("oracle")
        trials = jnp.where(oracle, n + 1, 1)

        def trial(k: jax.Array, carry: PyTree) -> PyTree:
            """Train with agent ``k`` as the teacher of all, and the last time with the pairs."""
            drops, _ = carry
            last = k == trials - 1
            best = greedy_matching(drops, num_pairs)
            pairs = jax.tree.map(lambda a, b: jnp.where(oracle, a, b), best, chosen)
            teacher, student = roles(pairs, n)
            teacher, student = jnp.where(last, teacher, k), student | ~last
            tokens = jnp.where(is_central, shared_tokens[None], texts.tokens[teacher])
            mask = jnp.where(is_central, shared_mask[None], texts.mask[teacher])
            mask &= student[:, None, None]
            own = jax.nn.one_hot(tokens, team.to_text.shape[1])
            transfer = Transfer(
                jnp.broadcast_to(prompts, (n, *prompts.shape)),
                jnp.broadcast_to(prompt_mask, (n, *prompts.shape)),
                tokens,
                mask,
                jnp.where(is_central, probabilities[None], own),
            )
            adapters, opt_state = train_agents(
                key_train,
                team,
                optimizer,
                (state.adapters, state.opt_state),
                data.private,
                transfer,
                jnp.where(student, weight, 0.0),
                steps=steps,
                batch_size=batch_size,
            )
            scores, loss = _validate(team, adapters, data)
            drops = drops.at[k].set(state.loss - loss, mode="drop")
            sent = jnp.sum(jnp.where(mask, 1.0, 0.0), axis=(1, 2))
            return drops, (adapters, opt_state, scores, loss, pairs, sent)

        none = jnp.full(num_pairs, -1, jnp.int32)
        start = (
            jnp.zeros((n, n)),
            (
                state.adapters,
                state.opt_state,
                state.scores,
                state.loss,
                Pairs(none, none, jnp.zeros(num_pairs, bool)),
                jnp.zeros(n),
            ),
        )
        _, result = jax.lax.fori_loop(0, trials, trial, start)
        adapters, opt_state, scores, loss, pairs, sent = result
        kilobytes = sent[pairs.students] / 1024
        rewards = transfer_reward(
            state.loss[pairs.students], loss[pairs.students], kilobytes, gamma=gamma, delta=delta
        )
        learns = (index == POLICIES.index("concat")) | (index == POLICIES.index("pairwise"))
        updated = maker.feedback(dispatched, pairs, rewards)
        learned_state = jax.tree.map(
            lambda new, old: jnp.where(learns, new, old), updated, state.matchmaker
        )
        state = KnexaState(adapters, opt_state, learned_state, scores, loss, state.round + 1)
        total = jnp.where(index == 0, 0.0, jnp.sum(sent)) + jnp.where(learns, 4.0 * n * 32, 0.0)
        return state, KnexaInfo(pairs, rewards, loss, total)

    return Algorithm(init, step)


def _validate(
    team: Team, adapters: dict[str, PyTree], data: KnexaData
) -> tuple[jax.Array, jax.Array]:
    """Scores by category ``[N, 12]`` and mean losses ``[N]`` on the validation questions."""
    losses = solution_losses(team, adapters, data.validation)
    member = jax.nn.one_hot(jnp.asarray(data.category), NUM_SCORES)
    counts = jnp.maximum(jnp.sum(member, axis=0), 1.0)
    return jnp.exp(-losses) @ member / counts[None], jnp.mean(losses, axis=1)
