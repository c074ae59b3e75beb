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
# # Teams that plan
#
# Four teams, from a plan on paper to a plan in a world: a **learned task graph** that is as large as
# a problem is hard (AgentConductor), **a play** that actors improvise towards points planned
# backwards (HAMLET), **a figure in a room** whose clips of motion are judged and corrected
# (FantasyHSI), and **miners** that share tools and messages (DAMCS). No language model runs here:
# workers, actors and miners are stochastic, scripted or trained on the spot, and each takes a model
# of your own instead. All sizes are tiny, so single figures here prove nothing about the methods;
# the experiments at the end compare them with seeds and intervals.

# %%
import os

# Programs here are small and run once: with less optimization they compile sooner.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import jax.numpy as jnp
import numpy as np

from jaxswarm import envs, plotting
from jaxswarm.envs import scenes, theatre
from jaxswarm.systems import agent_conductor, damcs, fantasy_hsi, hamlet

# %% [markdown]
# ## 1 · A graph of roles, as large as the task is hard
#
# A small network writes a layered graph of agents (retrieval, planning, algorithm, coding,
# debugging, testing) for a coding task, of which it sees noisy features only. It first imitates
# random valid graphs, then GRPO rewards programs that pass and graphs that are sparse. More agents
# bring more evidence and more distraction, so that neither few nor many edges are always best.

# %%
conductor = agent_conductor.conductor()
imitate, learn = jax.jit(conductor.imitate), jax.jit(conductor.step)
state, curve = conductor.init(jax.random.key(0)), []
for i in range(100):
    tasks = agent_conductor.sample_tasks(jax.random.key(1000 + i), 32)
    state, _ = imitate(jax.random.key(i), state, tasks)
state = conductor.freeze(state)
for i in range(60):
    tasks = agent_conductor.sample_tasks(jax.random.key(2000 + i), 8)
    state, info = learn(jax.random.key(3000 + i), state, tasks)
    curve.append((float(info.passed), float(info.tokens)))

# %%
tasks = agent_conductor.sample_tasks(jax.random.key(7), 512)
episode = jax.jit(conductor.solve)(jax.random.key(8), state.params, tasks)
difficulty = np.asarray(tasks.difficulty)
size = agent_conductor.graph_size(episode.first.graph)
passed, tokens = np.transpose(curve)
left, right = plotting.panels(1, 2, width=5.2, height=3.6)[0]
plotting.curves(
    {"share that passes": passed.reshape(-1, 10).mean(1)},
    np.arange(10, 61, 10),
    xlabel="GRPO update",
    ylabel="share of tasks",
    title="Training",
    ax=left,
)
for offset, (name, values) in enumerate({"agents": size.nodes, "edges": size.edges}.items()):
    means = [np.asarray(values)[difficulty == level].mean() for level in range(3)]
    right.bar(np.arange(3) + 0.4 * offset - 0.2, means, 0.38, label=name)
right.set_xticks(range(3), agent_conductor.DIFFICULTIES)
right.legend(frameon=False)
plotting.titles(right, "Size of the first graph", "true difficulty (hidden)", "mean")
by_level = [round(float(np.asarray(size.nodes)[difficulty == k].mean()), 2) for k in range(3)]
left.figure

# %% [markdown]
# The workers stand behind `coordination.AgentBackend`: `agent_conductor.conductor(backend)` takes
# `coordination.host_backend` with a model of your own, one worker per role.
#
# ## 2 · A play towards points planned backwards
#
# A director plans a play backwards from its ending, as points with flags that must come true. Actors
# know only what they have seen or what was said around them; each moment they choose silence, a
# quick act or a slow, considered one. The narrator lets an act happen only if its preconditions
# hold. When nothing has moved for a while, the **advancer** prompts one actor.

# %%
stage = theatre.default_stage()
plays = hamlet.stage_plays(0, stage, 32, points=3).blueprints
production = hamlet.production(stage)
given = {
    "with advancer": hamlet.settings(stage.num_actors),
    "without advancer": hamlet.settings(stage.num_actors, advancer=False),
    "broadcasts reach no other actor": hamlet.settings(stage.num_actors, reach=theatre.ITSELF),
}


@jax.jit
def performances(settings):
    def one(key, play):
        return hamlet.perform(
            key, production, plays, hamlet.fixed("fast"), play=play, given=settings, time_limit=40
        )[0]

    return jax.vmap(one)(jax.random.split(jax.random.key(1), 32), jnp.arange(32))


