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
# # Networked actor–critics
#
# Every agent has a private reward, and no agent knows the sum. Can they still learn the joint policy
# that is best for the team? They can if neighbours **exchange their critics**: here agents on a ring
# solve **a dilemma** that isolated learners do not, first with linear critics and exact solutions,
# then **with compressed messages and with a Byzantine agent**, then **with PPO and neural networks**.
# Two CPU cores, under a minute.

# %%
import tempfile

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import agents, envs, gossip, plotting, rl, rollout, simulate, topology
from jaxswarm.gossip import robust
from jaxswarm.rl import networked

# %% [markdown]
# ## 1 · A dilemma on a circle
#
# Every agent gives or keeps. A gift costs the giver 1 and has a benefit of 3 for the *next* agent,
# twice as much in the better of two states, which gifts make likelier. The game is small enough to
# be solved exactly: `solve` computes the long-run mean reward of any joint policy.

# %%
N = 8
game = networked.dilemma(N)


def team_reward(probability):
    policy = np.broadcast_to([1 - probability, probability], (N, game.num_states, 2))
    return networked.solve(game, policy).average


best = team_reward(1.0)
plotting.curves(
    {"team": np.array([[team_reward(p) for p in np.linspace(0, 1, 11)]])},
    np.linspace(0, 1, 11),
    title="mean reward by the probability of giving",
    xlabel="probability of giving, of all agents",
    ylabel="mean reward of a step",
)

# %% [markdown]
# ## 2 · Isolated, on a ring, and with the team's reward
#
# Zhang et al. (2018): every agent has a linear critic and a reward model, takes a step on its own
# reward, and **averages both with its neighbours**. Actors are never sent. Any `gossip`
# transformation can do the averaging.

# %%
features = networked.additive_features(game)
ring = gossip.averaging(gossip.mixing(topology.ring(N)))
alone = gossip.identity()
keys = jax.random.split(jax.random.key(0), 5)
STEPS, EVERY = 10_000, 500


def learn(rule, game=game):
    """Team return of every record as a share of the best, `[seeds, records]`."""
    learner = networked.networked_actor_critic(game, features, rule)

    def one_seed(key):
        start = learner.init(jnp.zeros((N, 2, 2)))
        policy = lambda state: jax.nn.softmax(state.actors)  # noqa: E731
        return rollout(learner.step, start, STEPS, key=key, every=EVERY, evaluate=policy)

    policies = np.asarray(jax.jit(jax.vmap(one_seed))(keys)[1].evaluation)
    return np.array([[networked.solve(game, p).average for p in run] for run in policies]) / best


mean_reward = jnp.broadcast_to(game.reward.mean(axis=0), game.reward.shape)
returns = {
    "with the team's reward": learn(alone, game._replace(reward=mean_reward)),
    "a ring": learn(ring),
    "alone": learn(alone),
}
steps = np.arange(EVERY, STEPS + 1, EVERY)
share = "team return, share of the best"
plotting.curves(returns, steps, title="team return while learning", xlabel="steps", ylabel=share)

# %% [markdown]
# On the ring no reward was sent, only critics and reward models, and agents learn to give.
#
# ## 3 · Why it works: disagreement contracts
#
# Averaging over a connected graph multiplies the disagreement by at most the square of the second
# eigenvalue of the mixing matrix. With step sizes of 0, the critics show just that.

# %%
no_learning = networked.Rates(critic=0.0, actor=0.0)
graphs = {"ring": topology.ring(N), "exponential": topology.exponential(N)}
shrinking, predicted = {}, {}
for name, graph in graphs.items():
    W = gossip.mixing(graph)
    learner = networked.networked_actor_critic(
        game, features, gossip.averaging(W), rates=no_learning
    )
    start = learner.init(jnp.zeros((N, 2, 2)))
    critics = jax.tree.map(lambda x: jax.random.normal(keys[0], x.shape), start.critics)
    spread = lambda state: agents.disagreement(state.critics)  # noqa: E731
    _, records = rollout(
        learner.step, start._replace(critics=critics), 12, key=keys[0], evaluate=spread
    )
    shrinking[name] = np.asarray(records.evaluation)[None]
    rate = float(topology.spectra.second_eigenvalue(W)) ** 2
    predicted[f"{name}: theory"] = shrinking[name][:, :1] * rate ** np.arange(12)[None]
plotting.curves(
    {**shrinking, **predicted},
    np.arange(1, 13),
    log=True,
    title="disagreement of the critics, and the spectral rate",
    xlabel="steps",
    ylabel="disagreement",
)

# %% [markdown]
# ## 4 · Compressed messages, and a Byzantine agent
#
# The rule is an argument like any other: send 8 bits per number instead of 32; or let agent 0 send
# minus four times its critic, and use a robust rule.

