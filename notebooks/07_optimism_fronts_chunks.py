# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Optimism, fronts and chunks
#
# Three ways beyond one reward and one action at a time. An **optimistic critic** lets an
# actor-critic explore (NORA), **one team serves all preferences** between two objectives (MO-MIX,
# on VDN's and QMIX's ground), and a critic of **action chunks** learns from recorded data (decoupled
# Q-chunking). Each world here is small enough that the best result is known exactly. Two CPU cores
# need about a minute.

# %%
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import envs, gossip, plotting, rl, rollout, topology
from jaxswarm.rl import offline, tabular
from jaxswarm.rl import value_decomposition as vd
from jaxswarm.rl.offline import exact
from jaxswarm.systems import nora

# %% [markdown]
# ## 1 · Optimism: an actor-critic that explores
#
# A *combination lock* of eight steps and four actions opens for one sequence of actions only, and
# wrong first actions earn a little, so that a policy without exploration settles for them. NORA
# (Tan, Fan, Wei, 2025) opens it: an optimistic critic of the optimal values, mirror ascent of the
# policy on it, and rare switches of the critic, each of which makes the policy uniform again.
# Regret is exact: the loss in expected return of the policy that plays an episode.

# %%
lock = tabular.combination_lock(horizon=8, num_actions=4, slip=0.05, distractor=0.02)
best = tabular.value_iteration(lock)
uniform = tabular.uniform_policy(lock)
{
    "optimal return": round(float(best.value[0, 0]), 3),
    "uniform policy": round(float(tabular.expected_return(lock, uniform)), 3),
}

# %% [markdown]
# One function with different settings is NORA, NORA without one of its parts, DOUHUA (the paper's
# first algorithm) and LSVI-UCB. Settings are numbers, so arms and seeds are `vmap` axes of one
# program.

# %%
names = ["nora", "no reset", "douhua", "lsvi-ucb", "no optimism", "reset in every episode"]
arms = jax.tree.map(
    lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *[nora.settings_of(n) for n in names]
)


def play(settings, key):
    learner = nora.actor_critic(lock, settings)
    return rollout(learner.step, learner.init(), 2_000, key=key)[1].info


keys = jax.random.split(jax.random.key(0), 5)
info = jax.jit(jax.vmap(jax.vmap(play, (None, 0)), (0, None)))(arms, keys)
total = np.cumsum(np.asarray(info.regret), axis=2)
shown = np.unique(np.geomspace(1, 2_000, 80).astype(int)) - 1
ax = plotting.curves(
    {name: total[b][:, shown] for b, name in enumerate(names)},
    shown + 1,
    xlabel="episode (ticks: NORA's switches)",
    ylabel="cumulative regret",
    title="A lock of eight steps",
    log=True,
)
ax.set_xscale("log")
switches = np.flatnonzero(np.asarray(info.switched)[0, 0]) + 1
ax.plot(switches, np.full(len(switches), total[0, :, 0].min()), "|", color="black")
ax

# %% [markdown]
# Without optimism, and with a reset in every episode, regret grows linearly: four times the
# episodes, four times the regret. NORA's flattens, but so does that of the others, and sooner: on
# this lock the resets *cost* regret. The paper's claim is a worst-case rate for general function
# classes, not that NORA beats DOUHUA.

# %%
growth = {
    name: round(float((total[b, :, -1] / total[b, :, 499]).mean()), 2)
    for b, name in enumerate(names)
}
growth

# %% [markdown]
# The critic's data are sums, so agents on copies of the lock can average them with their neighbors
# (an addition of this project). Each agent keeps its own policy and switches on its own
# log-determinant.

# %%
n = 8
settings = nora.settings_of("nora", bonus=1.0, rate=5.0)


def regret(graph, scale):
    W = gossip.mixing(graph, connected=False)
    learner = nora.swarm(lock, gossip.averaging(W), n, settings=settings, scale=scale)
    run = jax.jit(lambda: rollout(learner.step, learner.init(), 500, key=keys[0])[1].info)
    return round(float(run().agents.regret.sum(axis=0).mean()), 1)


