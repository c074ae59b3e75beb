"""Offline chunk learners: sampling within episodes, losses, masks, methods as numbers, learning."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxswarm import gossip, topology
from jaxswarm.rl import offline
from tests.tracing import Counted

KEY = jax.random.key(0)
H, LENGTH, EPISODES = 4, 7, 5
NETWORK = offline.chunk_network(1, 1, H, widths=(8,), num_critics=2)
SIZES = {"num_candidates": 3, "flow_steps": 2}
METHODS = {
    "behavior_cloning": offline.behavior_cloning(NETWORK, **SIZES),
    "iql": offline.iql(NETWORK, **SIZES),
    "one_step": offline.one_step(NETWORK, **SIZES),
    "n_step": offline.n_step(NETWORK, horizon=H, **SIZES),
    "q_chunking": offline.q_chunking(NETWORK, horizon=H, **SIZES),
    "q_chunking_n_step": offline.q_chunking_n_step(NETWORK, horizon=H, policy_chunk=2, **SIZES),
    "dqc_naive": offline.dqc_naive(NETWORK, horizon=H, policy_chunk=1, **SIZES),
    "dqc": offline.dqc(NETWORK, horizon=H, policy_chunk=2, **SIZES),
}


def rows(length=LENGTH, episodes=EPISODES):
    """Row ``k`` observes ``k`` and acts ``k / rows``, so that every value names its row."""
    count = length * episodes
    place = np.arange(count, dtype=np.float32)[:, None]
    return place, place / count, np.arange(count) % length == length - 1


DATA = offline.trajectories(*rows())
SAMPLE = Counted(
    lambda key, steps: offline.sample_chunks(key, DATA, 512, H, steps=steps, shares=None)
)


@pytest.fixture(scope="module")
def batch():
    return jax.device_get(SAMPLE(KEY, H))


def test_labels_are_equal_for_equal_goals():
    goals = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0], [-0.0, 2.0], [0.0, 1.0]], np.float32)
    data = offline.trajectories(goals, np.zeros((5, 1)), np.arange(5) == 4)
    np.testing.assert_array_equal(data.label, np.unique(goals, axis=0, return_inverse=True)[1])


def test_chunks_never_cross_into_the_next_episode(batch):
    first = batch.observation[:, 0].astype(int)
    last = first // LENGTH * LENGTH + LENGTH - 1
    assert (first < last).all()
    index = first[:, None] + np.arange(H)
    np.testing.assert_array_equal(batch.valid, index < last[:, None])
    wanted = np.where(batch.valid, index / (LENGTH * EPISODES), 0.0)
    np.testing.assert_allclose(batch.actions[..., 0], wanted, rtol=1e-6)
    np.testing.assert_array_equal(batch.next_observation[:, 0], np.minimum(first + H, last))
    assert set(first) == set(np.asarray(DATA.starts))  # also the last steps of an episode


def test_goals_are_relabelled_and_hits_counted_by_hand(batch):
    first, goal = (x[:, 0].astype(int) for x in (batch.observation, batch.goal))
    last = first // LENGTH * LENGTH + LENGTH - 1
    away = goal - first
    hit = (away >= 0) & (away <= H) & (goal <= last)
    np.testing.assert_array_equal(batch.hit, hit)  # also a goal at the horizon's end
    np.testing.assert_array_equal(batch.steps, np.where(hit, away, H))
    np.testing.assert_array_equal(batch.complete, hit | (first + H <= last))
    assert abs((away == 0).mean() - 0.2) < 0.07
    assert ((goal[batch.future] > first[batch.future]) & (goal <= last)[batch.future]).all()
    assert abs(batch.future.mean() - 0.5) < 0.08


def test_the_return_ends_after_a_traced_number_of_steps(batch):
    one = jax.device_get(SAMPLE(KEY, 1))
    np.testing.assert_array_equal(one.observation, batch.observation)
    np.testing.assert_array_equal(one.actions, batch.actions)
    assert one.complete.all()
    assert one.steps.max() == 1
    assert SAMPLE.traces == 1


def test_random_goals_come_from_the_pool():
    pool = offline.GoalPool(jnp.array([[99.0], [98.0]]), jnp.array([70, 71]))
    shares = offline.GoalShares(0.0, 0.0, 1.0)
    sampler = offline.chunks(DATA, H, shares=shares, pool=pool)
    drawn = jax.jit(lambda key: sampler.sample(key, 64))(KEY)
    assert set(np.asarray(drawn.goal[:, 0])) == {98.0, 99.0}
    assert not bool(drawn.hit.any())


@pytest.mark.parametrize("kappa", [0.5, 0.7, 0.95])
def test_losses_are_minimal_at_expectiles_and_quantiles(kappa):
    targets = jnp.asarray(np.random.default_rng(0).uniform(size=41), jnp.float32)
    grid = jnp.linspace(0.001, 0.999, 999)
    apart = targets[None] - grid[:, None]
    squared = offline.expectile_loss(apart, kappa).mean(1)
    best = float(grid[jnp.argmin(squared)])
    balance = offline.implicit_weight(targets - best, kappa) * (targets - best)
    assert abs(float(balance.mean())) < 2e-3
    slope = jax.grad(lambda z: offline.expectile_cross_entropy(z, targets, kappa).mean())
    assert abs(float(slope(jnp.log(best / (1 - best))))) < 2e-3
    quantile = float(grid[jnp.argmin(offline.quantile_loss(apart, kappa).mean(1))])
    assert abs(quantile - np.quantile(np.asarray(targets), kappa)) < 0.03


def updated(learner, batch, key=KEY):
    """State after an update; methods differ in numbers, so that one program serves all."""
    hp = jax.tree.map(jnp.asarray, learner.hyperparameters)
    return UPDATE(hp, key, batch)


@Counted
def UPDATE(hp, key, batch):
    learner = offline.chunk_learner(NETWORK, hp, **SIZES)
    state = learner.init(KEY)
    return learner.step(key, state, batch)


@pytest.mark.slow
def test_every_method_is_one_program_with_other_numbers(batch):
    for learner in METHODS.values():
        state, losses = updated(learner, batch)
        assert set(losses) == {"chunk", "distilled", "value", "flow"}
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(state))
    assert UPDATE.traces == 1
    learner = METHODS["dqc"]
    plain = jax.jit(lambda: learner.step(KEY, learner.init(KEY), batch))()
    traced = updated(learner, batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), plain, traced)


def test_actions_beyond_the_chunks_have_no_influence(batch):
    actions = np.array(batch.actions)
    actions[:, 1:] = 0.7
    junk = batch._replace(actions=actions)
    for name in ("one_step", "n_step", "iql"):
        ours, theirs = (updated(METHODS[name], each)[0].params for each in (batch, junk))
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    ours, theirs = (updated(METHODS["dqc"], each)[0].params for each in (batch, junk))
    leaves = zip(jax.tree.leaves(ours["chunk"]), jax.tree.leaves(theirs["chunk"]), strict=True)
    assert any(not np.array_equal(a, b) for a, b in leaves)


def test_unknown_returns_have_no_influence(batch):
    """Chunks that the episode's end cuts off before the goal teach the chunk critic nothing."""
    assert not batch.complete.all()
    wrong = np.where(batch.complete[:, None], batch.next_observation, np.nan)
    ours, theirs = (
        updated(METHODS["dqc"], each)[0].params
        for each in (batch, batch._replace(next_observation=wrong))
    )
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.slow
def test_only_the_target_critic_lags(batch):
    learner = METHODS["dqc"]
    state, _ = updated(learner, batch)
    start = learner.init(KEY)
    tau = learner.hyperparameters.tau
    jax.tree.map(
        lambda new, old, target: np.testing.assert_allclose(
            target, old + tau * (new - old), rtol=1e-4, atol=1e-6
        ),
        state.params["distilled"],
        start.params["distilled"],
        state.target,
    )
    plain, _ = updated(METHODS["n_step"], batch)
    jax.tree.map(
        lambda new, old, target: np.testing.assert_allclose(
            target, old + tau * (new - old), rtol=1e-4, atol=1e-6
        ),
        plain.params["chunk"],
        start.params["chunk"],
        plain.target,
    )


