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
# # Coordination of agent teams
#
# Five simulations of agent teams: **contextual bandits that route tasks** and share their sums by
# gossip, **a network that learns to route tasks to specialists**, **when a team beats a single
# agent** under one token budget, **thousands of workflows** without an orchestrator, and **your own
# model** as a worker. No language model runs here: workers are stochastic, with stated skills and
# error rates, and all methods are compared on the same random numbers. Two CPU cores, a few minutes.

# %%
import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import coordination, gossip, plotting, topology
from jaxswarm.coordination import bandits
from jaxswarm.gossip import Exchange
from jaxswarm.systems import agentnet, matrix, scaling_agents

# %% [markdown]
# ## 1 · Contextual bandits that gossip
#
# Sixty-four requesters each choose one of ten workers, step after step, by six features of the
# offers. The relation of features to success is hidden and the same for all, so every observation
# of one requester is informative for all others. `linucb` is the rule; what it learns from are
# *sums*, and sums can gossip: `Pooled` learners mix them with their neighbours.

# %%
R, OFFERS, STEPS, D = 64, 10, 300, 6
theta = jnp.array([0.1, 0.5, -0.2, 0.3, -0.3, 0.25])
rule = bandits.linucb(D, radius=0.5)


def learn(rule_of_gossip, population):
    """Regret per requester of every step, `[STEPS]`."""
    key = jax.random.key(0)

    def step(state, t):
        draw, reward_key, gossip_key = jax.random.split(jax.random.fold_in(key, t), 3)
        x = jax.random.uniform(draw, (R, OFFERS, D)) / np.sqrt(D)
        chance = jnp.clip(x @ theta + 0.3, 0.0, 1.0)
        sums = bandits.effective_sums(state, population)
        scores = jax.vmap(rule.score, (None, 0, 0, None))(draw, sums, x, jnp.zeros(OFFERS, int))
        pick = jnp.argmax(scores, axis=1)
        chosen = jnp.take_along_axis(x, pick[:, None, None], axis=1)[:, 0]
        expected = jnp.take_along_axis(chance, pick[:, None], axis=1)[:, 0]
        reward = (jax.random.uniform(reward_key, (R,)) < expected).astype(jnp.float32)
        fresh = jax.vmap(rule.learn, (0, 0, 0, None, None))(state.fresh, chosen, reward, 0, 1.0)
        state = state._replace(fresh=fresh)
        state, _ = bandits.exchange_sums(gossip_key, state, rule_of_gossip, Exchange(t))
        regret = bandits.step_regret(chance, jnp.ones_like(chance, bool), pick)
        return state, regret.mean()

    start = bandits.init_pooled(bandits.empty_sums(D, (R,)), rule_of_gossip)
    return jax.lax.scan(step, start, jnp.arange(STEPS))[1]


ring = gossip.averaging(gossip.mixing(topology.ring(R)))
small_world = gossip.averaging(gossip.mixing(topology.watts_strogatz(R, 4, 0.2, seed=0)))
lost = {
    "isolated": jax.jit(lambda: learn(gossip.identity(), 1))(),
    "ring": jax.jit(lambda: learn(ring, R))(),
    "small world": jax.jit(lambda: learn(small_world, R))(),
    "full averaging": jax.jit(lambda: learn(gossip.averaging(gossip.complete_mean(R)), R))(),
}
regret = {name: np.cumsum(np.asarray(x))[None] for name, x in lost.items()}
plotting.curves(
    regret,
    title="regret of LinUCB by communication graph",
    xlabel="tasks of each requester",
    ylabel="total regret per requester",
)

# %% [markdown]
# ## 2 · A network that routes tasks to its specialists
#
# In AgentNet a task enters at a random agent, which executes it or forwards it to a neighbour.
# Edge weights and estimated capabilities move with success. Nine agents, six hundred tasks: the
# capabilities that they estimate at the end, and the share of tasks that succeed.

# %%
world = agentnet.population(jax.random.key(3), topology.complete(9), 5)
tasks = agentnet.sample_tasks(jax.random.key(4), world, 600)
system = agentnet.agentnet(world)
choices = agentnet.Choices(*jnp.zeros(3, bool), jnp.bool_(True), jnp.bool_(True), jnp.bool_(False))


def step(state, inputs):
    task, t = inputs
    key = jax.random.fold_in(jax.random.key(5), t)
    return system.step(key, state, task, choices, jnp.ones(9, bool), jnp.bool_(True))


final, info = jax.jit(lambda s: jax.lax.scan(step, s, (tasks, jnp.arange(600))))(system.init())
left, right = np.ravel(plotting.panels(1, 2, width=5.0, height=4.2))
plotting.heatmap(
    final.capability,
    [f"agent {i}" for i in range(9)],
    [f"type {k}" for k in range(5)],
    title="estimated capability of each agent by task type",
    ax=left,
)
plotting.curves(
    {"success": np.asarray(info.success).reshape(-1, 50).mean(axis=1)[None]},
    np.arange(50, 601, 50),
    title="success rate over time",
    xlabel="tasks",
    ylabel="share of tasks that succeed",
    ax=right,
)