{
    "isolated": regret(topology.from_edges(np.zeros((0, 2), int), n), 1.0),
    "ring": regret(topology.ring(n), float(n)),
}

# %% [markdown]
# ## 2 · Fronts: one team for all preferences
#
# Two agents collect treasures with two values each. No single team is best: there is a *front* of
# returns that cannot be improved in one objective without a loss in the other. The game is small
# enough to enumerate every plan, so the true front is known.

# %%
angles = np.pi / 2 * np.arange(6) / 5
treasures = (
    *tuple(
        ((row, 5 - row), (round(3 * float(np.cos(a)), 2), round(3 * float(np.sin(a)), 2)))
        for row, a in enumerate(angles)
    ),
    ((0, 2), (1.0, 0.0)),
    ((1, 1), (0.71, 0.71)),
    ((2, 0), (0.0, 1.0)),
)
env = envs.TwoObjectiveGrid(num_agents=2, size=6, time_limit=6, treasures=treasures)
truth = rl.pareto.front(envs.two_objectives.attainable_returns(env))
low = np.full(2, -0.1, np.float32)
len(truth), round(float(rl.pareto.hypervolume(truth, low)), 2)

# %% [markdown]
# MO-MIX (Hu, Luo, Yang, Huang, 2023) gives every agent one value per action *and objective*, and a
# preference among its inputs. An agent takes the action with the largest preference-weighted value;
# each objective has a monotonic mixer of its own, as QMIX has one. Half of the preferences in
# training are drawn at gaps of the front attained so far.

# %%
network = rl.value_network_for(env, "monotonic", objectives=2, hidden_size=24)
hp = vd.ValueHyperparameters(lr=6e-3, discount=1.0, tau=0.06, epsilon_steps=180.0)
learner = rl.mo_mix(env, network, guide="gaps", updates=2, bootstrap=False, hyperparameters=hp)


@jax.jit
def train(key):
    weights, start, run = jax.random.split(key, 3)
    state = learner.init(vd.initial_params(weights, network), start)
    return jax.lax.scan(lambda s, k: learner.step(k, s), state, jax.random.split(run, 300))[0]


state = train(jax.random.key(0))
front = vd.objective_returns(jax.random.key(1), env, network, state.params, vd.preference_grid(100))
share = float(rl.pareto.hypervolume(front, low) / rl.pareto.hypervolume(truth, low))

ax = plotting.axes(width=5.5, height=4.5)
ax.plot(*truth.T, "o-", color="#5A5A5A", markersize=4, label="true front")
ax.plot(*np.asarray(front).T, "D", color=plotting.PALETTE[0], alpha=0.6, label="101 preferences")
ax.set(xlabel="first objective", ylabel="second objective", title="One team, all preferences")
ax.legend(frameon=False)
ax

# %% [markdown]
# Two cautions. A linear preference is never best served by a point in a *concave* part of the
# front, so these points are out of reach by construction. And monotonic mixers make the agents' own
# best actions jointly best for *one* objective; for a weighted sum of several this can fail, and is
# counted. The last line: agents with preferences of their own agree by gossip before they act (an
# addition of this project).

# %%
report = vd.igm_violations(jax.random.key(2), env, network, state.params, vd.preference_grid(10))
own = jnp.array([[1.0, 0.0], [0.2, 0.8], [0.6, 0.4], [0.0, 1.0]])
agreed = own
for _ in range(4):
    agreed = gossip.mix(gossip.mixing(topology.ring(4)), agreed)
{
    "steps in which the agents miss the best joint action": f"{float(report.rate):.1%}",
    "preferences after four exchanges": agreed.round(2).tolist(),
}