completed = {name: float(performances(each).points.mean()) for name, each in given.items()}
ax = plotting.panels(1, 1, width=7.0, height=2.6)[0, 0]
ax.barh(list(completed), list(completed.values()), color=plotting.PALETTE[0])
ax.invert_yaxis()
plotting.titles(ax, "Share of points that are reached, 32 plays", "mean of plays", "")
ax.figure

# %% [markdown]
# `python -m experiments run hamlet --play` lets you play an actor in the terminal.
#
# ## 3 · Clips of motion in a closed loop
#
# A generator of motion clips drifts. Here it is the exact walker with an error that we add by hand;
# the experiment trains a flow model. In the **open loop** all clips follow the first plan, in the
# **closed loop** a critic compares each clip with its plan, asks again, and the planner goes on from
# where the figure really is.

# %%
exact = fantasy_hsi.exact_generator()


def drifting(key, scene, body, verb, offset):
    error = 0.08 * jax.random.normal(key, offset.shape)
    return exact(key, scene, body, verb, offset + error)


scene = scenes.draw(jax.random.key(0), "clutter")
goals = fantasy_hsi.goals(scene, ("pick", 1), ("place", 2), ("sit", 0))
body = fantasy_hsi.standing(scene.pose[2])
episode, steps = fantasy_hsi.act(jax.random.key(3), scene, goals, body, drifting)
ax = plotting.panels(1, 1, width=5.4, height=5.0)[0, 0]
scenes.draw_scene(scene, ax)
for clip, accepted, active in zip(steps.frames, steps.accepted, steps.active, strict=True):
    if active:
        style = {"color": plotting.PALETTE[0], "lw": 2.5} if accepted else {"color": "#9A9A9A"}
        ax.plot(*np.asarray(clip)[:, 0, :2].T, **style)
ax.set_title("Way of the pelvis: accepted clips and, grey, rejected ones", loc="left", fontsize=11)
ax.figure

# %% [markdown]
# `generate` is any function of that signature; planner and critic take models of your own through
# `fantasy_hsi.backend_planner` and `fantasy_hsi.backend_critic`.
#
# ## 4 · Miners that share
#
# `envs.MultiAgentCrafter` is Crafter for a team: wood, stone, coal, iron and a diamond, each after
# the tools that it takes. Agents explore, remember in a small graph, decide from a finite record,
# and send one another structured messages. In how many worlds do they find a diamond in 300 steps,
# and in how many without their memory of the map?

# %%
env = envs.MultiAgentCrafter(num_agents=4, size=32, time_limit=300)
team = damcs.team(env)
play = damcs.episodes_of(team)
keys = jax.random.split(jax.random.key(5), 4)
found, film = play(keys, team.options, 4, watch=0)
without = play(keys, team.options._replace(memory=False), 4)

# %%
goal = film.goal
colors = plotting.PALETTE
ax = plotting.panels(1, 1, width=9.0, height=2.8)[0, 0]
kinds = [kind for kind in damcs.Goal if (goal == kind).any()]
for agent in range(goal.shape[1]):
    for color, kind in zip(colors * 2, kinds, strict=False):
        times = np.flatnonzero(goal[:, agent] == kind)
        label = kind.name.lower().replace("_", " ") if agent == 0 else None
        ax.broken_barh([(t, 1) for t in times], (agent - 0.4, 0.8), color=color, label=label)
ax.set_yticks(range(goal.shape[1]))
ax.legend(frameon=False, fontsize=8, ncols=4, loc="upper center", bbox_to_anchor=(0.5, -0.35))
plotting.titles(ax, "Goals of the four agents in the first world", "step", "agent")
ax.figure

# %%
{
    "agents for easy and hard tasks": (by_level[0], by_level[2]),
    "points with and without advancer": tuple(round(x, 2) for x in list(completed.values())[:2]),
    "goals reached": int(episode.progress),
    "diamonds with and without memory": (int(found.diamond.sum()), int(without.diamond.sum())),
}

# %% [markdown]
# ## From here
#
#     python -m experiments reproduce agent_conductor hamlet fantasy_hsi damcs --scale small
#
# * `damcs.play_text(key, team, function)` asks your function, or a language model, for decisions.
# * Which controls fail as they should, what each paper claims and what was found:
#   `results/REPRODUCTION.md`.