# %% [markdown]
# ## 3 · When a team pays
#
# A task is a graph of subtasks. Five architectures are five rows of numbers (which agents check
# results, which receive them) in one engine, under one token budget that pays for answers, checks
# and messages alike. Three shapes of a task, with their critical path and width:

# %%
breadth = coordination.layered_task(1, 12, 1, capacity=12)
report = coordination.layered_task(2, 6, 1, fan_in=2, capacity=12, seed=7)
chain = coordination.layered_task(7, 1, 1, capacity=12)
kinds = {"12 in parallel": breadth, "6, then 6": report, "7 in sequence": chain}
{
    name: (int(coordination.critical_path(g)), int(coordination.graph_width(g)))
    for name, g in kinds.items()
}

# %%
names = scaling_agents.ARCHITECTURES
teams = [scaling_agents.architecture(n, 1 if n == "single" else 3) for n in names]
stacked = jax.tree.map(lambda *x: jnp.array(x), *teams)
pool = scaling_agents.team(3)


def score(graph):
    def score_of_task(team, task):
        trace = scaling_agents.run_task(
            jax.random.key(6), graph, team, pool, 0.8, tools=2.0, observability=0.2, task=task
        )
        return trace.score

    return jax.vmap(jax.vmap(score_of_task, (None, 0)), (0, None))(stacked, jnp.arange(400)).mean(
        axis=1
    )


graphs = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *kinds.values())
scores = np.asarray(jax.jit(lambda g: jax.lax.map(score, g))(graphs))
plotting.heatmap(
    scores, list(kinds), list(names), title="score by shape of the task and architecture"
)

# %% [markdown]
# ## 4 · Without an orchestrator
#
# Rows of data go from role to role. If one orchestrator handles every message, it is soon the
# bottleneck; if actors pass rows on themselves, the service pool is. Work is drawn by row and hop,
# so every scheduler must give every row the same result; the simulation is exact, event by event.

# %%
dialogue = matrix.flow([[0, 1, 0], [0.4, 0, 0.6]], actors=16, servers=64)
rows = matrix.sample_work(jax.random.key(8), dialogue, 400)
load = np.array([4, 8, 16, 32, 64, 96])


def simulate(scheduler, at_once):
    settings = matrix.RunSettings(scheduler, at_once, tau=0.05)
    return matrix.run(rows, dialogue, settings, slots=96)


over = jax.vmap(jax.vmap(simulate, (None, 0)), (0, None))
outcome = jax.jit(over)(jnp.arange(3), jnp.asarray(load))
ax = plotting.curves(
    {name: outcome.throughput[i][None] for i, name in enumerate(matrix.SCHEDULERS)},
    load,
    title="throughput by scheduler; dashed: bounds of operational laws",
    xlabel="rows in flight",
    ylabel="hops per second",
)
for name in matrix.SCHEDULERS:
    bounds = matrix.saturation(dialogue, name, 0.05)
    ax.axhline(min(bounds.control, bounds.pools), color="#9A9A9A", linestyle=(0, (4, 3)))
ax

# %% [markdown]
# Dashed: what operational laws predict without any simulation. And the results of all rows are
# equal under all schedulers and loads:

# %%
same = bool((outcome.result == outcome.result[:1, :1]).all())

# %% [markdown]
# ## 5 · Your own model
#
# A worker is anything that answers a `Request`. On the host that is a function of yours (a language
# model behind it, for instance): it gets the call without the right answer, and its replies are
# validated and recorded, so that the run can be replayed without the model.


# %%
def ask(call):
    best = int(np.argmax(call["demand"]))  # put your model here
    return {"answer": best, "confidence": 0.9, "tokens_out": 12.0, "latency": 300.0}


recording = coordination.Recording()
calls = coordination.Request(
    worker=jnp.zeros(3, jnp.int32),
    entity=jnp.arange(3),
    event=jnp.zeros(3, jnp.int32),
    demand=jnp.eye(3),
    context=jnp.full(3, 100.0),
    truth=jnp.arange(3),
    active=jnp.ones(3, bool),
)
reply = coordination.host_worker(ask, num_answers=3, recording=recording)(calls)
replayed = coordination.host_worker(None, num_answers=3, recording=recording)(calls)
{
    "answers": np.asarray(reply.answer).tolist(),
    "replayed": bool((replayed.answer == reply.answer).all()),
    "rows equal under all schedulers": same,
    "regret isolated": round(float(regret["isolated"][0, -1]), 2),
    "regret with gossip": round(float(regret["small world"][0, -1]), 2),
}

# %% [markdown]
# ## Where to go from here
#
# * `python -m experiments reproduce symphony_coord agentnet scaling_agents matrix`: the published
#   systems, their claims and controls.
# * `coordination.flood_search` finds the workers within a number of hops,
#   `coordination.availability` and `matrix.crashes` let workers fail by a fault plan,
#   `coordination.queues` are message queues that count what they drop.
