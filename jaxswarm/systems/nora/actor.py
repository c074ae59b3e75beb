"""Optimistic actor-critics on episodic MDPs: rare critic switches, resets, mirror ascent.

One function with :class:`Settings` is NORA, DOUHUA, their ablations and LSVI-UCB, so that arms are
a ``vmap`` axis. In each episode:

1. the critic is fitted anew if the data of some step have grown enough since the last switch
   (log-determinant, or the loss of the current values), and on such a switch NORA makes the policy
   uniform again;
2. the policy plays the episode, which the critic adds to its data;
3. mirror ascent moves the policy towards the critic's values, ``π_h ∝ π_h · exp(η f_h)``.

References:
    K. Tan, W. Fan, Y. Wei, Actor-critics can achieve optimal sample efficiency, 2025.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import checks
from jaxswarm.rl import tabular
from jaxswarm.rl.tabular import Critic, EpisodicLearner, EpisodicMDP, Transitions
from jaxswarm.systems.nora.settings import Settings, check_settings, settings_of
from jaxswarm.types import Key, PyTree

RULES = ("log_det", "loss")


class Actor(NamedTuple):
    """A policy and the values that it ascends.

    Attributes:
        values: ``[H, S, A]``, the critic's at the last switch.
        logits: ``[H, S, A]``, of the policy.
        reference: ``[H]``, log-determinants at the last switch.
        switches: ``int32[]``, number of fits so far.
    """

    values: jax.Array
    logits: jax.Array
    reference: jax.Array
    switches: jax.Array


class NoraState(NamedTuple):
    """``data``: the critic's; ``actor``: see :class:`Actor`."""

    data: PyTree
    actor: Actor


class NoraInfo(NamedTuple):
    """What one episode showed.

    Attributes:
        regret: ``[]``, exact loss in expected return of the policy that played it.
        optimism: ``[]``, the critic's value of the start minus the optimal value.
        switched: ``bool[]``, whether the critic was fitted before it.
    """

    regret: jax.Array
    optimism: jax.Array
    switched: jax.Array


def actor_critic(
    mdp: EpisodicMDP,
    settings: Settings | None = None,
    *,
    critic: Critic | None = None,
    rule: str = "log_det",
    bernoulli: bool = False,
) -> EpisodicLearner:
    """Make an optimistic actor-critic of one agent.

    Args:
        mdp: the process that is played, with at least two actions. The learner sees its features
            and samples only; transitions and rewards serve to sample and to report exact regret.
        settings: which learner; NORA by default.
        critic: :func:`jaxswarm.rl.tabular.least_squares_critic` with the settings' bonus and
            targets by default.
        rule: what a switch depends on: ``"log_det"`` (the critic's potential against
            ``settings.growth``) or ``"loss"`` (its gap against ``settings.tolerance``).
        bernoulli: whether rewards are drawn as 0 or 1 with their means.

    Returns:
        ``init(rows=None, values=None) -> NoraState`` with optional offline :class:`Transitions`
        and values to begin with instead of a fit (exact ones and ``growth=inf`` are an oracle),
        and ``step(key, state, inputs) -> (state, NoraInfo)`` of one episode; inputs are not used.

    Example:
        >>> import jax
        >>> from jaxswarm import rollout
        >>> from jaxswarm.rl import tabular
        >>> from jaxswarm.systems import nora
        >>> mdp = tabular.combination_lock(4, 3)
        >>> learner = nora.actor_critic(mdp, nora.settings_of("no reset"))
        >>> state, records = rollout(learner.step, learner.init(), 400, key=jax.random.key(0))
        >>> float(records.info.regret[-50:].mean()) < 0.02
        True

    Raises:
        ValueError: for fewer than two actions, settings out of range, or an unknown rule.
    """
    settings = check_settings(Settings() if settings is None else settings)
    require_actions(mdp)
    checks.choice("rule", rule, RULES)
    bernoulli = checks.flag("bernoulli", bernoulli)
    used = default_critic(mdp, settings) if critic is None else tabular.require_critic(critic)
    best = mdp.start @ tabular.value_iteration(mdp).value[0]

    def init(rows: Transitions | None = None, values: Any = None) -> NoraState:
        data = used.init(rows)
        actor = initial_actor(mdp)
        if values is not None:
            checks.real("values", values, shape=mdp.reward.shape)
            given = jnp.asarray(values, jnp.float32)
            actor = actor._replace(values=given, reference=used.potential(data))
        return NoraState(data, actor)

    def step(key: Key, state: NoraState, inputs: PyTree) -> tuple[NoraState, NoraInfo]:
        del inputs
        actor, switched = switch(used, settings, rule, state.data, state.actor)
        policy = policy_of(settings, actor)
        episode = tabular.sample_episode(key, mdp, policy, bernoulli=bernoulli)
        info = report(mdp, best, actor, policy, switched)
        return NoraState(used.observe(state.data, episode), ascend(settings, actor)), info

    return EpisodicLearner(init, step)