# %% [markdown]
# ## 3 · Chunks: decoupled Q-chunking
#
# A critic of whole action chunks moves values several steps at a time. A policy of whole chunks,
# however, is hard to learn and blind while it executes one. Decoupled Q-chunking (Li, Park, Levine,
# 2025) distills the long-chunk critic into one of the first actions, by an upper expectile over how
# the chunk goes on, and acts on that. First exactly, on small random Markov decision processes: all
# chunks of four actions are enumerated, 2 % of the data are optimal.

# %%
slips = (0.0, 0.1, 0.2, 0.4)
returns = {name: np.zeros((24, len(slips))) for name in ("open loop", "closed loop", "n-step")}
for column, slip in enumerate(slips):
    for seed in range(24):
        mdp = exact.random_mdp(6, 3, slip=slip, seed=seed)
        values, optimal = exact.optimal_values(mdp)
        policies = np.stack([np.eye(3)[optimal], np.full((6, 3), 1 / 3)])
        data = exact.chunk_data(mdp, policies, [0.02, 0.98], horizon=4)
        q, _ = exact.nominal_critic(mdp, data)
        found = {
            "open loop": exact.chunk_policy_values(
                mdp, data.true_reward, data.true_end, q.argmax(1), 4
            ),
            "closed loop": exact.policy_values(mdp, exact.distilled(data, q, 1).argmax(1)),
            "n-step": exact.policy_values(mdp, exact.n_step_policy(mdp, data)),
        }
        for name, value in found.items():
            returns[name][seed, column] = value.mean() / values.mean()

plotting.curves(
    returns,
    np.array(slips),
    xlabel="probability that an action slips",
    ylabel="share of the optimal return",
    title="Chunks of four actions, executed in two ways",
)

# %% [markdown]
# Without noise chunks are optimal in every process; n-step returns, which average over what bad
# data do next, fail in some. With noise, open-loop chunks lose and closed-loop execution of the
# same critic does not.
#
# Now learned, from walks on a line. `trajectories` indexes episodes, `chunks` relabels goals and
# never crosses into the next episode.

# %%
rng = np.random.default_rng(0)
place, target, rows, moves = rng.integers(10, size=40), rng.integers(10, size=40), [], []
for _ in range(20):
    target = np.where(place == target, rng.integers(10, size=40), target)
    rows.append(place)
    moves.append(np.sign(target - place))
    place = place + moves[-1]
observation = 2 * np.stack(rows, 1).reshape(-1, 1) / 9 - 1
ends = np.arange(800) % 20 == 19
walks = offline.trajectories(observation, np.stack(moves, 1).reshape(-1, 1), ends)

actor_critic = offline.chunk_network(1, 1, horizon=4, widths=(32,), num_critics=1)
dqc = offline.dqc(
    actor_critic,
    horizon=4,
    policy_chunk=1,
    kappa=(0.7, 0.8),
    discount=0.9,
    lr=5e-3,
    tau=0.05,
    num_candidates=8,
    flow_steps=4,
)
trained, _ = offline.fit(jax.random.key(0), dqc, offline.chunks(walks, 4), 400, batch_size=64)

places = jnp.linspace(-1, 1, 10)[1:-1, None]
right = {}
for goal in (-1.0, 1.0):
    chunk = dqc.act(jax.random.key(1), trained.params, places, jnp.full_like(places, goal))
    right[goal] = float((np.sign(np.asarray(chunk[:, 0, 0])) == goal).mean())

# %% [markdown]
# The experiments `nora`, `mo_mix` and `dqc` compare each method with its baselines:
# `python -m experiments reproduce dqc --scale small`.

# %%
{
    "growth of regret with four times the episodes": [growth["nora"], growth["no optimism"]],
    "share of the true front's hypervolume": round(share, 2),
    "closed and open loop at a slip of 0.4": [
        round(float(returns[name][:, -1].mean()), 2) for name in ("closed loop", "open loop")
    ],
    "first actions towards the goal": [round(right[goal], 2) for goal in (-1.0, 1.0)],
}