# %%
complete = topology.complete(N)
byzantine = jnp.arange(N) == 0
attack = gossip.attacks.sign_flip(4.0)
averaging = gossip.averaging(gossip.mixing(complete, "uniform"))
trimmed = robust.trimmed_mean(complete, 1)
disturbed = {
    "8 bits": learn(gossip.compressed(ring, gossip.quantize(8))),
    "Byzantine agent, trimmed mean": learn(gossip.attacked(trimmed, attack, byzantine)),
    "Byzantine agent, averaging": learn(gossip.attacked(averaging, attack, byzantine)),
}
plotting.curves(disturbed, steps, title="compression and an attack", xlabel="steps", ylabel=share)

# %% [markdown]
# ## 5 · The same with PPO
#
# The donation game is an environment with the same dilemma: an agent that has something may give it
# to both neighbours, and the more is given the more all agents have. `networked_ppo` is PPO in which
# neighbours average critics and reward models; twelve agents, each with networks of its own. The
# graph is a traced value as well, so both trainings are one program.

# %%
M = 12
env = envs.Donations(M)
network = rl.network_for(env, critic="global", widths=(32,))


both = topology.stack([topology.from_edges(np.zeros((0, 2), int), M), topology.ring(M)])
networks = gossip.mixing(both, "metropolis", layout="dense", connected=False)


def train(which):
    learner = networked.networked_ppo(
        env,
        network,
        gossip.averaging(networks[which]),
        num_envs=8,
        num_steps=40,
        minibatches=2,
        hyperparameters=rl.PPOHyperparameters(lr=3e-3, discount=0.9),
    )
    params_key, env_key, run_key = jax.random.split(jax.random.key(1), 3)
    start = learner.init(networked.initial_params(params_key, network, M), env_key)
    return rollout(learner.step, start, 40, key=run_key)


trained, records = jax.jit(jax.vmap(train))(jnp.arange(2))
rewards = dict(zip(("alone", "a ring"), np.asarray(records.info.ppo.reward), strict=True))
left, right = np.ravel(plotting.panels(1, 2, width=5.0, height=4.0))
plotting.curves(
    {name: curve[None] for name, curve in rewards.items()},
    title="team reward while learning",
    xlabel="iterations of PPO",
    ylabel="mean reward of a step",
    ax=left,
)
policy = rl.policy(network, shared=False)
play = jax.jit(
    lambda params: envs.unroll(jax.random.key(2), env, policy, 20, params=params, keep_states=True)
)
_, episode = play(jax.tree.map(lambda x: x[1], trained.learner.params))
env.render(jax.tree.map(lambda x: x[-1], episode.state), ax=right)

# %% [markdown]
# ## 6 · A rule of your own
#
# A rule is a pair of pure functions: its initial state, and what it computes from the messages
# received. Here is one with little communication: **average with one random neighbour a round**.


# %%
def one_neighbor(W):
    near = (W.dense() > 0) & ~jnp.eye(N, dtype=bool)

    def mix(key, params, state, exchange):
        sent = exchange.sent(params)
        chosen = jax.random.categorical(key, jnp.where(near, 0.0, -jnp.inf), axis=1)
        params = jax.tree.map(lambda x, m: (x + m[chosen]) / 2, params, sent)
        count = jnp.float32(N)
        return params, state, gossip.Traffic(count, count * agents.message_size(params)[1])

    return gossip.GossipTransformation(lambda params: (), mix)


mine = learn(one_neighbor(gossip.mixing(topology.ring(N))))
plotting.curves(
    {"a ring": returns["a ring"], "one neighbour a round": mine, "alone": returns["alone"]},
    steps,
    title="one neighbour a round",
    xlabel="steps",
    ylabel=share,
)

# %% [markdown]
# ## 7 · Stop and resume
#
# `simulate` drives a learner from the host, with a progress bar and checkpoints. A run that was
# stopped and resumed is bit-identical to an uninterrupted one: actors, critics, and the messages in
# flight between neighbours, which here arrive three steps late.

# %%
slow = networked.networked_actor_critic(game, features, gossip.delayed(ring, 3))
start = slow.init(jnp.zeros((N, 2, 2)))
run = {"key": jax.random.key(5), "progress": False}
whole, _ = simulate(slow.step, start, 600, **run)
with tempfile.TemporaryDirectory() as folder:
    simulate(slow.step, start, 250, checkpoint=folder, **run)
    resumed, _ = simulate(slow.step, start, 600, checkpoint=folder, resume=True, **run)
equal = jax.tree.map(lambda a, b: bool((a == b).all()), whole, resumed)
{
    "resumed exactly": all(jax.tree.leaves(equal)),
    "ring": round(float(returns["a ring"][:, -1].mean()), 2),
    "alone": round(float(returns["alone"][:, -1].mean()), 2),
}

# %% [markdown]
# ## Where to go from here
#
# * `python -m experiments reproduce networked_actor_critic`: all arms, seeds and verdicts.
# * `networked.networked_sac` applies the same idea to soft actor-critic (SAC).
# * `rl.ippo`, `rl.mappo`, `rl.sac`, `stac.stac`, `symphony.symphony` for one agent or many; a learner
#   is an `Algorithm(init, step)`, and vmaps over seeds, hyper-parameters and agents.
