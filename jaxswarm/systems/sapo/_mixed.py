"""A round of SAPO among agents with different vocabularies or models, on the host.

Shapes: ``N`` agents in all, ``F`` of one family, ``Q`` questions of each.
"""

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.data import tokenizers, verifiable
from jaxswarm.gossip import Traffic
from jaxswarm.systems.sapo._packets import Packets, packet_bytes, reencode_packets, token_bytes
from jaxswarm.systems.sapo._state import SAPO, SAPOInfo, SAPOState
from jaxswarm.types import Key


class Family(NamedTuple):
    """Agents of one model and vocabulary.

    Attributes:
        learner: of :func:`sapo`, with the verifier of this vocabulary; no topology, no
            ``max_age``, ``ratio_mode="self"``.
        tokenizer: of its texts.
        max_new_tokens: tokens of a response that it takes.
    """

    learner: SAPO
    tokenizer: tokenizers.Tokenizer
    max_new_tokens: int


def mixed_round(
    key: Key,
    families: Mapping[str, Family],
    states: Mapping[str, SAPOState],
    problems: Mapping[str, verifiable.Problems],
) -> tuple[dict[str, SAPOState], dict[str, SAPOInfo]]:
    """Run one round of several families, whose packets become text and tokens of the receiver.

    Every agent samples in its own vocabulary; packets of other families are re-encoded, verified
    with the receiver's own verifier, and scored by the receiver's own policy. Groups that cannot be
    written in the receiver's vocabulary, or are too long for it, are not used. Agents are numbered
    family by family, in the order of ``families``.

    Args:
        key: consumed.
        families: at least one, by name.
        states: of each family, leaves ``[F, ...]``.
        problems: of each family in its own vocabulary, leaves ``[F, Q, ...]``.

    Returns:
        ``(states, infos)`` by family; ``info.traffic`` counts one message to each other agent.

    Raises:
        ValueError: for arguments of another kind, or other names.
    """
    checks.key(key)
    if not isinstance(families, Mapping) or not families:
        raise ValueError(f"families: expected a dict of Family, got {checks.shown(families)}")
    for what, given in (("states", states), ("problems", problems)):
        if not isinstance(given, Mapping) or set(given) != set(families):
            raise ValueError(f"{what}: expected a dict of {sorted(families)}, got {given!r:.60}")
    for family in families.values():
        checks.instance("families", family, Family, "sapo.Family(learner, tokenizer, 8)")
    sample_key, update_key = jax.random.split(key)
    first, sampled, start = {}, {}, 0
    for name, family in families.items():
        first[name] = start
        sample = jax.jit(family.learner.sample, static_argnames="first")
        sampled[name] = sample(sample_key, states[name], problems[name], first=start)
        start += agents.num_agents(states[name].params)
    if start < 2:
        raise ValueError("states: expected at least two agents, got 1")
    new_states, infos = {}, {}
    for name, family in families.items():
        rewards, own = sampled[name]
        pool = [
            reencode_packets(
                packets,
                families[other].tokenizer,
                family.tokenizer,
                prompt_length=own.prompts.shape[-1],
                answer_length=own.answers.shape[-1],
                max_new_tokens=family.max_new_tokens,
            )
            for other, (_, packets) in sampled.items()
        ]
        joined = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves))[None], *pool)
        present = jnp.ones((1, start), bool)
        update = jax.jit(family.learner.update, static_argnames="first")
        new_states[name], info = update(
            update_key, states[name], own, rewards, joined, present, first=first[name]
        )
        infos[name] = info._replace(traffic=_traffic(own, family.tokenizer, start))
    return new_states, infos


def _traffic(packets: Packets, tokenizer: tokenizers.Tokenizer, num_agents: int) -> Traffic:
    size = packet_bytes(packets, token_bytes(tokenizer))
    count = jnp.full(size.shape, num_agents - 1.0)
    return Traffic(count, count * size)
