"""The small pictures of the concept pages, drawn with the library while the site is built."""

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docs.generators.files import DOCS, keep_only, write

FOLDER = DOCS / "pictures"


def pages() -> list[Path]:
    """Draw the pictures that are not there or were drawn by other code; their paths."""
    from jaxswarm import plotting

    stamp = FOLDER / "sources.json"
    known = json.loads(stamp.read_text(encoding="utf-8")) if stamp.exists() else {}
    sources = {name: inspect.getsource(draw) for name, draw in PICTURES.items()}
    written = [stamp]
    for name, draw in PICTURES.items():
        path = FOLDER / f"{name}.svg"
        if not path.exists() or known.get(name) != sources[name]:
            plotting.save(draw(), path)
        written.append(path)
    write(stamp, json.dumps(sources))
    keep_only(FOLDER, written)
    return written


def quickstart() -> Any:
    """What the quickstart page trains: accuracy over rounds, and over the torus at the end."""
    import jax
    import optax

    import jaxswarm as js

    graph = js.topology.torus(4, 4)
    split = js.data.load("digits")
    model = js.models.functional(js.models.mlp(32, 10), split.train.features[:1])
    shares = js.data.dirichlet_over_agents(split.train.labels, 16, alpha=0.5)
    learner = js.learning.dpsgd(
        js.learning.classification_loss(model),
        js.gossip.mixing(graph),
        local=optax.sgd(0.2),
        sample=js.data.minibatches(16),
    )
    start = learner.init(js.agents.initialize(jax.random.key(1), model.init, 16, shared=True))
    _, records = js.simulate(
        learner.step,
        start,
        200,
        key=jax.random.key(2),
        inputs=js.data.shards(split.train, shares),
        every=20,
        evaluate=js.learning.evaluation(model, split.test),
        progress=False,
    )
    accuracy = records.evaluation.accuracy
    left, right = js.plotting.panels(1, 2, width=4.6, height=3.6)[0]
    series = {"D-PSGD on a torus": accuracy.T}
    js.plotting.curves(series, records.round, ylabel="test accuracy, band: half of all", ax=left)
    js.plotting.graph(graph, accuracy[-1], label="accuracy", node_size=260, ax=right)
    return left