def nora(
    mdp: EpisodicMDP,
    *,
    bonus: float = 0.3,
    rate: float = 0.5,
    critic: Critic | None = None,
    rule: str = "log_det",
) -> EpisodicLearner:
    """NORA: optimistic critic of optimal values, mirror ascent, rare switches that reset the actor.

    Args:
        mdp: the process that is played.
        bonus: ``β`` of the elliptical bonus; without one it is the paper's non-optimistic
            actor-critic, which needs offline data.
        rate: ``η`` of the mirror ascent. The paper's analysis takes it of the order of ``√(log A /
            (H² · episodes per switch))``.
        critic: another critic, see :func:`actor_critic`.
        rule: see :func:`actor_critic`; with ``"loss"`` the critic is fitted anew once its gap is
            above twice the number of features times ``bonus²``.

    Returns:
        See :func:`actor_critic`; ``init(rows)`` with offline transitions is hybrid learning.

    Example:
        >>> import jax
        >>> from jaxswarm import rollout
        >>> from jaxswarm.rl import tabular
        >>> from jaxswarm.systems import nora
        >>> learner = nora.nora(tabular.combination_lock(4, 3))
        >>> state, records = rollout(learner.step, learner.init(), 400, key=jax.random.key(0))
        >>> 5 < int(state.actor.switches) < 80
        True

    Raises:
        ValueError: as :func:`actor_critic`.
    """
    checks.real("bonus", bonus, 0.0)
    checks.real("rate", rate, above=0.0)
    settings = settings_of("nora", bonus=bonus, rate=rate)
    if rule == "loss":
        require_actions(mdp)
        settings = settings._replace(tolerance=2.0 * mdp.num_features * bonus**2)
    return actor_critic(mdp, settings, critic=critic, rule=rule)


def douhua(mdp: EpisodicMDP, *, bonus: float = 0.3, rate: float = 0.5) -> EpisodicLearner:
    """DOUHUA: optimistic critic of the current policy's values and mirror ascent, every episode.

    The paper's first algorithm. Its bound needs policies whose values are closed under truncated
    sums; NORA's does not.

    Raises:
        ValueError: as :func:`actor_critic`.
    """
    checks.real("bonus", bonus, 0.0)
    checks.real("rate", rate, above=0.0)
    return actor_critic(mdp, settings_of("douhua", bonus=bonus, rate=rate))


def switch_bound(
    horizon: int,
    num_features: int,
    episodes: int,
    *,
    ridge: float = 0.01,
    growth: float = np.log(2),
) -> float:
    """Largest number of switches of the log-determinant rule, the first fit included.

    Each switch adds at least ``growth`` to some step's log-determinant, which begins at ``d log
    ridge`` and is at most ``d log(ridge + T / d)`` after ``T`` episodes with features of norm 1:
    ``1 + H d log(1 + T / (d · ridge)) / growth``.

    Example:
        >>> from jaxswarm.systems import nora
        >>> round(nora.switch_bound(8, 8, 8_000))
        1064

    Raises:
        ValueError: for sizes below 1 or numbers that are not positive.
    """
    H = checks.whole("horizon", horizon, 1)
    d = checks.whole("num_features", num_features, 1)
    T = checks.whole("episodes", episodes, 1)
    checks.real("ridge", ridge, above=0.0)
    checks.real("growth", growth, above=0.0)
    return float(1.0 + H * d * np.log1p(T / (d * ridge)) / growth)


def require_actions(mdp: Any) -> EpisodicMDP:
    """Check a process with at least two actions and return it.

    Raises:
        ValueError: otherwise; an actor with one action has nothing to learn (``log A = 0``).
    """
    tabular.require_mdp(mdp)
    if mdp.num_actions < 2:
        raise ValueError(f"mdp: expected at least two actions, got {mdp.num_actions}")
    return mdp


def default_critic(mdp: EpisodicMDP, settings: Settings) -> Critic:
    """The elliptical critic of given settings."""
    return tabular.least_squares_critic(
        mdp, bonus=settings.bonus, ridge=settings.ridge, on_policy=settings.on_policy
    )


def initial_actor(mdp: EpisodicMDP) -> Actor:
    """A uniform policy whose critic is fitted before the first episode."""
    blank = jnp.zeros(mdp.reward.shape)
    return Actor(blank, blank, jnp.full(mdp.horizon, -jnp.inf), jnp.int32(0))


def switch(
    critic: Critic, settings: Settings, rule: str, data: PyTree, actor: Actor
) -> tuple[Actor, jax.Array]:
    """Fit the critic anew if its data have grown enough, and reset the policy."""
    potential = critic.potential(data)
    if rule == "log_det":
        due = jnp.any(potential - actor.reference >= settings.growth)
    else:
        gap = critic.gap(actor.values, data)
        due = (actor.switches == 0) | jnp.any(gap > settings.tolerance)

    def refit(actor: Actor) -> Actor:
        values = critic.fit(data, jax.nn.softmax(actor.logits))
        logits = jnp.where(settings.reset, 0.0, actor.logits)
        reference = jnp.maximum(potential, actor.reference)
        return Actor(values, logits, reference, actor.switches + 1)

    return jax.lax.cond(due, refit, lambda actor: actor, actor), due


def policy_of(settings: Settings, actor: Actor) -> jax.Array:
    """Probabilities with which an episode is played, ``[H, S, A]``."""
    follows = tabular.greedy_policy(actor.values)
    policy = jnp.where(settings.greedy, follows, jax.nn.softmax(actor.logits))
    uniform = 1.0 / policy.shape[-1]
    return policy + settings.exploration * (uniform - policy)


def ascend(settings: Settings, actor: Actor) -> Actor:
    """One step of mirror ascent; logits are kept centered, which changes no policy."""
    logits = actor.logits + settings.rate * actor.values
    return actor._replace(logits=logits - jnp.max(logits, axis=-1, keepdims=True))


def report(
    mdp: EpisodicMDP, best: jax.Array, actor: Actor, policy: jax.Array, switched: jax.Array
) -> NoraInfo:
    """Exact regret of a policy and optimism of a critic."""
    optimism = mdp.start @ jnp.max(actor.values[0], axis=1) - best
    return NoraInfo(best - tabular.expected_return(mdp, policy), optimism, switched)
