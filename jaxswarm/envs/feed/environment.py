"""Simulated short-video feed: one user session per row, vector rewards, sessions end by patience.

In every step each user receives one of ``K`` candidates. The responses are the watch time, which is
dense and heavy-tailed, and sparse clicks, likes, comments, shares and hates, whose rates span three
decades and load on features of their own: sticky items are watched longer, and hated more and
commented less. Every response is in ``extras["rewards"]``, larger is better (a hate counts −1); the
scalar reward is its product with ``weights`` in the physics, the watch time alone by default.

Sessions are simulated; no figure from real logs is reproduced by them.

Shapes: ``N`` users, ``K`` candidates, ``d`` factors of tastes and topics, ``m = 6`` responses,
``D = d + m`` features of a candidate: topics, stickiness, an appeal for each sparse response.

References:
    Q. Cai, Z. Xue, C. Zhang et al., Two-stage constrained actor-critic for short video
    recommendation, 2023 (the problem: watch time, sparse responses and their rates).
"""

from functools import cached_property
from typing import Any, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from jumanji import specs
from jumanji.types import TimeStep

from jaxswarm import agents, checks
from jaxswarm.data import Interactions
from jaxswarm.envs.environment import (
    Outcome,
    SwarmEnvironment,
    SwarmState,
    continuous_actions,
    discrete_actions,
)
from jaxswarm.envs.feed import _factors, users, viewer
from jaxswarm.envs.feed.users import UserParams, Users
from jaxswarm.types import Key, PyTree

RESPONSES = ("watch", "click", "like", "comment", "share", "hate")
"""Names of the entries of ``extras["rewards"]``."""

SPARSE = len(RESPONSES) - 1

SIGNS = np.array([1.0, 1.0, 1.0, 1.0, -1.0], np.float32)
"""Sign of each sparse response in the rewards."""


class FeedParams(NamedTuple):
    """Physics, traced.

    Attributes:
        user: the user model.
        weights: ``[m]``, weight of each response in the scalar reward.
        rates: ``[m − 1]``, rate of each sparse response of fresh users under random
            recommendations. Clicks, likes, comments and hates as in the KuaiRand log.
        match_loadings: ``[m − 1]``, effect of the match on the probit of each response.
        sticky_loadings: ``[m − 1]``, effect of stickiness.
        appeal_loadings: ``[m − 1]``, effect of the item's own appeal for that response.
        user_loadings: ``[m − 1]``, effect of the user's own disposition to that response.
        hate_cost: patience lost by a hate.
        temperature: of the softmax over scores whose gradient preference vectors receive.
    """

    user: Any
    weights: Any = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    rates: Any = (0.377, 0.0161, 0.0024, 0.0009, 0.00048)
    match_loadings: Any = (0.6, 0.5, 0.3, 0.4, -0.4)
    sticky_loadings: Any = (0.3, 0.0, -0.4, -0.2, 0.6)
    appeal_loadings: Any = (0.4, 0.4, 0.4, 0.4, 0.4)
    user_loadings: Any = (0.5, 0.5, 0.5, 0.5, 0.5)
    hate_cost: Any = 2.0
    temperature: Any = 1.0


class FeedWorld(NamedTuple):
    """World of the feed.

    Attributes:
        users: the state of the user model.
        disposition: ``[N, m − 1]``, latent, of each user to each sparse response.
        slate: ``int32[N, K]``, the candidates.
        last: ``[N, m]``, the last responses.
    """

    users: Users
    disposition: jax.Array
    slate: jax.Array
    last: jax.Array


class FeedObservation(NamedTuple):
    """Observation of each user's state.

    Attributes:
        profile: ``[N, d]``, the taste with an error.
        satiation: ``[N, d]``, decayed average of the topics shown.
        interest: ``[N, d]``, the same weighted by ``log(1 + watch time)``.
        last: ``[N, m]``, the last responses, the watch time as ``log(1 + watch time)``.
        time: ``[N, 1]``, share of the time limit that has passed.
        candidates: ``[N, K, D]``, features of the candidates.
        agent_mask: ``bool[N]``, false for users that left.
    """

    profile: jax.Array
    satiation: jax.Array
    interest: jax.Array
    last: jax.Array
    time: jax.Array
    candidates: jax.Array
    agent_mask: jax.Array


