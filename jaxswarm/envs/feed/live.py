"""Simulated feed in which live streams may be inserted: requests and days, and users that churn.

In every request a user receives a short video; the action 1 also inserts the live stream on offer,
which displaces part of the short video's watch time. An insertion annoys the more, the less the
user wants the stream; annoyance adds to a strain that no reward shows. A user's day ends when its
patience or its requests are exhausted, and at night it may leave for good, the more likely the
larger its strain. So a policy that maximizes the next reward, even one that knows all expected
rewards, loses usage, and even live time, to one that inserts only what is wanted.

Users belong to activity groups: groups differ in requests per day, in the level of live watch
times, and in their noise, from little to heavy-tailed (most about 0, few large).

Shapes: ``N`` users, ``G`` groups, ``d`` factors; a slate is one short video and one live stream.

References:
    J. Liu, X. Gao, Y. Li et al., Supervised learning-enhanced multi-group actor critic for
    live stream allocation in feed, 2025 (the problem; the dynamics are ours).
"""

from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs
from jumanji.types import TimeStep

from jaxswarm import agents, checks
from jaxswarm.envs.environment import Outcome, SwarmEnvironment, SwarmState, discrete_actions
from jaxswarm.envs.feed import users, viewer
from jaxswarm.envs.feed.users import UserParams, Users
from jaxswarm.types import Key, PyTree

LIVE_RESPONSES = ("short", "live")
"""Names of the entries of ``extras["rewards"]``: watch times of short videos, of live streams."""


class LiveFeedParams(NamedTuple):
    """Physics, traced.

    Attributes:
        user: the user model; a user's patience is that of one day.
        weights: ``[2]``, weights of short and live watch time in the scalar reward.
        activity: ``[G]``, factor of the groups' patience.
        live: ``[G]``, mean live watch time over random users and streams, in units of 10 s.
        live_noise: ``[G]``, standard deviation of the log live watch time.
        live_slope: effect of the affinity on the log live watch time.
        affinity_share: share of the affinity's variance that is the user's, not the stream's.
        displaced: share of the short video's watch time that an insertion displaces.
        interruption: strain that an insertion adds to a user without any affinity, at most.
        annoyance_slope: how fast that falls with the affinity.
        strain_decay: share of the strain that is kept over a night.
        churn: probability to leave in a night without strain.
        strain_slope: effect of the strain on the probit of leaving.
    """

    user: Any
    weights: Any
    activity: Any
    live: Any
    live_noise: Any
    live_slope: Any = 1.0
    affinity_share: Any = 0.5
    displaced: Any = 0.5
    interruption: Any = 0.35
    annoyance_slope: Any = 2.0
    strain_decay: Any = 0.7
    churn: Any = 0.05
    strain_slope: Any = 1.0


class LiveFeedWorld(NamedTuple):
    """World of the feed with live streams.

    Attributes:
        users: the state of the user model.
        group: ``int32[N]``, activity groups.
        affinity: ``[N]``, latent, standard normal: how much a user watches live streams.
        known: ``[N]``, the affinity with the error of profiles.
        strain: ``[N]``, latent: annoyance by insertions.
        slate: ``int32[N, 2]``, the short video and the live stream on offer.
        last: ``[N, 3]``, the last watch times (short, live), and whether a stream was inserted.
        inserted: ``[N]``, decayed share of requests with an insertion.
        request: ``int32[N]``, requests of the day so far.
        day: ``int32[N]``, days so far.
        left: ``bool[N]``, users that left for good, or whose days are over.
    """

    users: Users
    group: jax.Array
    affinity: jax.Array
    known: jax.Array
    strain: jax.Array
    slate: jax.Array
    last: jax.Array
    inserted: jax.Array
    request: jax.Array
    day: jax.Array
    left: jax.Array


class LiveFeedObservation(NamedTuple):
    """Observation of each user's state.

    Attributes:
        profile: ``[N, d + 1]``, taste and affinity for live streams, with an error.
        group: ``[N, G]``, the activity group one-hot.
        satiation: ``[N, d]``, decayed average of the topics shown.
        interest: ``[N, d]``, the same weighted by ``log(1 + watch time)``.
        last: ``[N, 4]``, ``log(1 + watch time)`` of the last short video and live stream, whether
            one was inserted, and the decayed share of insertions.
        clock: ``[N, 2]``, shares of the days and of the day's requests that have passed.
        video: ``[N, d + 1]``, features of the short video.
        stream: ``[N, d + 1]``, features of the live stream on offer.
        agent_mask: ``bool[N]``, false for users that left.
    """

    profile: jax.Array
    group: jax.Array
    satiation: jax.Array
    interest: jax.Array
    last: jax.Array
    clock: jax.Array
    video: jax.Array
    stream: jax.Array
    agent_mask: jax.Array


