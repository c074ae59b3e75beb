"""Actors that pass messages over a topology before they act (graph networks).

In every step each agent encodes its own observation; in each of some rounds it then sends its
features to its neighbors in a :class:`jaxswarm.topology.Topology`, the graph that gossip averages
weights over, and updates them from the mean of what it received. An action thus depends on what
agents within that many hops observe, and on nothing else. All agents share the weights.

PPO must see the agents of one step together, since their outputs depend on each other:
:class:`JointAgent` makes an environment of ``N`` agents one of a single agent with ``N`` actions,
whose ratios PPO clips one by one.

Shapes: ``N`` agents with ``A`` actions, ``F`` features observed by one, ``H`` hidden ones, ``K``
in-neighbors at most.

References:
    S. Sukhbaatar, A. Szlam, R. Fergus, Learning multiagent communication with backpropagation, 2016
    (CommNet: each agent receives the mean over all). J. Jiang et al., Graph convolutional
    reinforcement learning, 2020. J. Gilmer et al., Neural message passing for quantum chemistry,
    2017.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs

from jaxswarm import checks
from jaxswarm.envs import Outcome, SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.models.linear import dense
from jaxswarm.rl.features import action_mask_slice, features_of, only_legal
from jaxswarm.rl.heads import categorical, head_of
from jaxswarm.rl.hyperparameters import layer_widths
from jaxswarm.rl.networks import Network, PolicyDistribution
from jaxswarm.rl.returns import masked_mean, select_valid
from jaxswarm.topology import Topology, in_neighbors
from jaxswarm.types import Key, Params, PyTree


class JointObservation(NamedTuple):
    """Observation of all agents as one; leaves lead with 1.

    Attributes:
        features: ``[1, N, F]``.
        present: ``float32[1, N]``, 1 for agents that are present.
        agent_mask: ``bool[1]``, whether any is.
    """

    features: jax.Array
    present: jax.Array
    agent_mask: jax.Array


class JointAgent(SwarmEnvironment):
    """An environment as one agent: action ``int32[1, N]``, reward the present agents' mean.

    Args:
        env: discrete actions ``[N]``, not wrapped.

    Raises:
        ValueError: if agents have no, several or different discrete choices.
    """

    def __init__(self, env: SwarmEnvironment):
        spec = require_environment(env).action_spec
        if not isinstance(spec, specs.MultiDiscreteArray) or len(spec.shape) != 1:
            raise ValueError(f"env: expected discrete actions [N], got {spec}")
        self.env, self.num_members = env, env.num_agents
        self.num_actions = head_of(spec).num_outputs
        _, timestep = jax.eval_shape(env.reset, jax.random.key(0))
        self.num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
        self.legal = action_mask_slice(timestep.observation, (self.num_actions,))
        super().__init__(1, env.time_limit)

    @property
    def params(self) -> PyTree:
        """Physics of the original."""
        return self.env.params

    @cached_property
    def action_spec(self) -> specs.Array:
        """``int32[1, N]``."""
        shape = (1, self.num_members)
        return specs.MultiDiscreteArray(jnp.full(shape, self.num_actions, jnp.int32), name="action")

    def agent_mask(self, world: PyTree) -> jax.Array:
        """``bool[1]``, whether any agent is present."""
        return jnp.any(self.env.agent_mask(world))[None]

    def start(self, key: Key, params: PyTree) -> PyTree:
        """Start of the original."""
        return self.env.start(key, params)

    def advance(self, key: Key, world: PyTree, action: jax.Array, params: PyTree) -> Outcome:
        """Step of the original; the reward is the mean of the agents that were present."""
        outcome = self.env.advance(key, world, action[0], params)
        reward = masked_mean(outcome.reward, self.env.agent_mask(world))
        return outcome._replace(reward=reward[None])

    def observe(self, world: PyTree, params: PyTree, step_count: jax.Array) -> JointObservation:
        """Observations of all agents."""
        observation = self.env.observe(world, params, step_count)
        present = self.env.agent_mask(world)
        return JointObservation(
            features_of(observation)[None],
            present.astype(jnp.float32)[None],
            jnp.any(present)[None],
        )

    def split_features(self, features: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Split :func:`jaxswarm.rl.features_of` an observation into ``[N, F]`` and ``[N]``."""
        members, present = jnp.split(features, [self.num_members * self.num_features])
        return members.reshape(self.num_members, self.num_features), present


class JointOutputs(NamedTuple):
    """``logits [N, A]`` and ``present float32[N]``."""

    logits: jax.Array
    present: jax.Array