def agents_axis() -> Any:
    """Stacked matrices of six agents: axis 0."""
    from matplotlib.patches import FancyArrowPatch, Rectangle

    from jaxswarm import plotting

    ax = _sketch(width=7.6, height=3.0, x=(0, 76), y=(0, 30))
    for i in range(6):
        color = plotting.PALETTE[i % len(plotting.PALETTE)]
        x, y = 4 + 9 * (i % 3), 17 - 12 * (i // 3)
        ax.add_patch(Rectangle((x, y), 5, 8, facecolor=color, alpha=0.85))
        ax.text(x + 2.5, y - 2.4, f"agent {i}", ha="center", fontsize=9, color="#333333")
        z = 5 - i
        place = (46 + 2.2 * z, 6 + 2.0 * z)
        ax.add_patch(
            Rectangle(place, 9, 8, facecolor=plotting.PALETTE[z], edgecolor="white", zorder=6 - z)
        )
    arrow = dict(arrowstyle="-|>", mutation_scale=14, color="#555555", linewidth=1.4)
    ax.add_patch(FancyArrowPatch((33, 15), (43, 15), **arrow))
    ax.add_patch(FancyArrowPatch((57, 5.5), (68.5, 16), **arrow))
    ax.text(64, 8, "axis 0: agents", fontsize=11, color="#333333", rotation=0, ha="left")
    ax.text(38, 17, "stack", fontsize=10, color="#333333", ha="center")
    ax.text(46, 2.4, "leaf of shape [6, 10, 3]", fontsize=11, color="#333333")
    return ax


def topology() -> Any:
    """Four graphs of 16 agents with the spectral gap of their mixing matrix."""
    import numpy as np

    import jaxswarm as js

    graphs = {
        "ring": js.topology.ring(16),
        "torus": js.topology.torus(4, 4),
        "exponential": js.topology.exponential(16),
        "small world": js.topology.watts_strogatz(16, 4, 0.3, seed=1),
    }
    axes = js.plotting.panels(1, 4, width=2.5, height=2.7)[0]
    circle = js.plotting.layout(graphs["ring"])
    square = np.array([[i % 4, -(i // 4)] for i in range(16)], dtype=float)
    for ax, (name, graph) in zip(axes, graphs.items(), strict=True):
        gap = float(js.topology.spectra.spectral_gap(graph))
        js.plotting.graph(
            graph,
            np.zeros(16),
            positions=square if name == "torus" else circle,
            title=f"{name}: gap {gap:.2f}",
            node_size=90,
            ax=ax,
        )
        _without_color_bar(ax)
    return axes[0]


def mixing() -> Any:
    """Values along a ring after 0, 4, 16 and 64 rounds."""
    import jax
    import numpy as np

    import jaxswarm as js

    W = js.gossip.mixing(js.topology.ring(64))
    round_of = jax.jit(lambda x: js.gossip.mix(W, x))
    x = jax.random.normal(jax.random.key(3), (64,))
    ax = js.plotting.axes(width=7.6, height=3.0)
    shades = ("#B9C4CE", "#7FB2D6", "#2F7FB8", "#0B3C5D")
    for t in range(65):
        if t in (0, 4, 16, 64):
            color = shades[(0, 4, 16, 64).index(t)]
            ax.plot(np.asarray(x), color=color, linewidth=1.0 + 0.4 * (t > 0), label=f"{t} rounds")
        x = round_of(x)
    ax.axhline(float(np.mean(x)), color="#C0504D", linewidth=0.8, linestyle=(0, (4, 3)))
    ax.legend(ncols=4, frameon=False, fontsize=10, loc="upper center", bbox_to_anchor=(0.5, 1.2))
    ax.set(xlabel="agent along the ring", ylabel="value (dashed: average)", xlim=(0, 63))
    return ax


def exchange() -> Any:
    """Disagreement with all links, with lost messages and with absent agents."""
    import jax

    import jaxswarm as js

    graph = js.topology.torus(6, 6)
    rule = js.gossip.averaging(js.gossip.mixing(graph))
    faults = {
        "all messages": js.network.link_loss(graph, 0.0),
        "30 % lost": js.network.link_loss(graph, 0.3),
        "crashes, recovery": js.network.churn(36, crash=0.3, recover=0.3),
    }
    start = jax.random.normal(jax.random.key(0), (36, 20))

    def run(network: Any) -> Any:
        def step(key: Any, state: Any, index: Any) -> Any:
            x, process = state
            process, exchange = network.step(key, process, index)
            x, _, _ = rule.mix(key, x, (), exchange)
            return (x, process), js.agents.disagreement(x)

        keys = jax.random.split(jax.random.key(1), 40)
        state = (start, network.init())
        rounds = jax.numpy.arange(40)
        return jax.lax.scan(lambda s, i: step(keys[i], s, i), state, rounds)[1]

    ax = js.plotting.axes(width=7.6, height=3.2)
    curves = {name: jax.jit(run, static_argnums=0)(network) for name, network in faults.items()}
    return js.plotting.disagreement(curves, range(1, 41), ax=ax)


def algorithm() -> Any:
    """The loop of an algorithm as boxes and arrows."""
    ax = _sketch(width=7.6, height=2.5, x=(0, 76), y=(0, 25))
    _box(ax, (4, 9), "init", "params → state")
    _box(ax, (32, 9), "step", "key, state, inputs")
    _arrow(ax, (20, 13), (32, 13))
    ax.text(26, 14.4, "state", ha="center", fontsize=10, color="#333333")
    _arrow(ax, (48, 15), (63, 19))
    ax.text(64, 18.4, "info: to be plotted", fontsize=10, color="#333333")
    ax.plot([48, 54, 54, 26, 26], [11, 11, 4, 4, 8], color="#555555", linewidth=1.4)
    _arrow(ax, (26, 8), (26, 12.6))
    ax.text(41, 1.3, "state of the next round", ha="center", fontsize=10, color="#333333")
    _arrow(ax, (36, 24), (36, 17))
    ax.text(35, 21.5, "key", ha="right", fontsize=10, color="#333333")
    _arrow(ax, (44, 24), (44, 17))
    ax.text(45, 21.5, "inputs: the agents' data", fontsize=10, color="#333333")
    return ax


def environment() -> Any:
    """Cooperative navigation by a scripted policy: at the start, and after forty steps."""
    import jax
    import jax.numpy as jnp

    import jaxswarm as js

    env = js.envs.SimpleSpread(num_agents=3)
    step = jax.jit(env.step)
    state, _ = jax.jit(env.reset)(jax.random.key(4))
    left, right = js.plotting.panels(1, 2, width=3.4, height=3.4)[0]
    env.render(state, ax=left)
    left.set_title("reset", loc="left", fontsize=12)
    total = 0.0
    for _ in range(40):
        aim = state.world.landmarks - state.world.position - 0.7 * state.world.velocity
        state, timestep = step(state, jnp.clip(3.0 * aim, -1.0, 1.0))
        total += float(timestep.reward.mean())
    env.render(state, ax=right)
    right.set_title(f"40 steps later; return {total:.0f}", loc="left", fontsize=12)
    return left


def simulate() -> Any:
    """Disagreement on four graphs for five seeds, one program."""
    import jax

    import jaxswarm as js

    graphs = {
        "ring": js.topology.ring(16),
        "torus": js.topology.torus(4, 4),
        "exponential": js.topology.exponential(16),
    }
    W = js.gossip.mixing(js.topology.stack(list(graphs.values())), layout="gather")

    def run(W: Any, key: Any) -> Any:
        def step(key: Any, x: Any, inputs: Any) -> Any:
            x = js.gossip.mix(W, x)
            return x, js.agents.disagreement(x)

        start = jax.random.normal(key, (16, 10))
        return js.rollout(step, start, 20, key=key)[1].info

    seeds = jax.random.split(jax.random.key(0), 5)
    found = jax.jit(lambda W, seeds: js.sweep(run, W, seeds))(W, seeds)
    ax = js.plotting.axes(width=7.6, height=3.2)
    curves = dict(zip(graphs, found, strict=True))
    title = "three graphs × five seeds, one program"
    return js.plotting.disagreement(curves, range(1, 21), title=title, ax=ax)


def devices() -> Any:
    """A ring and a geometric graph split over four devices; cut edges are dark."""
    import numpy as np
    from matplotlib.collections import LineCollection

    import jaxswarm as js

    axes = js.plotting.panels(1, 2, width=3.9, height=3.7)[0]
    graphs = {
        "ring": js.topology.ring(64),
        "geometric": js.topology.random_geometric(64, 0.22, seed=3),
    }
    for ax, (name, graph) in zip(axes, graphs.items(), strict=True):
        at = js.plotting.layout(graph)
        order = js.sharding.partition(graph, 4)
        device = np.empty(64, int)
        device[order] = np.arange(64) // 16
        senders, receivers = np.asarray(graph.senders), np.asarray(graph.receivers)
        is_cut = device[senders] != device[receivers]
        for shown, color, width in ((~is_cut, "#C9CED3", 0.9), (is_cut, "#222222", 1.6)):
            ends = np.stack([at[senders[shown]], at[receivers[shown]]], axis=1)
            ax.add_collection(LineCollection(list(ends), colors=color, linewidths=width, zorder=1))
        colors = [js.plotting.PALETTE[d] for d in device]
        ax.scatter(*at.T, c=colors, s=46, edgecolor="white", linewidth=0.6, zorder=2)
        cut = is_cut.sum() // 2
        ax.set_title(f"{name}: {cut} of {len(senders) // 2} edges cut", loc="left", fontsize=12)
        ax.set_aspect("equal")
        ax.set_axis_off()
    return axes[0]


PICTURES: dict[str, Callable[[], Any]] = {
    "quickstart": quickstart,
    "agents_axis": agents_axis,
    "topology": topology,
    "mixing": mixing,
    "exchange": exchange,
    "algorithm": algorithm,
    "environment": environment,
    "simulate": simulate,
    "devices": devices,
}


def _sketch(*, width: float, height: float, x: tuple[int, int], y: tuple[int, int]) -> Any:
    from jaxswarm import plotting

    ax = plotting.axes(width=width, height=height)
    ax.set(xlim=x, ylim=y)
    ax.set_aspect("equal")
    ax.set_axis_off()
    return ax


def _box(ax: Any, corner: tuple[float, float], title: str, text: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = dict(boxstyle="round,pad=0,rounding_size=1", facecolor="#EAF2F8", edgecolor="#2F7FB8")
    ax.add_patch(FancyBboxPatch(corner, 16, 8, **style))
    ax.text(corner[0] + 8, corner[1] + 4.9, title, ha="center", fontsize=12, weight="bold")
    ax.text(corner[0] + 8, corner[1] + 2.0, text, ha="center", fontsize=8.5, color="#333333")


def _arrow(ax: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    from matplotlib.patches import FancyArrowPatch

    arrow = dict(arrowstyle="-|>", mutation_scale=13, color="#555555", linewidth=1.4)
    ax.add_patch(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **arrow))


def _without_color_bar(ax: Any) -> None:
    for other in list(ax.figure.axes):
        if other.get_label() == "<colorbar>":
            other.remove()