class LiveFeedEnv(SwarmEnvironment):
    """Feed of ``N`` users with actions ``int32[N]``: 1 inserts the live stream on offer.

    ``extras["rewards"]`` is ``float32[N, 2]``, short and live watch time in units of 10 s; the
    scalar reward is its product with ``weights`` in the physics, by default their sum, the usage.
    ``extras["night"]``, ``bool[N]``, marks the last request of a user's day. A user leaves (its
    mask becomes false, its discount 0) by churn, or after ``num_days``; the days that have passed
    are observed. Every step is one request of every user that is present.

    Args:
        num_agents: ``N`` users; user ``i`` belongs to group ``i mod G``.
        num_groups: ``G``.
        num_factors: ``d``.
        num_items: items in the catalogue.
        num_days: days after which a user's time is over.
        requests_per_day: the most requests of a user in a day.
        time_limit: requests after which episodes are truncated; by default all that the days hold.
        seed: of the catalogue, which is part of the default physics.

    Raises:
        ValueError: for sizes below 1, or fewer than two items; ``reset`` for physics outside their
            ranges.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.LiveFeedEnv(num_agents=100)
        >>> state, timestep = env.reset(jax.random.key(0))
        >>> state, timestep = env.step(state, jnp.ones(100, jnp.int32))
        >>> timestep.extras["rewards"].shape
        (100, 2)
    """

    def __init__(
        self,
        num_agents: int = 64,
        num_groups: int = 4,
        num_factors: int = 8,
        num_items: int = 1000,
        num_days: int = 10,
        requests_per_day: int = 16,
        time_limit: int | None = None,
        seed: int = 0,
    ):
        self.num_groups = checks.whole("num_groups", num_groups, 1)
        self.num_factors = checks.whole("num_factors", num_factors, 1)
        self.num_days = checks.whole("num_days", num_days, 1)
        self.requests_per_day = checks.whole("requests_per_day", requests_per_day, 1)
        self._items = users.catalog(num_items, self.num_factors + 1, seed)
        most = self.num_days * self.requests_per_day
        super().__init__(num_agents, most if time_limit is None else time_limit)

    @property
    def params(self) -> LiveFeedParams:
        """Physics with a random catalogue, in which groups differ by factors of about 3."""
        spread = np.linspace(0.0, 1.0, self.num_groups, dtype=np.float32)
        tastes = np.zeros((0, self.num_factors), np.float32)
        return LiveFeedParams(
            UserParams(self._items, tastes),
            weights=np.ones(2, np.float32),
            activity=0.6 + spread,
            live=1.3 - 0.6 * spread,
            live_noise=0.6 + 1.2 * spread,
        )

    @property
    def reward_names(self) -> tuple[str, ...]:
        """Names of the entries of the vector reward, :data:`LIVE_RESPONSES`."""
        return LIVE_RESPONSES

    @cached_property
    def action_spec(self) -> specs.Array:
        """Actions ``int32[N]``, 0 or 1."""
        return discrete_actions(self.num_agents, 2)

    def reset(self, key: Key, params: PyTree = None) -> tuple[SwarmState, TimeStep]:
        """Start the first day of fresh users; as the base class, and known physics are checked."""
        if isinstance(params, LiveFeedParams) and isinstance(params.user, UserParams):
            self._check(params)
        return super().reset(key, params)

    def _check(self, params: LiveFeedParams) -> None:
        users.check(params.user, self.num_factors + 1, self.num_factors)
        checks.real("params.weights", params.weights, shape=(2,))
        checks.real("params.activity", params.activity, above=0.0, shape=(self.num_groups,))
        for name in ("live", "live_noise"):
            checks.real(f"params.{name}", getattr(params, name), 0.0, shape=(self.num_groups,))
        for name in ("affinity_share", "displaced", "strain_decay", "churn"):
            checks.probability(f"params.{name}", getattr(params, name))
        for name in ("live_slope", "interruption", "annoyance_slope", "strain_slope"):
            checks.real(f"params.{name}", getattr(params, name), 0.0)

    def agent_mask(self, world: LiveFeedWorld) -> jax.Array:
        """Users that have not left."""
        return ~world.left

    def start(self, key: jax.Array, params: LiveFeedParams) -> LiveFeedWorld:
        """Fresh users at the first request of their first day."""
        n = self.num_agents
        user_key, key = jax.random.split(key)
        people = users.start(user_key, n, params.user)
        group = people.user % self.num_groups
        draws = users.uniforms(key, people.user, 4)
        affinity = users.normals(draws[:, 0])
        zeros, none = jnp.zeros(n, jnp.float32), jnp.zeros(n, jnp.int32)
        return LiveFeedWorld(
            users=people._replace(patience=people.patience * params.activity[group]),
            group=group,
            affinity=affinity,
            known=affinity + params.user.profile_noise * users.normals(draws[:, 1]),
            strain=zeros,
            slate=users.choose(draws[:, 2:], len(params.user.items)),
            last=jnp.zeros((n, 3), jnp.float32),
            inserted=zeros,
            request=none,
            day=none,
            left=jnp.zeros(n, bool),
        )

    def advance(
        self, key: jax.Array, world: LiveFeedWorld, action: jax.Array, params: LiveFeedParams
    ) -> Outcome:
        """One request of each user, and the night of those whose day is over."""
        present = self.agent_mask(world)
        inserts = (action == 1) & present
        draws = users.uniforms(key, world.users.user, 6)
        means = self.expected_rewards(world, params)
        mean = jnp.where(inserts[:, None], means[:, 1], means[:, 0])
        noises = [jnp.broadcast_to(params.user.watch_noise, inserts.shape)]
        noises += [params.live_noise[world.group]]
        times = mean * users.log_normal(draws[:, :2], jnp.stack(noises, axis=1))
        rewards = jnp.where(present[:, None], times, 0.0)
        annoyance = jax.nn.sigmoid(-params.annoyance_slope * self.affinity(world, params))
        people = users.after_request(
            world.users, params.user.items[world.slate[:, 0]], rewards[:, 0], present, params.user
        )
        keep = params.user.satiation_decay
        after = world._replace(
            users=people,
            strain=world.strain + params.interruption * annoyance * inserts,
            slate=users.choose(draws[:, 4:], len(params.user.items)),
            last=jnp.concatenate([rewards, inserts[:, None].astype(jnp.float32)], axis=1),
            inserted=keep * world.inserted + (1.0 - keep) * inserts,
            request=world.request + 1,
        )
        over = (people.patience <= 0.0) | (after.request >= self.requests_per_day)
        after = agents.where(over, self._night(after, draws[:, 2:4], params), after)
        after = agents.where(present, after, world)
        metrics = {
            "rewards": rewards,
            "night": over & present,
            "present": jnp.sum(self.agent_mask(after)),
        }
        return Outcome(after, rewards @ params.weights, jnp.all(after.left), metrics)

    def _night(
        self, world: LiveFeedWorld, draws: jax.Array, params: LiveFeedParams
    ) -> LiveFeedWorld:
        """All users after a night: rested, or gone for good."""
        day = world.day + 1
        gone = draws[:, 0] < self.churn_probability(world, params)
        patience = params.user.patience * params.activity[world.group]
        rested = world.users._replace(
            fatigue=jnp.zeros_like(world.users.fatigue),
            patience=patience * users.log_normal(draws[:, 1], params.user.patience_noise),
        )
        return world._replace(
            users=rested,
            strain=params.strain_decay * world.strain,
            request=jnp.zeros_like(world.request),
            day=day,
            left=gone | (day >= self.num_days),
        )

    def churn_probability(self, world: LiveFeedWorld, params: LiveFeedParams) -> jax.Array:
        """Probability of each user to leave for good if its day ended now, ``float32[N]``."""
        return users.rate(params.churn, params.strain_slope * world.strain, jnp.float32(0.0))

    def affinity(self, world: LiveFeedWorld, params: LiveFeedParams) -> jax.Array:
        """Affinity of each user for the stream on offer, ``float32[N]``, standard normal; latent.

        It mixes the user's affinity for live streams and the match with the stream's topics.
        """
        stream = params.user.items[world.slate[:, 1]]
        suits = users.match(world.users, stream, params.user)
        own = jnp.sqrt(params.affinity_share) * world.affinity
        return own + jnp.sqrt(1.0 - params.affinity_share) * suits

    def expected_rewards(self, world: LiveFeedWorld, params: LiveFeedParams) -> jax.Array:
        """Expected short and live watch time of both actions in this request, ``float32[N, 2, 2]``.

        Index 1 is the action. They depend on latent variables: an oracle of the best bandit.
        """
        params = jax.tree.map(jnp.asarray, params)
        short = users.mean_watch(world.users, params.user.items[world.slate[:, 0]], params.user)
        effect = params.live_slope * self.affinity(world, params)
        tired = 0.5 * jnp.square(params.live_slope) + params.user.fatigue_slope * (
            world.users.fatigue
        )
        live = params.live[world.group] * jnp.exp(effect - tired)
        without = jnp.stack([short, jnp.zeros_like(short)], axis=1)
        inserted = jnp.stack([short * (1.0 - params.displaced), live], axis=1)
        return jnp.stack([without, inserted], axis=1)

    def observe(
        self, world: LiveFeedWorld, params: LiveFeedParams, step_count: jax.Array
    ) -> LiveFeedObservation:
        """Profiles, histories, clocks and what is on offer; tastes and strain are latent."""
        del step_count
        passed = [world.day / self.num_days, world.request / self.requests_per_day]
        recent = [jnp.log1p(world.last[:, :2]), world.last[:, 2:], world.inserted[:, None]]
        items = params.user.items[world.slate]
        return LiveFeedObservation(
            profile=jnp.concatenate([world.users.profile, world.known[:, None]], axis=1),
            group=jax.nn.one_hot(world.group, self.num_groups),
            satiation=world.users.satiation,
            interest=world.users.interest,
            last=jnp.concatenate(recent, axis=1),
            clock=jnp.stack(passed, axis=1).astype(jnp.float32),
            video=items[:, 0],
            stream=items[:, 1],
            agent_mask=self.agent_mask(world),
        )

    def draw(self, world: LiveFeedWorld, params: LiveFeedParams, ax: Any) -> None:
        """Draw users by day and strain; see :mod:`jaxswarm.envs.feed.viewer`."""
        viewer.draw_live(world, self.num_days, self.requests_per_day, ax)