class _Rounds(nn.Module):
    """Encode, exchange messages in rounds, and give an output for each agent."""

    widths: Sequence[int]
    rounds: int
    num_outputs: int
    gain: float

    @nn.compact
    def __call__(self, x: jax.Array, neighbors: jax.Array, arrives: jax.Array) -> jax.Array:
        for width in self.widths:
            x = nn.tanh(dense(width, 2.0**0.5)(x))
        for _ in range(self.rounds):
            width = self.widths[-1]
            sent = dense(width, 1.0, use_bias=False)(x)
            total = jnp.sum(jnp.where(arrives[..., None], sent[neighbors], 0.0), axis=1)
            received = total / jnp.maximum(jnp.sum(arrives, axis=1, keepdims=True), 1)
            x = nn.tanh(dense(width, 1.0)(x) + received)
        return dense(self.num_outputs, self.gain)(x)


def message_passing_network(
    joint: JointAgent,
    topology: Topology,
    *,
    rounds: int = 1,
    widths: Sequence[int] = (64, 64),
) -> Network:
    """Make actors that exchange features over a topology, and a critic of all observations.

    Per step of the environment each edge carries ``rounds`` messages of ``widths[-1]`` numbers.

    Args:
        joint: the environment as one agent.
        topology: graph of ``N`` agents whose edges carry the messages; may be directed.
        rounds: exchanges in a step; 0 for agents that act on their own observations.
        widths: hidden layers of the encoder and of the critic.

    Returns:
        A network for :func:`jaxswarm.rl.ppo` of ``joint``. It heeds an ``action_mask``.

    Raises:
        ValueError: for a topology of another number of agents or a sequence of them, or sizes below
            the least.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl, topology
        >>> joint = rl.JointAgent(envs.Donations(4))
        >>> network = rl.message_passing_network(joint, topology.ring(4), rounds=2, widths=(8,))
        >>> learner = rl.ppo(joint, network, num_envs=2, num_steps=8)
        >>> params = rl.initialize(jax.random.key(0), network, 1, shared=True)
        >>> state = jax.eval_shape(learner.init, params, jax.random.key(1))
        >>> _, info = jax.eval_shape(learner.step, jax.random.key(2), state)
        >>> info.reward.shape
        ()
    """
    checks.instance("joint", joint, JointAgent, "rl.JointAgent(env)")
    checks.instance("topology", topology, Topology, "topology.ring(4)")
    n, rounds = joint.num_members, checks.whole("rounds", rounds)
    if topology.num_agents != n or topology.is_sequence:
        raise ValueError(f"topology: expected one graph of {n} agents, got {topology}")
    widths = layer_widths("widths", widths)
    lists = in_neighbors(topology)
    neighbors, edges = np.asarray(lists.neighbors), np.asarray(lists.mask)
    size, legal = joint.num_actions, joint.legal
    actor_net = _Rounds(widths, rounds, size, 0.01)
    critic_net = _Rounds(widths, 0, 1, 1.0)
    blank = (jnp.zeros((n, joint.num_features)), neighbors, edges)

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        flat = jnp.zeros((1, n * joint.num_features))
        return {
            "actor": actor_net.init(actor_key, *blank)["params"],
            "critic": critic_net.init(critic_key, flat, neighbors, edges)["params"],
        }

    def actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, JointOutputs]:
        members, present = joint.split_features(features)
        members = select_valid(members, present > 0)
        arrives = edges & (present > 0)[neighbors]
        logits: Any = actor_net.apply({"params": params}, members, neighbors, arrives)
        if legal is not None:
            logits = only_legal(logits, members[:, legal], (size,))
        return carry, JointOutputs(logits, present)

    def critic(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        members, present = joint.split_features(features)
        flat = select_valid(members, present > 0).reshape(1, -1)
        value: Any = critic_net.apply({"params": params}, flat, neighbors, edges)
        return carry, value[0, 0]

    def log_probs(outputs: JointOutputs, raw: jax.Array) -> jax.Array:
        chosen = jnp.take_along_axis(jax.nn.log_softmax(outputs.logits), raw[:, None], axis=1)
        return jnp.where(outputs.present > 0, chosen[:, 0], 0.0)

    def sample(key: Key, params: Params, outputs: JointOutputs) -> tuple[jax.Array, jax.Array]:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n))
        raw = jax.vmap(jax.random.categorical)(keys, outputs.logits).astype(jnp.int32)
        return raw, log_probs(outputs, raw)

    def mode(params: Params, outputs: JointOutputs) -> jax.Array:
        return jnp.argmax(outputs.logits, axis=1).astype(jnp.int32)

    def evaluate(
        key: Key, params: Params, outputs: JointOutputs, raw: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        all_logs = jax.nn.log_softmax(outputs.logits)
        entropy = -jnp.sum(jnp.exp(all_logs) * all_logs, axis=1)
        entropy = jnp.where(outputs.present > 0, entropy, 0.0)
        return log_probs(outputs, raw), entropy, jnp.zeros(())

    return Network(
        categorical(size),
        init,
        lambda: {"actor": (), "critic": ()},
        actor,
        critic,
        distribution=PolicyDistribution(sample, mode, evaluate),
    )
