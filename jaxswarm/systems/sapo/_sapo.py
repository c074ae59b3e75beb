"""SAPO: each agent learns from its own responses and from those that other agents share as text.

Shapes: ``N`` agents, ``Q`` questions of each in a round, ``G`` responses to each, ``T`` tokens of a
response, ``S = I + J`` groups of an update, ``A = max_age + 1`` rounds of packets, ``K``
in-neighbours.

References:
    J. Amico et al., Sharing is caring: efficient LM post-training with collective RL experience
    sharing, 2025.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents, checks
from jaxswarm._optimizers import init_per_agent
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.gossip import Traffic
from jaxswarm.language import (
    GRPOLoss,
    RewardFn,
    Rollouts,
    group_advantages,
    grpo_loss,
    rollout_log_probs,
    sample_rollouts,
)
from jaxswarm.models.transformer import LanguageModel, check_model
from jaxswarm.systems.sapo._forgeries import ForgeFn
from jaxswarm.systems.sapo._packets import (
    Packets,
    make_packets,
    packet_bytes,
    token_bytes,
    verify,
)
from jaxswarm.systems.sapo._selection import choose_groups, informative
from jaxswarm.systems.sapo._state import (
    RATIO_MODES,
    SAPO,
    Round,
    SAPOInfo,
    SAPOState,
    check_masks,
    check_num_groups,
    check_problems,
)
from jaxswarm.topology import Topology, in_neighbors
from jaxswarm.types import ArrayLike, Key, Params, PyTree


def sapo(
    model: LanguageModel,
    optimizer: optax.GradientTransformation,
    reward: RewardFn,
    *,
    local: ArrayLike = 4,
    external: ArrayLike = 4,
    num_groups: int | None = None,
    num_samples: int = 8,
    max_new_tokens: int,
    topology: Topology | None = None,
    max_age: int = 0,
    filter_local: ArrayLike = False,
    negative_weight: ArrayLike = 1.0,
    ratio_mode: str = "self",
    forge: ForgeFn | None = None,
    tokenizer: tokenizers.Tokenizer | None = None,
    clip_low: ArrayLike = 0.2,
    clip_high: ArrayLike = 0.28,
    temperature: ArrayLike = 1.0,
    top_k: int | None = None,
) -> SAPO:
    r"""Swarm sampling policy optimization (SAPO): GRPO on own and on shared responses.

    In a round every agent samples ``G`` responses to each of its ``Q`` questions, rewards them, and
    sends questions, answers and responses as text to the agents that have it as in-neighbour. It
    then makes one gradient step of :func:`jaxswarm.language.grpo_loss` on its first ``I`` own
    groups and ``J`` external ones. These are drawn uniformly, without replacement, from the packets
    it received: rewarded by its own verifier, groups whose advantages are all zero dropped, its own
    excluded. Where fewer than ``J`` qualify the rest is padding. Neither rewards nor parameters are
    shared.

    With ``ratio_mode="self"``, as in the paper, the ratio of probabilities is that of the learner's
    policy with itself, exactly 1: external text gets the gradient of its log-probability times its
    advantage, and nothing is clipped. ``"behaviour"`` divides by the probability under the sender's
    policy, clips, and shares log-probabilities as well: an extension.

    Args:
        model: of one agent.
        optimizer: an optax optimizer.
        reward: ``reward(problems, completions) -> float[Q, G]``, the verifier; of shared packets it
            sees the text (:meth:`Packets.problems <Packets>`, without solutions).
        local: ``I >= 0``, own groups of an update, at most ``Q``; may be traced, see
            ``num_groups``.
        external: ``J >= 0``, external groups of an update; may be traced.
        num_groups: slots ``S >= I + J`` of an update; ``I + J`` if ``None``. Needed if ``local`` or
            ``external`` is traced, where a sum beyond it is cut.
        num_samples: ``G >= 2``.
        max_new_tokens: ``T >= 1``.
        topology: of ``N`` agents: packets go along its edges; from all to all if ``None``.
        max_age: rounds for which packets remain in the receivers' buffers. With 0 only those of the
            same round count.
        filter_local: draw the own groups, too, from those with advantages that are not all zero,
            among ``Q > I``: the control of isolated agents that sample more and filter. May be
            traced.
        negative_weight: factor in ``[0, 1]`` of the negative advantages of external responses. 1 in
            the paper; with 0 an agent learns from the right ones alone. (A response that the
            learner would hardly give is pushed down without end by the ratio of ``"self"``: an
            extension.)
        ratio_mode: a name in ``RATIO_MODES``.
        forge: ``forge(key, packets, problems) -> packets`` of agents that send something else than
            what they sampled, such as :func:`padded_answers`; they learn from what they sampled.
        tokenizer: of the texts, whose bytes are then counted; four bytes for each token if
            ``None``.
        clip_low: in ``[0, 1]``, for ``"behaviour"``.
        clip_high: at least 0, for ``"behaviour"``.
        temperature: of sampling, > 0.
        top_k: sample among the most probable tokens; all if ``None``.

    Raises:
        ValueError: for arguments of another kind or out of range, ``I + J = 0``; by the functions,
            for fewer questions than ``I``, and ``J > 0`` with a single agent or without any that
            shares.

    Example:
        >>> import jax, jax.numpy as jnp, optax
        >>> from jaxswarm import agents, language
        >>> from jaxswarm.data import verifiable
        >>> from jaxswarm.models import transformer
        >>> from jaxswarm.systems import sapo
        >>> tokens = verifiable.tokenizer()
        >>> items = verifiable.draw_items(verifiable.reverse_comparison(2), 12, seed=0)
        >>> problems = verifiable.to_arrays(items, tokens)  # three agents with four questions each
        >>> problems = jax.tree.map(lambda x: jnp.asarray(x).reshape(3, 4, *x.shape[1:]), problems)
        >>> model = transformer.from_config(transformer.Config(tokens.vocab_size, width=8))
        >>> learner = sapo.sapo(
        ...     model,
        ...     optax.adam(1e-3),
        ...     language.exact_match_reward(tokens.token("\n")),
        ...     local=2,
        ...     external=2,
        ...     max_new_tokens=3,
        ...     tokenizer=tokens,
        ... )
        >>> state = learner.init(agents.initialize(jax.random.key(0), model.init, 3))
        >>> state, info = jax.jit(learner.step)(jax.random.key(1), state, problems)
        >>> info.reward.shape, info.traffic.messages.tolist()
        ((3,), [2.0, 2.0, 2.0])
    """
    check_model(model)
    checks.instance("optimizer", optimizer, optax.GradientTransformation, "optax.adam(1e-3)")
    checks.function("reward", reward)
    num_groups = check_num_groups(local, external, num_groups)
    num_samples = checks.whole("num_samples", num_samples, 2)
    max_new_tokens = checks.whole("max_new_tokens", max_new_tokens, 1)
    lists = None if topology is None else in_neighbors(topology)
    max_age = checks.whole("max_age", max_age, 0, 10_000)
    if not checks.is_traced(filter_local):
        filter_local = checks.flag("filter_local", filter_local)
    checks.probability("negative_weight", negative_weight)
    checks.choice("ratio_mode", ratio_mode, RATIO_MODES)
    if forge is not None:
        checks.function("forge", forge)
    sizes = None if tokenizer is None else token_bytes(tokenizer)
    checks.probability("clip_low", clip_low)
    checks.real("clip_high", clip_high, 0.0)
    checks.real("temperature", temperature, above=0.0)
    if top_k is not None:
        top_k = checks.whole("top_k", top_k, 1, model.vocab_size)
    alone = not checks.is_traced(external) and int(external) == 0  # pyright: ignore
    slots = jnp.arange(num_groups)

    def init(params: Params, problems: verifiable.Problems | None = None) -> SAPOState:
        state = SAPOState(params, init_per_agent(optimizer, params), None, None)
        if not max_age:
            return state
        n = agents.num_agents(params)
        if problems is None:
            raise ValueError(f"problems: expected the questions of {n} agents, got None")
        check_problems(problems, n, local)
        shapes = jax.eval_shape(sample, jax.random.key(0), state, problems)[1]
        empty = jax.tree.map(lambda x: jnp.zeros((max_age, *x.shape), x.dtype), shapes)
        return state._replace(packets=empty, present=jnp.zeros((max_age, n), bool))

    def sample(
        key: Key, state: SAPOState, problems: verifiable.Problems, first: int = 0
    ) -> tuple[jax.Array, Packets]:
        n = agents.num_agents(state.params)
        check_problems(problems, n, local)

        def one(key: Key, params: Params, problems: verifiable.Problems) -> Any:
            _, rewards, completions = sample_rollouts(
                key,
                model,
                params,
                problems,
                reward,
                num_samples=num_samples,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_k=top_k,
            )
            shared = ratio_mode == "behaviour"
            return rewards, make_packets(problems, completions, log_probs=shared)

        return jax.vmap(one)(agents.keys(key, n, offset=first or None), state.params, problems)

    def receivers(n: int, total: int, first: int) -> tuple[jax.Array, jax.Array]:
        """In-neighbours of the learner's agents in a pool of ``total``, ``[n, K]``, and mask."""
        if lists is not None:
            if len(lists.neighbors) != total:
                raise ValueError(
                    f"topology: expected {total} agents, got {len(lists.neighbors)} agents"
                )
            rows = slice(first, first + n)
            return jnp.asarray(lists.neighbors[rows]), jnp.asarray(lists.mask[rows])
        others = jnp.arange(first, first + n)[:, None] + jnp.arange(1, total)[None]
        return others % total, jnp.ones((n, total - 1), bool)

    def update(
        key: Key,
        state: SAPOState,
        own: Packets,
        rewards: jax.Array,
        pool: Packets | None,
        present: jax.Array | None,
        active: jax.Array | None = None,
        first: int = 0,
    ) -> tuple[SAPOState, SAPOInfo]:
        n = agents.num_agents(state.params)
        keys = jax.vmap(jax.random.split)(agents.keys(key, n, offset=first or None))
        live = informative(rewards)
        choose = jax.vmap(lambda key, eligible: choose_groups(key, eligible, num_groups))
        count = live.shape[1]
        index = jnp.broadcast_to(jnp.minimum(slots, count - 1), (n, num_groups))
        valid = jnp.broadcast_to(slots < count, (n, num_groups))
        if filter_local is not False:
            chosen = choose(keys[:, 0], live)
            index, valid = (
                jnp.where(filter_local, a, b) for a, b in zip(chosen, (index, valid), strict=True)
            )
        groups = jax.vmap(lambda tree, i: jax.tree.map(lambda x: x[i], tree))((own, rewards), index)
        wanted = slots < local
        valid = valid & wanted[None]
        external_count, age = jnp.zeros(n), jnp.zeros(n)
        if not alone:
            if pool is None or present is None:
                raise ValueError("pool: expected the packets of other agents, got None")
            rounds, total, questions = pool.tokens.shape[:3]
            pool_rewards = verify(pool, reward)
            usable = informative(pool_rewards) & pool.well_formed & present[:, :, None]
            neighbors, real = receivers(n, total, first)
            received = usable[:, neighbors] & real[None, :, :, None]  # [A, n, K, Q']
            eligible = jnp.moveaxis(received, 1, 0).reshape(n, -1)
            found, is_found = choose(keys[:, 1], eligible)
            shape = (rounds, neighbors.shape[1], questions)
            back, sender, question = jnp.unravel_index(found, shape)
            sender = jnp.take_along_axis(neighbors, sender, axis=1)
            place = jnp.clip(slots - local, 0, num_groups - 1)
            asked = ~wanted & (slots < local + external)
            outside = jax.tree.map(
                lambda x: x[back[:, place], sender[:, place], question[:, place]],
                (pool, pool_rewards),
            )
            groups = jax.tree.map(
                lambda a, b: jnp.where(_expand(wanted, a.ndim), a, b), groups, outside
            )
            is_found = is_found[:, place] & asked[None]
            valid, wanted = valid | is_found, wanted | asked
            external_count = jnp.sum(is_found, axis=1).astype(jnp.float32)
            age = jnp.sum(jnp.where(is_found, back[:, place], 0), axis=1)
            age = age / jnp.maximum(external_count, 1)

        def learn(params: Params, opt_state: PyTree, groups: Any, valid: jax.Array) -> Any:
            packets, rewards = groups
            mask = packets.mask & valid[:, None, None]
            advantages = group_advantages(jnp.where(valid[:, None], rewards, 0.0))
            weak = (slots >= local)[:, None] & (advantages < 0.0)
            advantages = jnp.where(weak, negative_weight * advantages, advantages)
            rollouts = Rollouts(
                packets.prompts, packets.prompt_mask, packets.tokens, mask, advantages
            )

            def objective(params: Params) -> tuple[jax.Array, GRPOLoss]:
                found = grpo_loss(
                    rollout_log_probs(model, params, rollouts),
                    advantages,
                    mask,
                    old_log_probs=packets.log_probs,
                    clip_low=clip_low,
                    clip_high=clip_high,
                )
                return found.loss, found

            grads, parts = jax.grad(objective, has_aux=True)(params)
            updates, opt_state = optimizer.update(grads, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, parts, optax.tree.norm(grads)

        *new, parts, norm = jax.vmap(learn)(state.params, state.opt_state, groups, valid)
        info = SAPOInfo(
            reward=jnp.mean(rewards, axis=(1, 2)),
            live=jnp.mean(live.astype(jnp.float32), axis=1),
            external=external_count,
            missing=jnp.sum(wanted[None] & ~valid, axis=1).astype(jnp.float32),
            age=age,
            loss=parts.loss,
            clip_fraction=parts.clip_fraction,
            grad_norm=norm,
            traffic=Traffic(jnp.zeros(n), jnp.zeros(n)),
        )
        old = (state.params, state.opt_state)
        kept = tuple(new) if active is None else agents.where(active, tuple(new), old)
        if active is not None:
            info = jax.tree.map(lambda x: jnp.where(active, x, 0.0), info)
        return state._replace(params=kept[0], opt_state=kept[1]), info

    def step(key: Key, state: SAPOState, inputs: Any) -> tuple[SAPOState, SAPOInfo]:
        checks.key(key)
        checks.instance("state", state, SAPOState, "sapo(…).init(params)")
        if isinstance(inputs, verifiable.Problems):
            inputs = Round(inputs)
        checks.instance("inputs", inputs, Round, "sapo.Round(problems)")
        n = agents.num_agents(state.params)
        active, present, forging = check_masks(inputs, n, alone, forge is not None)
        sample_key, update_key, forge_key = jax.random.split(key, 3)
        rewards, own = sample(sample_key, state, inputs.problems)
        if alone:
            return update(update_key, state, own, rewards, None, None, active)
        if n < 2:
            raise ValueError("external: expected 0 for a single agent, got more")
        sent = own
        if forge is not None and forging is not None:
            forged = jax.vmap(forge)(agents.keys(forge_key, n), own, inputs.problems)
            sent = agents.where(forging, forged, own)
        pool, present = jax.tree.map(lambda x: x[None], (sent, present))
        if max_age:
            if state.packets is None:
                raise ValueError("state: expected that of init(params, problems), got no buffer")
            pool, present = jax.tree.map(
                lambda x, old: jnp.concatenate([x, old]),
                (pool, present),
                (state.packets, state.present),
            )
        state, info = update(update_key, state, own, rewards, pool, present, active)
        if max_age:
            held = jax.tree.map(lambda x: x[:max_age], (pool, present))
            state = state._replace(packets=held[0], present=held[1])
        neighbors, real = receivers(n, n, 0)
        takes = real if active is None else real & active[:, None]
        count = jnp.zeros(n).at[neighbors].add(takes.astype(jnp.float32))
        count = jnp.where(present[0] & (jnp.asarray(external) > 0), count, 0.0)
        return state, info._replace(traffic=Traffic(count, count * packet_bytes(sent, sizes)))

    return SAPO(init, step, sample, update)


def _expand(mask: jax.Array, ndim: int) -> jax.Array:
    """``bool[S]`` as ``[1, S, 1, …]`` with a number of axes."""
    return mask.reshape(1, -1, *(1,) * (ndim - 2))
