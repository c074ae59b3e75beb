"""Gradient steps of a team's agents on private data and on texts of their teachers.

Shapes: ``N`` agents, ``F`` of a family, ``M`` private questions, ``B`` questions of the transfer
set.
"""

import jax
import jax.numpy as jnp
import optax

from jaxswarm import agents
from jaxswarm.data import verifiable
from jaxswarm.models import transformer
from jaxswarm.systems.knexa_fl._distillation import Transfer, distillation_loss
from jaxswarm.systems.knexa_fl._team import Team, translate, translate_problems
from jaxswarm.types import Key, PyTree


def train_agents(
    key: Key,
    team: Team,
    optimizer: optax.GradientTransformation,
    state: tuple[dict[str, PyTree], dict[str, PyTree]],
    private: verifiable.Problems,
    transfer: Transfer,
    weight: jax.Array,
    *,
    steps: int,
    batch_size: int,
) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Train the adapters of all agents for some gradient steps.

    Args:
        key: consumed.
        team: of the agents.
        optimizer: of the adapters.
        state: adapters and optimizer states, dicts from family to leaves ``[F, ...]``.
        private: demonstrations, leaves ``[N, M, ...]`` in the vocabulary of the texts.
        transfer: what each agent learns from, leaves ``[N, B, ...]``, with probabilities.
        weight: ``float32[N]`` of the teacher's text in the loss; the rest is private data.
        steps: of each agent.
        batch_size: private questions of a step.

    Returns:
        The new state.
    """

    def agent(model: transformer.LanguageModel, own: PyTree, key: Key, inputs: PyTree) -> PyTree:
        (base, adapter, opt_state), (private, transfer, weight, (to, back)) = own, inputs
        transfer = transfer._replace(
            prompts=translate(transfer.prompts, transfer.prompt_mask, back),
            tokens=translate(transfer.tokens, transfer.mask, back),
            probabilities=transfer.probabilities[..., to],
        )
        private = translate_problems(private, back)

        def one(carry: PyTree, key: Key) -> tuple[PyTree, None]:
            adapter, opt_state = carry
            rows = jax.random.randint(key, (batch_size,), 0, private.prompts.shape[0])
            batch = jax.tree.map(lambda x: jnp.asarray(x)[rows], private)

            def objective(adapter: PyTree) -> jax.Array:
                params = team.adapters.merge(base, adapter)
                return distillation_loss(model, params, batch, transfer, weight)

            grads = jax.grad(objective)(adapter)
            updates, opt_state = optimizer.update(grads, opt_state, adapter)
            return (optax.apply_updates(adapter, updates), opt_state), None

        return jax.lax.scan(one, (adapter, opt_state), jax.random.split(key, steps))[0]

    adapters, opt_state = state
    owned = {
        name: (team.params[name], adapters[name], opt_state[name]) for name in team.swarm.models
    }
    tables = (jnp.asarray(team.to_text), jnp.asarray(team.from_text))
    inputs = (private, transfer, weight, tables)
    trained = team.swarm.map_apart(agent, owned, agents.keys(key, team.num_agents), inputs)
    return {k: v[0] for k, v in trained.items()}, {k: v[1] for k, v in trained.items()}