class FeedEnv(SwarmEnvironment):
    """Short-video feed of ``N`` users with vector rewards ``extras["rewards"]: float32[N, m]``.

    Actions are indices of candidates, ``int32[N]``, or with ``actions="preference"`` vectors
    ``float32[N, D]``: the candidate with the largest inner product is shown. The outcome is that of
    the largest score; the gradient is that of a softmax over the scores (straight-through). A user
    with a non-finite vector is shown nothing.

    Args:
        num_agents: ``N`` users, thousands if wanted.
        num_candidates: ``K``.
        num_factors: ``d``.
        num_items: items in the catalogue that candidates are drawn from.
        time_limit: requests after which sessions are truncated.
        actions: ``"candidate"`` or ``"preference"``.
        seed: of the catalogue, which is part of the default physics.

    Raises:
        ValueError: for sizes below 1, fewer than two items, or other actions; ``reset`` for physics
            outside their ranges.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxswarm import envs
        >>> env = envs.FeedEnv(num_agents=1000, num_candidates=4)
        >>> policy = envs.scripted(lambda key, seen: jnp.zeros(1000, jnp.int32))
        >>> state, trajectory = envs.unroll(jax.random.key(0), env, policy, 5)
        >>> trajectory.timestep.extras["rewards"].shape
        (5, 1000, 6)
    """

    def __init__(
        self,
        num_agents: int = 64,
        num_candidates: int = 8,
        num_factors: int = 8,
        num_items: int = 1000,
        time_limit: int = 40,
        actions: Literal["candidate", "preference"] = "candidate",
        seed: int = 0,
    ):
        self.num_candidates = checks.whole("num_candidates", num_candidates, 1)
        self.num_factors = checks.whole("num_factors", num_factors, 1)
        self.num_features = self.num_factors + 1 + SPARSE
        self.actions = checks.choice("actions", actions, ("candidate", "preference"))
        self._items = users.catalog(num_items, self.num_features, seed)
        self._tastes = np.zeros((0, self.num_factors), np.float32)
        self._fitted: dict[str, Any] = {}
        self._rates: np.ndarray | None = None
        super().__init__(num_agents, time_limit)

    @classmethod
    def from_log(
        cls,
        log: Interactions,
        *,
        watch: str | int = 0,
        floor: float = 0.1,
        num_factors: int = 8,
        ridge: float = 3.0,
        rounds: int = 10,
        seed: int = 0,
        **options: Any,
    ) -> Self:
        """Build a feed whose users and items are fitted to logged watch times.

        Log watch times are a level, an effect of the item, and an inner product of ``d`` factors of
        user and item, by alternating ridge regressions on the host with dense ``[S, M]`` matrices.
        They give the catalogue's topics and stickiness, the pool of tastes, the mean watch time,
        its slopes and its noise; a sparse response that the log names gives its rate. Appeals,
        loadings, fatigue and patience are not fitted: they stay the defaults.

        Args:
            log: of :func:`jaxswarm.data.interactions`: a session per user, actions are items.
            watch: name or column of the watch time among the rewards, in units of 10 s.
            floor: shorter watch times count as this long.
            num_factors: ``d``.
            ridge: weight of the squared factors; with the default the slopes that are fitted to
                nine tenths of MovieLens-100k are those that predict the rest.
            rounds: rounds of regressions.
            seed: of the first factors, and of the catalogue's appeals.
            options: sizes and actions of the feed; not ``num_items``, which is the log's.

        Raises:
            ValueError: if actions are vectors, there are fewer than two items, watch times are
                negative, no reward has that name, or a number is out of range.

        Example:
            >>> import numpy as np
            >>> from jaxswarm import data, envs
            >>> rng = np.random.default_rng(0)
            >>> log = data.interactions(
            ...     rng.integers(0, 20, 300), rng.integers(0, 12, 300),
            ...     {"watch": rng.lognormal(size=300)}, propensity=np.full(300, 1 / 12),
            ... )
            >>> env = envs.FeedEnv.from_log(log, num_factors=2, num_agents=50)
            >>> env.params.user.items.shape, env.params.user.tastes.shape
            ((12, 8), (20, 2))
        """
        fitted = _factors.fit_log(
            log,
            watch,
            checks.real("floor", floor, above=0.0),
            checks.whole("num_factors", num_factors, 1),
            ridge=checks.real("ridge", ridge, above=0.0),
            rounds=checks.whole("rounds", rounds, 1),
            seed=checks.whole("seed", seed),
        )
        if "num_items" in options:
            raise ValueError("num_items: expected none, the log has its own items")
        env = cls(num_factors=num_factors, num_items=len(fitted.topics), seed=seed, **options)
        known = np.concatenate([fitted.topics, fitted.sticky[:, None]], axis=1)
        env._items = np.concatenate([known, env._items[:, num_factors + 1 :]], axis=1)
        env._tastes = fitted.tastes
        env._fitted = {
            "watch": fitted.mean_watch,
            "watch_noise": fitted.noise,
            "match_slope": fitted.match_slope,
            "sticky_slope": fitted.sticky_slope,
        }
        env._rates = np.array(FeedParams._field_defaults["rates"], np.float32)
        for j, name in enumerate(RESPONSES[1:]):
            if name in log.names:
                happened = np.asarray(log.rewards)[..., log.names.index(name)] != 0
                env._rates[j] = happened[np.asarray(log.mask)].mean()
        return env

    @property
    def params(self) -> FeedParams:
        """Physics with a random or fitted catalogue; the scalar reward is the watch time."""
        default = FeedParams(UserParams(self._items, self._tastes, **self._fitted))
        if self._rates is not None:
            default = default._replace(rates=tuple(self._rates))
        return default._replace(
            **{
                name: np.asarray(value, np.float32)
                for name, value in default._asdict().items()
                if isinstance(value, tuple) and not hasattr(value, "_fields")
            }
        )

    @property
    def reward_names(self) -> tuple[str, ...]:
        """Names of the ``m`` responses, :data:`RESPONSES`."""
        return RESPONSES

    @cached_property
    def action_spec(self) -> specs.Array:
        """Indices ``int32[N]`` below ``K``, or vectors ``float32[N, D]`` in ``[−1, 1]``."""
        if self.actions == "preference":
            return continuous_actions(self.num_agents, self.num_features)
        return discrete_actions(self.num_agents, self.num_candidates)

    def reset(self, key: Key, params: PyTree = None) -> tuple[SwarmState, TimeStep]:
        """Start sessions of fresh users; as the base class, and known physics are checked."""
        if isinstance(params, FeedParams) and isinstance(params.user, UserParams):
            self._check(params)
        return super().reset(key, params)

    def _check(self, params: FeedParams) -> None:
        users.check(params.user, self.num_features, self.num_factors)
        checks.real("params.weights", params.weights, shape=(len(RESPONSES),))
        checks.probability("params.rates", params.rates, shape=(SPARSE,))
        for kind in ("match", "sticky", "appeal", "user"):
            name = f"{kind}_loadings"
            checks.real(f"params.{name}", getattr(params, name), shape=(SPARSE,))
        checks.real("params.hate_cost", params.hate_cost, 0.0)
        checks.real("params.temperature", params.temperature, above=0.0)

    def agent_mask(self, world: FeedWorld) -> jax.Array:
        """Users whose patience is not exhausted."""
        return world.users.patience > 0.0

    def start(self, key: jax.Array, params: FeedParams) -> FeedWorld:
        """Fresh users, each with its first candidates."""
        user_key, key = jax.random.split(key)
        people = users.start(user_key, self.num_agents, params.user)
        draws = users.uniforms(key, people.user, SPARSE + self.num_candidates)
        return FeedWorld(
            people,
            users.normals(draws[:, :SPARSE]),
            users.choose(draws[:, SPARSE:], len(params.user.items)),
            jnp.zeros((self.num_agents, len(RESPONSES)), jnp.float32),
        )

    def advance(
        self, key: jax.Array, world: FeedWorld, action: jax.Array, params: FeedParams
    ) -> Outcome:
        """Show each user an item, draw the responses and the next candidates."""
        present = self.agent_mask(world)
        items, shown = self._shown(world, action, params)
        shown = shown & present
        means = self._means(world, items, params)
        draws = users.uniforms(key, world.users.user, 1 + SPARSE + self.num_candidates)
        watch = means[:, 0] * users.log_normal(draws[:, 0], params.user.watch_noise)
        happens = draws[:, 1 : 1 + SPARSE] < means[:, 1:] * SIGNS[None]
        responses = jnp.concatenate([watch[:, None], happens * SIGNS[None]], axis=1)
        responses = jnp.where(shown[:, None], responses, 0.0)
        people = users.after_request(world.users, items, responses[:, 0], shown, params.user)
        hated = responses[:, -1] < 0.0
        people = people._replace(patience=people.patience - params.hate_cost * hated)
        slate = users.choose(draws[:, 1 + SPARSE :], len(params.user.items))
        world = agents.where(present, FeedWorld(people, world.disposition, slate, responses), world)
        metrics = {"rewards": responses, "present": jnp.sum(self.agent_mask(world))}
        ended = ~jnp.any(self.agent_mask(world))
        return Outcome(world, responses @ params.weights, ended, metrics)

    def expected_rewards(self, world: FeedWorld, params: FeedParams) -> jax.Array:
        """Expected responses to every candidate in the next step, ``float32[N, K, m]``.

        They depend on latent variables: an oracle of the best bandit, no input of a policy.
        """
        params = jax.tree.map(jnp.asarray, params)
        items = params.user.items[world.slate]
        return jax.vmap(lambda x: self._means(world, x, params), 1, 1)(items)

    def _means(self, world: FeedWorld, items: jax.Array, params: FeedParams) -> jax.Array:
        """Expected responses ``[N, m]`` to items ``[N, D]``."""
        loadings = [params.match_loadings, params.sticky_loadings]
        loadings += [params.appeal_loadings, params.user_loadings]
        suits = users.match(world.users, items, params.user)[:, None]
        sticky = items[:, self.num_factors, None]
        causes = [suits, sticky, items[:, self.num_factors + 1 :], world.disposition]
        effect = jnp.stack([a * b[None] for a, b in zip(causes, loadings, strict=True)]).sum(axis=0)
        variance = jnp.sum(jnp.square(jnp.stack(loadings)), axis=0)
        rates = users.rate(params.rates[None], effect, variance[None])
        watch = users.mean_watch(world.users, items, params.user)
        return jnp.concatenate([watch[:, None], rates * SIGNS[None]], axis=1)

    def _shown(
        self, world: FeedWorld, action: jax.Array, params: FeedParams
    ) -> tuple[jax.Array, jax.Array]:
        """Features of the items shown ``[N, D]``, and whether one is shown ``bool[N]``."""
        if self.actions == "candidate":
            index = jnp.clip(action, 0, self.num_candidates - 1)
            chosen = jnp.take_along_axis(world.slate, index[:, None], axis=1)[:, 0]
            return params.user.items[chosen], jnp.ones(self.num_agents, bool)
        finite = jnp.all(jnp.isfinite(action), axis=1)
        wanted = jnp.where(finite[:, None], action, 0.0)
        candidates = params.user.items[world.slate]
        scores = jnp.sum(candidates * wanted[:, None, :], axis=2)
        soft = jax.nn.softmax(scores / params.temperature, axis=1)
        hard = jax.nn.one_hot(jnp.argmax(scores, axis=1), self.num_candidates)
        share = soft + jax.lax.stop_gradient(hard - soft)
        return jnp.sum(share[:, :, None] * candidates, axis=1), finite

    def observe(
        self, world: FeedWorld, params: FeedParams, step_count: jax.Array
    ) -> FeedObservation:
        """Profiles, histories and candidates; tastes, fatigue and patience are latent."""
        passed = (step_count / self.time_limit).astype(jnp.float32)
        return FeedObservation(
            profile=world.users.profile,
            satiation=world.users.satiation,
            interest=world.users.interest,
            last=world.last.at[:, 0].set(jnp.log1p(world.last[:, 0])),
            time=jnp.broadcast_to(passed, (self.num_agents, 1)),
            candidates=params.user.items[world.slate],
            agent_mask=self.agent_mask(world),
        )

    def draw(self, world: FeedWorld, params: FeedParams, ax: Any) -> None:
        """Draw users by fatigue and patience; see :mod:`jaxswarm.envs.feed.viewer`."""
        viewer.draw_feed(world, ax)
