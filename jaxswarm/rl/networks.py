"""Actor and critic networks of one agent, with or without memory.

``initialize`` stacks parameters for agents that learn apart, or makes one set that all share;
:func:`over_agents` applies a function of one agent to ``[E, N]`` of them either way.

Shapes: ``E`` environments, ``N`` agents, ``F`` features of an observation, ``G`` of what the critic
sees, ``O`` outputs of the actor.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxswarm import agents
from jaxswarm.models.linear import dot_general
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.rl.heads import Head, head_of

PyTree = Any
CRITICS = ("own", "global")


class Law(NamedTuple):
    """How raw actions follow from an actor's outputs, where its head alone does not say.

    For an actor of ``P`` parts that answer to each other, such as the members of a team:
    log-probabilities and entropies are then ``[P]``, and PPO clips the ratio of each part.

    Attributes:
        sample: ``sample(params["actor"], key, outputs) -> (raw, log_prob)``.
        mode: ``mode(params["actor"], outputs) -> raw``, what a deterministic policy does.
        judge: ``judge(params["actor"], key, outputs, raw) -> (log_prob, entropy, penalty [])`` of a
            given action; the penalty is added to PPO's loss.
    """

    sample: Callable[[PyTree, jax.Array, PyTree], tuple[jax.Array, jax.Array]]
    mode: Callable[[PyTree, PyTree], jax.Array]
    judge: Callable[[PyTree, jax.Array, PyTree, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]


class Network(NamedTuple):
    """Actor and critic of one agent; ``vmap`` the functions.

    Attributes:
        head: turns the actor's outputs into actions.
        init: ``init(key) -> {"actor": …, "critic": …}``.
        start: ``start() -> carry``, an empty memory; ``()`` without one.
        actor: ``actor(params["actor"], carry, features [F]) -> (carry, outputs)``.
        critic: ``critic(params["critic"], carry, seen [G]) -> (carry, value [])``.
        recurrent: whether there is a memory.
        sees: ``"own"``: the critic sees what its agent does; ``"global"``: the environment's
            ``global_state`` before it.
        law: of the actions, if it is not the head's; outputs may then be any pytree.
    """

    head: Head
    init: Callable[[jax.Array], PyTree]
    start: Callable[[], PyTree]
    actor: Callable[[PyTree, PyTree, jax.Array], tuple[PyTree, Any]]
    critic: Callable[[PyTree, PyTree, jax.Array], tuple[PyTree, jax.Array]]
    recurrent: bool
    sees: str
    law: Law | None = None


def law_of(network: Any) -> Law:
    """A network's own law, or the one that its head gives."""
    own = getattr(network, "law", None)
    if own is not None:
        return own
    head = network.head

    def sample(params: PyTree, key: jax.Array, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        raw = head.sample(key, outputs)
        return raw, head.log_prob(outputs, raw)

    def judge(
        params: PyTree, key: jax.Array, outputs: jax.Array, raw: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        return head.log_prob(outputs, raw), head.entropy(key, outputs), jnp.zeros(())

    return Law(sample, lambda params, outputs: head.mode(outputs), judge)


class _Torso(nn.Module):
    """Dense layers, optionally a GRU, and a dense output of a given gain."""

    widths: Sequence[int]
    num_outputs: int
    gain: float
    activation: str
    memory: int
    num_scales: int = 0
    initial_scale: float = 0.0

    @nn.compact
    def __call__(self, carry: Any, x: jax.Array) -> tuple[Any, jax.Array]:
        for width in self.widths:
            x = ACTIVATIONS[self.activation](self._dense(width, 2.0**0.5)(x))
        if self.memory:
            carry, x = nn.GRUCell(self.memory)(carry, x)
        x = self._dense(self.num_outputs, self.gain)(x)
        if self.num_scales:
            start = nn.initializers.constant(self.initial_scale)
            x = jnp.concatenate([x, self.param("log_std", start, (self.num_scales,))])
        return carry, x

    def _dense(self, width: int, gain: float) -> nn.Dense:
        # Orthogonal matrices start no better here, and their program compiles ten times as long.
        start = nn.initializers.variance_scaling(gain**2, "fan_in", "normal")
        return nn.Dense(width, kernel_init=start, dot_general=dot_general)


def actor_critic(
    head: Head,
    num_features: int,
    num_seen: int | None = None,
    *,
    widths: Sequence[int] = (64, 64),
    memory: int = 0,
    activation: str = "tanh",
    critic: str = "own",
) -> Network:
    """Two separate networks of dense layers, weights drawn from normal laws.

    Args:
        head: of the actions; the actor's output layer starts small, so that the first policy hardly
            depends on what it sees.
        num_features: ``F``.
        num_seen: ``G``; ``F`` if omitted.
        widths: of the hidden layers.
        memory: width of a GRU after them in both networks; 0 for none.
        activation: name in ``models.ACTIVATIONS``.
        critic: ``"own"`` or ``"global"``, see :class:`Network`.

    Raises:
        ValueError: sizes below 1, a negative memory, or an unknown name.
    """
    from jaxswarm.errors import unknown

    num_seen = num_features if num_seen is None else num_seen
    if min(num_features, num_seen, *widths) < 1 or not widths:
        raise ValueError(f"expected positive sizes, got {num_features}, {num_seen}, {widths}")
    if memory < 0:
        raise ValueError(f"memory: expected a width of at least 0, got {memory}")
    if activation not in ACTIVATIONS:
        raise unknown("activation", activation, ACTIVATIONS)
    if critic not in CRITICS:
        raise unknown("critic", critic, CRITICS)
    acting = _Torso(
        tuple(widths),
        head.num_outputs,
        0.01,
        activation,
        memory,
        head.num_scales,
        head.initial_scale,
    )
    judging = _Torso(tuple(widths), 1, 1.0, activation, memory)
    blank = jnp.zeros(memory) if memory else ()

    def init(key: jax.Array) -> PyTree:
        one, two = jax.random.split(key)
        return {
            "actor": acting.init(one, blank, jnp.zeros(num_features))["params"],
            "critic": judging.init(two, blank, jnp.zeros(num_seen))["params"],
        }

    def act(params: PyTree, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        result: Any = acting.apply({"params": params}, carry, features)
        return result

    def judge(params: PyTree, carry: PyTree, seen: jax.Array) -> tuple[PyTree, jax.Array]:
        result: Any = judging.apply({"params": params}, carry, seen)
        return result[0], result[1][0]

    start = {"actor": blank, "critic": blank}
    return Network(head, init, lambda: start, act, judge, memory > 0, critic)


def network_for(
    env: Any, *, critic: str = "own", squash: bool = True, initial_std: float = 1.0, **options: Any
) -> Network:
    """An :func:`actor_critic` whose sizes and head are read off an environment.

    Args:
        env: a :class:`jaxswarm.envs.SwarmEnvironment`.
        critic: ``"own"`` or ``"global"``.
        squash: see :func:`jaxswarm.rl.head_of`.
        initial_std: likewise, for continuous actions.
        options: of :func:`actor_critic`.
    """
    spec = env.action_spec
    continuous = not jnp.issubdtype(spec.dtype, jnp.integer)
    extra = {"initial_std": initial_std} if continuous else {}
    head = head_of(spec, squash=squash, **extra)
    state, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
    seen = num_features
    if critic == "global":
        seen += jax.eval_shape(env.global_state, state).shape[0]
    return actor_critic(head, num_features, seen, critic=critic, **options)


def initialize(key: jax.Array, network: Any, num_agents: int, *, shared: bool) -> PyTree:
    """Parameters that all agents share (no agents axis), or independent ones, leaves ``[N, …]``.

    ``network`` is a :class:`Network` or a :class:`jaxswarm.rl.QNetwork`.
    """
    if shared:
        return network.init(key)
    return agents.initialize(key, network.init, num_agents)


def features_of(observation: PyTree) -> jax.Array:
    """``float32[N, F]``: all leaves of an observation side by side, but for the ``agent_mask``."""
    seen = {k: v for k, v in observation._asdict().items() if k != "agent_mask"}
    leaves = [jnp.asarray(leaf, jnp.float32) for leaf in jax.tree.leaves(seen)]
    return jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves], axis=1)


def over_agents(fn: Callable[..., Any], *, shared: bool) -> Callable[..., Any]:
    """``fn(params, *args)`` of one agent, on args with leaves ``[E, N, …]``.

    ``params`` have no agents axis if ``shared``, else leaves ``[N, …]``.
    """

    def lifted(params: PyTree, *args: Any) -> Any:
        axes = (None if shared else 0, *(0 for _ in args))
        apart = (None, *(0 for _ in args))
        return jax.vmap(jax.vmap(fn, in_axes=axes), in_axes=apart)(params, *args)

    return lifted