@pytest.mark.parametrize("name", ["dqc", "q_chunking"])
def test_the_policy_executes_the_best_of_its_samples(name):
    """A critic of the first action's size: more candidates, larger actions; zeros beyond."""
    learner = METHODS[name]
    length = learner.hyperparameters.policy_chunk
    place = jnp.zeros((6, 1))

    def first_action(params, observation, goal, actions):
        del params, observation, goal
        return actions[None, :, 0, 0]

    network = NETWORK._replace(q=first_action)
    params = NETWORK.init(KEY)
    chosen = {}
    for count in (1, 3):
        hp = learner.hyperparameters._replace(candidates=count)
        act = jax.jit(offline.chunk_learner(network, hp, **SIZES).act)
        chosen[count] = np.asarray(act(KEY, params, place, place))
        assert chosen[count].shape == (6, H, 1)
        assert (np.abs(chosen[count]) <= 1).all()
        assert (chosen[count][:, length:] == 0).all()
    assert (chosen[3][:, 0] >= chosen[1][:, 0]).all()
    assert (chosen[3][:, 0] > chosen[1][:, 0]).any()


@pytest.mark.slow
def test_isolated_agents_learn_alone_and_a_complete_graph_agrees():
    place, moves, ends = rows(LENGTH, 6)
    shards = offline.shard(place, moves, ends, [[0, 5], [1, 4], [3, 2]])
    assert shards.observation.shape == (3, 2 * LENGTH, 1)
    np.testing.assert_array_equal(shards.observation[0, LENGTH:], place[5 * LENGTH :])
    learner = METHODS["dqc"]
    team = offline.networked(learner, gossip.averaging(gossip.mixing(topology.complete(3))), shards)
    step = jax.jit(team.step)
    state = jax.jit(team.init)(KEY)
    together, info = step(KEY, state, jnp.ones(3, bool))
    alone, _ = step(KEY, state, jnp.zeros(3, bool))
    assert info.losses["flow"].shape == (3,)
    for leaf, own in zip(
        jax.tree.leaves(together.agents.params), jax.tree.leaves(alone.agents.params), strict=True
    ):
        np.testing.assert_allclose(leaf, jnp.broadcast_to(own.mean(0)[None], leaf.shape), atol=1e-5)
    spread = [float(jnp.ptp(x, axis=0).max()) for x in jax.tree.leaves(alone.agents.params)]
    assert max(spread) > 0
    assert int(info.traffic.messages) > 0
    # Adam's moments stay the agents' own unless they are exchanged, for three instead of one share.
    rule = gossip.averaging(gossip.mixing(topology.complete(3)))
    shared = jax.jit(offline.networked(learner, rule, shards, moments=True).step)
    with_moments, more = shared(KEY, state, jnp.ones(3, bool))
    assert info.traffic.bytes < more.traffic.bytes < 3 * info.traffic.bytes
    for leaf, own in zip(
        jax.tree.leaves(with_moments.agents), jax.tree.leaves(alone.agents), strict=True
    ):
        mean = jnp.broadcast_to(own.mean(0)[None], leaf.shape)
        np.testing.assert_allclose(leaf, mean, rtol=1e-5, atol=1e-6)
    for leaf, own in zip(
        jax.tree.leaves(together.agents.opt_state), jax.tree.leaves(alone.agents.opt_state),
        strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(leaf, own)
    apart, _ = shared(KEY, state, jnp.zeros(3, bool))
    jax.tree.map(np.testing.assert_array_equal, apart.agents, alone.agents)


def line(rng, episodes=40, length=20, cells=10):
    """Walks on a line towards random targets; actions are steps of ± 1."""
    place = rng.integers(cells, size=episodes)
    target = rng.integers(cells, size=episodes)
    places, moves = [], []
    for _ in range(length):
        target = np.where(place == target, rng.integers(cells, size=episodes), target)
        move = np.sign(target - place)
        places.append(place)
        moves.append(move)
        place = np.clip(place + move, 0, cells - 1)
    places, moves = (np.stack(x, 1).reshape(-1, 1) for x in (places, moves))
    ends = np.arange(len(places)) % length == length - 1
    return 2.0 * places / (cells - 1) - 1.0, moves, ends


@pytest.mark.slow
def test_dqc_learns_the_way_along_a_line():
    data = offline.trajectories(*line(np.random.default_rng(0)))
    network = offline.chunk_network(
        1, 1, H, widths=(32,), num_critics=1, activation="relu", layer_norm=False
    )
    learner = offline.dqc(
        network, horizon=H, policy_chunk=1, discount=0.9, lr=5e-3, tau=0.05, num_candidates=8,
        flow_steps=4,
    )  # fmt: skip
    state, losses = offline.fit(KEY, learner, offline.chunks(data, H), 400, batch_size=64)
    assert losses["chunk"].shape == (400,)
    places = jnp.linspace(-1, 1, 10)[1:-1, None]
    act = jax.jit(learner.act)
    for goal in (-1.0, 1.0):
        chunk = act(KEY, state.params, places, jnp.full_like(places, goal))
        assert (np.sign(np.asarray(chunk[:, 0, 0])) == goal).mean() >= 0.75


class TestRefusals:
    """The lines that the specification says must be refused."""

    def test_trajectories(self):
        place, moves, ends = rows()
        wrong = {
            "terminal: expected true in the last row": (place, moves, np.zeros(len(place), bool)),
            "action: expected": (place, moves + 1.5, ends),
            "observation": (np.full_like(place, np.nan), moves, ends),
            "terminal: expected bool": (place, moves, ends[:-1]),
            "at least two rows": (place, moves, np.ones(len(place), bool)),
        }
        for match, given in wrong.items():
            with pytest.raises(ValueError, match=match):
                offline.trajectories(*given)

    def test_chunks(self):
        for match, options in {
            "steps of the shortest episode": {"horizon": LENGTH},
            "horizon": {"horizon": 0},
            "sum of 1": {"horizon": H, "shares": offline.GoalShares(0.2, 0.5, 0.2)},
            "shares.current": {"horizon": H, "shares": offline.GoalShares(-0.2, 0.9, 0.3)},
        }.items():
            with pytest.raises(ValueError, match=match):
                offline.chunks(DATA, **options)

    @pytest.mark.parametrize("kappa", [0.49, 1.0, 1.5, float("nan"), -0.1])
    def test_kappa(self, kappa):
        for pair in ((kappa, 0.8), (0.8, kappa)):
            with pytest.raises(ValueError, match="kappa"):
                offline.dqc(NETWORK, horizon=H, policy_chunk=1, kappa=pair)
        for loss in (offline.expectile_loss, offline.quantile_loss, offline.implicit_weight):
            with pytest.raises(ValueError, match="kappa"):
                loss(jnp.ones(2), kappa)

    def test_sizes_of_chunks(self):
        for match, options in {
            "policy_chunk: expected fewer": {"horizon": 2, "policy_chunk": 3},
            "equal chunks are": {"horizon": 2, "policy_chunk": 2},
            "policy_chunk": {"horizon": 2, "policy_chunk": 0},
            "horizon": {"horizon": H + 1, "policy_chunk": 1},
            "discount": {"horizon": H, "policy_chunk": 1, "discount": 1.0},
            "candidates": {"horizon": H, "policy_chunk": 1, "candidates": 99},
            "nonsense": {"horizon": H, "policy_chunk": 1, "nonsense": 1},
        }.items():
            with pytest.raises(ValueError, match=match):
                offline.dqc(NETWORK, **options)
        with pytest.raises(ValueError, match="without distill"):
            offline.chunk_learner(
                NETWORK,
                offline.ChunkHyperparameters(H, H, 2, 2, distill=False),
            )

    def test_data_that_do_not_fit_the_network(self):
        learner = METHODS["dqc"]
        with pytest.raises(ValueError, match="sampler: expected the network's"):
            offline.fit(KEY, learner, offline.chunks(DATA, H - 1), 1)
        with pytest.raises(ValueError, match="disjoint"):
            offline.shard(*rows(), [[0, 1], [1, 2]])
        with pytest.raises(ValueError, match="equally many"):
            offline.shard(*rows(), [[0, 1], [2]])
        with pytest.raises(ValueError, match="stacked shards"):
            offline.networked(learner, gossip.identity(), DATA)
        with pytest.raises(ValueError, match="observation"):
            learner.act(KEY, NETWORK.init(KEY), jnp.zeros((2, 3)), jnp.zeros((2, 1)))
