"""Actor and critic networks of one agent, feed-forward or recurrent.

``network_for(env)`` reads the sizes off an environment. ``initialize`` makes one set of weights
that all agents share, or one set per agent; :func:`over_agents` applies a function of one agent to
``[E, N]`` of them either way.

Shapes: ``E`` environments, ``N`` agents, ``F`` features of an observation, ``G`` inputs of the
critic, ``O`` outputs of the actor.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, checks
from jaxswarm.envs import SwarmEnvironment
from jaxswarm.envs.environment import require_environment
from jaxswarm.models.linear import dense
from jaxswarm.models.networks import ACTIVATIONS
from jaxswarm.rl.features import action_mask_slice, features_of, only_legal
from jaxswarm.rl.heads import Head, head_of
from jaxswarm.rl.hyperparameters import choice, layer_widths
from jaxswarm.types import Key, Params, PyTree

if TYPE_CHECKING:
    from jaxswarm.rl.q_networks import QNetwork

CRITICS = ("own", "global")


class PolicyDistribution(NamedTuple):
    """Distribution of raw actions given an actor's outputs, where it is not the head's.

    For an actor of ``P`` parts that depend on each other, such as the members of a team:
    log-probabilities and entropies are then ``[P]``, and PPO clips the ratio of each part.

    Attributes:
        sample: ``sample(key, params["actor"], outputs) -> (raw, log_prob)``.
        mode: ``mode(params["actor"], outputs) -> raw``, the action of a deterministic policy.
        evaluate: ``evaluate(key, params["actor"], outputs, raw) -> (log_prob, entropy, penalty)``
            of a given action; the penalty ``[]`` is added to PPO's loss.
    """

    sample: Callable[[Key, Params, PyTree], tuple[jax.Array, jax.Array]]
    mode: Callable[[Params, PyTree], jax.Array]
    evaluate: Callable[[Key, Params, PyTree, jax.Array], tuple[jax.Array, jax.Array, jax.Array]]


class Network(NamedTuple):
    """Actor and critic of one agent; ``vmap`` the functions.

    Attributes:
        head: turns the actor's outputs into actions.
        init: ``init(key) -> {"actor": …, "critic": …}``, the weights.
        initial_carry: ``initial_carry() -> {"actor": …, "critic": …}``, the recurrent state at the
            beginning of an episode; ``()`` for each network without one.
        actor: ``actor(params["actor"], carry, features [F]) -> (carry, outputs [O])``.
        critic: ``critic(params["critic"], carry, critic_input [G]) -> (carry, value [])``.
        recurrent: whether the networks have a recurrent state.
        centralized: whether the critic's input is the environment's ``global_state`` followed by
            the agent's own features; otherwise it is the own features alone.
        distribution: of the actions, if it is not the head's; outputs may then be any pytree.
    """

    head: Head
    init: Callable[[Key], Params]
    initial_carry: Callable[[], PyTree]
    actor: Callable[[Params, PyTree, jax.Array], tuple[PyTree, Any]]
    critic: Callable[[Params, PyTree, jax.Array], tuple[PyTree, jax.Array]]
    recurrent: bool = False
    centralized: bool = False
    distribution: PolicyDistribution | None = None


def distribution_of(network: "Network | QNetwork") -> PolicyDistribution:
    """A network's own action distribution, or that of its head.

    Args:
        network: a :class:`Network` or a :class:`jaxswarm.rl.QNetwork`.

    Raises:
        ValueError: for anything else.
    """
    own = getattr(network, "distribution", None)
    if own is not None:
        return own
    head = getattr(network, "head", None)
    if not isinstance(head, Head):
        raise ValueError(
            f"network: expected a Network or a QNetwork such as rl.network_for(env), got "
            f"{checks.shown(network)}"
        )

    def sample(key: Key, params: Params, outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        raw = head.sample(key, outputs)
        return raw, head.log_prob(outputs, raw)

    def evaluate(
        key: Key, params: Params, outputs: jax.Array, raw: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        return head.log_prob(outputs, raw), head.entropy(key, outputs), jnp.zeros(())

    return PolicyDistribution(sample, lambda params, outputs: head.mode(outputs), evaluate)


class _Torso(nn.Module):
    """Dense layers, optionally a GRU, and a dense output of a given gain."""

    widths: Sequence[int]
    num_outputs: int
    gain: float
    activation: str
    hidden_size: int
    num_scales: int = 0
    initial_scale: float = 0.0

    @nn.compact
    def __call__(self, carry: PyTree, x: jax.Array) -> tuple[PyTree, jax.Array]:
        for width in self.widths:
            x = ACTIVATIONS[self.activation](dense(width, 2.0**0.5)(x))
        if self.hidden_size:
            carry, x = nn.GRUCell(self.hidden_size)(carry, x)
        x = dense(self.num_outputs, self.gain)(x)
        if self.num_scales:
            init = nn.initializers.constant(self.initial_scale)
            x = jnp.concatenate([x, self.param("log_std", init, (self.num_scales,))])
        return carry, x


def actor_critic_network(
    head: Head,
    num_features: int,
    num_critic_inputs: int | None = None,
    *,
    widths: Sequence[int] = (64, 64),
    hidden_size: int = 0,
    activation: str = "tanh",
    critic: str = "own",
    legal: slice | None = None,
) -> Network:
    """Make an actor and a separate critic of dense layers, optionally each with a GRU.

    Args:
        head: of the actions; the actor's output layer starts small, so that the first policy hardly
            depends on the observation.
        num_features: ``F``.
        num_critic_inputs: ``G``; ``F`` if omitted.
        widths: of the hidden layers, at least one.
        hidden_size: width of a GRU after them in both networks; 0 for feed-forward networks.
        activation: name in ``models.ACTIVATIONS``.
        critic: ``"own"``, the critic sees its agent's observation; or ``"global"``, it sees the
            environment's global state as well (centralized training).
        legal: part of the features that is above 0 for legal discrete actions, see
            :func:`jaxswarm.rl.feature_slices`; the actor's logits of the others are -1e9. All are
            legal if omitted.

    Raises:
        ValueError: sizes below 1, a negative ``hidden_size``, an unknown name, or legal actions
            that are not as many as the head's.
    """
    checks.instance("head", head, Head, "rl.categorical(5)")
    num_features = checks.whole("num_features", num_features, 1)
    if num_critic_inputs is None:
        num_critic_inputs = num_features
    num_critic_inputs = checks.whole("num_critic_inputs", num_critic_inputs, 1)
    widths = layer_widths("widths", widths)
    hidden_size = checks.whole("hidden_size", hidden_size)
    choice("activation", activation, ACTIVATIONS)
    choice("critic", critic, CRITICS)
    _check_legal(legal, head, num_features)
    scales = (head.num_scales, head.initial_scale)
    actor_net = _Torso(tuple(widths), head.num_outputs, 0.01, activation, hidden_size, *scales)
    critic_net = _Torso(tuple(widths), 1, 1.0, activation, hidden_size)
    no_carry = jnp.zeros(hidden_size) if hidden_size else ()

    def init(key: Key) -> Params:
        actor_key, critic_key = jax.random.split(key)
        critic_input = jnp.zeros(num_critic_inputs)
        return {
            "actor": actor_net.init(actor_key, no_carry, jnp.zeros(num_features))["params"],
            "critic": critic_net.init(critic_key, no_carry, critic_input)["params"],
        }

    def apply_actor(params: Params, carry: PyTree, features: jax.Array) -> tuple[PyTree, jax.Array]:
        result: Any = actor_net.apply({"params": params}, carry, features)
        if legal is None:
            return result
        return result[0], only_legal(result[1], features[legal], head.num_options)

    def apply_critic(
        params: Params, carry: PyTree, critic_input: jax.Array
    ) -> tuple[PyTree, jax.Array]:
        result: Any = critic_net.apply({"params": params}, carry, critic_input)
        return result[0], result[1][0]

    return Network(
        head,
        init,
        lambda: {"actor": no_carry, "critic": no_carry},
        apply_actor,
        apply_critic,
        recurrent=hidden_size > 0,
        centralized=critic == "global",
    )


def network_for(
    env: SwarmEnvironment,
    *,
    critic: str = "own",
    squash: bool = True,
    initial_std: float = 1.0,
    mask_actions: bool = True,
    **options: Any,
) -> Network:
    """Make an actor and a critic whose sizes and action head are read off an environment.

    If observations have a leaf ``action_mask``, illegal actions are never taken.

    Args:
        env: discrete or bounded continuous actions.
        critic: ``"own"`` or ``"global"``, see :func:`actor_critic_network`.
        squash: see :func:`jaxswarm.rl.head_of`.
        initial_std: standard deviation of continuous actions to begin with.
        mask_actions: false takes the observation's ``action_mask`` for a feature like any other.
        options: of :func:`actor_critic_network`, such as ``widths`` and ``hidden_size``.

    Example:
        >>> import jax
        >>> from jaxswarm import envs, rl
        >>> network = rl.network_for(envs.Donations(3), critic="global", widths=(16,))
        >>> network.recurrent, network.centralized, network.head.num_outputs
        (False, True, 2)
        >>> params = rl.initialize(jax.random.key(0), network, 3, shared=False)
        >>> params["actor"]["Dense_0"]["kernel"].shape  # agents, features, width
        (3, 2, 16)

    Raises:
        ValueError: for something that is no environment, actions without a head, or an unknown
            critic.
    """
    require_environment(env)
    choice("critic", critic, CRITICS)
    checks.instance("mask_actions", mask_actions, bool)
    spec = env.action_spec
    continuous = not jnp.issubdtype(spec.dtype, jnp.integer)
    scale = {"initial_std": initial_std} if continuous else {}
    head = head_of(spec, squash=squash, **scale)
    state, timestep = jax.eval_shape(env.reset, jax.random.key(0))
    num_features = jax.eval_shape(features_of, timestep.observation).shape[1]
    num_critic_inputs = num_features
    if critic == "global":
        num_critic_inputs += jax.eval_shape(env.global_state, state).shape[0]
    legal = action_mask_slice(timestep.observation, head.num_options) if mask_actions else None
    return actor_critic_network(
        head, num_features, num_critic_inputs, critic=critic, legal=legal, **options
    )


def _check_legal(legal: Any, head: Head, num_features: int) -> None:
    """Check the part of the features that marks legal actions.

    Raises:
        ValueError: unless it has one feature for each option of the head.
    """
    if legal is None:
        return
    checks.instance("legal", legal, slice, "rl.feature_slices(observation)['action_mask']")
    size = len(range(num_features)[legal])
    if not head.num_options or size != head.num_outputs:
        raise ValueError(
            f"legal: expected a part of {head.num_outputs} features of a head of discrete actions, "
            f"got {size} for {head.num_options or 'continuous actions'}"
        )


def initialize(key: Key, network: "Network | QNetwork", num_agents: int, *, shared: bool) -> Params:
    """Draw initial weights: one set that all agents share, or one per agent.

    Args:
        key: consumed; agent ``i`` draws from ``fold_in(key, i)`` unless they share.
        network: a :class:`Network` or a :class:`jaxswarm.rl.QNetwork`.
        num_agents: ``N``.
        shared: whether agents share weights.

    Returns:
        ``{"actor": …, "critic": …}``, leaves without an agents axis if shared, else ``[N, …]``.

    Raises:
        ValueError: for a legacy key, no network, or fewer than one agent.
    """
    checks.key(key)
    distribution_of(network)
    num_agents = checks.whole("num_agents", num_agents, 1)
    checks.instance("shared", shared, bool)
    if shared:
        return network.init(key)
    return agents.initialize(key, network.init, num_agents)


def check_network(network: Any, env: SwarmEnvironment) -> Network:
    """Check that actor and critic take an environment's observations and give its actions.

    Args:
        network: what the caller gave.
        env: the environment.

    Raises:
        ValueError: naming what differs.
    """
    require_environment(env)
    checks.instance("network", network, Network, "rl.network_for(env)")
    spec: Any = env.action_spec

    def act(key: Key) -> tuple[jax.Array, jax.Array]:
        features = critic_input = features_of(env.observation_spec.generate_value())[0]
        if network.centralized:
            global_state = env.global_state(env.reset(key)[0])
            critic_input = jnp.concatenate([global_state, features])
        params, carry = network.init(key), network.initial_carry()
        outputs = network.actor(params["actor"], carry["actor"], features)[1]
        raw = distribution_of(network).sample(key, params["actor"], outputs)[0]
        value = network.critic(params["critic"], carry["critic"], critic_input)[1]
        return network.head.action(raw), value

    try:
        action, _ = jax.eval_shape(act, jax.random.key(0))
    except Exception as error:  # flax and jax raise many types for sizes that do not match
        raise ValueError(
            f"network: expected one for the observations and actions of {env!r}, such as "
            f"rl.network_for(env), got one that does not take them ({str(error).splitlines()[0]})"
        ) from error
    kinds = [jnp.issubdtype(x.dtype, jnp.integer) for x in (action, spec)]
    if action.shape != spec.shape[1:] or kinds[0] != kinds[1]:
        raise ValueError(
            f"network: expected a head for actions {spec.dtype}{list(spec.shape[1:])} of an agent, "
            f"got one for {action.dtype}{list(action.shape)}; see rl.head_of(env.action_spec)"
        )
    if network.head.num_options and network.distribution is None:
        options = tuple(np.atleast_1d(np.asarray(spec.num_values)[0]).tolist())
        if network.head.num_options != options:
            raise ValueError(
                f"network: expected a head of {options} options, as many as the environment's "
                f"actions, got {network.head.num_options}"
            )
    return network


def over_agents(fn: Callable[..., Any], *, shared: bool) -> Callable[..., Any]:
    """Map ``fn(params, *args)`` of one agent over args with leaves ``[E, N, …]``.

    ``params`` have no agents axis if ``shared``, else leaves ``[N, …]``.

    Raises:
        ValueError: if ``fn`` is not a function or ``shared`` not ``bool``.
    """
    checks.function("fn", fn)
    checks.instance("shared", shared, bool)

    def mapped(params: Params, *args: Any) -> Any:
        per_agent = (None if shared else 0, *(0 for _ in args))
        per_env = (None, *(0 for _ in args))
        return jax.vmap(jax.vmap(fn, in_axes=per_agent), in_axes=per_env)(params, *args)

    return mapped
