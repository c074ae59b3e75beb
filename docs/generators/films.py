"""The films of the start page, made with the library: a flock, a pursuit, accuracy on a graph.

They are stored in ``docs/films`` (building the pages does not make them again)::

    python -m docs.generators.films            # about a minute of CPU
    python -m docs.generators.films flock
"""

import sys
from collections.abc import Callable
from pathlib import Path

from docs.generators.files import DOCS

FOLDER = DOCS / "films"
_DPI = 64


def flock(path: Path) -> None:
    """Boids in a periodic box: from random headings to flocks."""
    import jax

    import jaxswarm as js

    dynamics = js.swarms.boids(js.space.Space((20.0, 20.0)), 150)

    def step(state, _):
        state, _ = dynamics.step(jax.random.key(1), state)
        return state, (state.positions, state.velocities)

    start = dynamics.init(jax.random.key(0))
    _, (position, velocity) = jax.jit(lambda s: jax.lax.scan(step, s, length=120))(start)
    js.plotting.animate(position[::2], velocity[::2], 1000 / 15, save_path=path, box=20.0, dpi=_DPI)


def pursuit(path: Path) -> None:
    """Ten agents with local views that surround a prey, by the scripted policy."""
    import jax

    import jaxswarm as js

    env = js.envs.swarmbench.make("pursuit", num_agents=10, size=10, view=5)
    policy = js.envs.swarmbench.scripted_policy(env)

    def play(key):
        return js.envs.unroll(key, env, policy, 40, keep_states=True)[1].state

    states = jax.jit(play)(jax.random.key(3))
    env.animate(states, interval=200.0, save_path=path)


def accuracy(path: Path) -> None:
    """A hundred agents, fourteen digits each, learn by D-PSGD on a random geometric graph."""
    import jax
    import numpy as np
    import optax

    import jaxswarm as js

    n = 100
    graph = js.topology.random_geometric(n, 0.17, seed=1)
    split = js.data.load("digits")
    model = js.models.functional(js.models.mlp(32, 10), split.train.features[:1])
    shares = js.data.dirichlet_over_agents(split.train.labels, n, alpha=0.3)
    learner = js.learning.dpsgd(
        js.learning.classification_loss(model),
        js.gossip.mixing(graph),
        local=optax.sgd(0.2),
        sample=js.data.minibatches(16),
    )
    start = learner.init(js.agents.initialize(jax.random.key(1), model.init, n, shared=True))
    _, records = js.simulate(
        learner.step,
        start,
        600,
        key=jax.random.key(2),
        inputs=js.data.shards(split.train, shares),
        every=10,
        evaluate=js.learning.evaluation(model, split.test),
        progress=False,
    )
    at = js.plotting.layout(graph)

    def draw(ax, frame):
        score = np.asarray(records.evaluation.accuracy[frame])
        js.plotting.graph(
            graph,
            score,
            positions=at,
            limits=(0.0, 1.0),
            title=f"round {records.round[frame]}: mean accuracy {score.mean():.2f}",
            node_size=60,
            ax=ax,
        )
        ax.collections[-1].colorbar.remove()  # dark is 0, bright is 1

    js.plotting.movie(draw, len(records.round), save_path=path, width=4, height=4.2, dpi=80)


FILMS: dict[str, Callable[[Path], None]] = {
    "flock": flock,
    "pursuit": pursuit,
    "accuracy": accuracy,
}


def main(names: list[str]) -> None:
    """Make the films of these names; all by default."""
    for name in names or FILMS:
        path = FOLDER / f"{name}.gif"
        FILMS[name](path)
        _fewer_colors(path)
        print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB", flush=True)


def _fewer_colors(path: Path) -> None:
    """Write the film again with one palette of 64 colours and without what does not change."""
    from PIL import Image, ImageSequence

    with Image.open(path) as film:
        duration = film.info["duration"]
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(film)]
    palette = frames[-1].quantize(64)
    frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True
    )


if __name__ == "__main__":
    main(sys.argv[1:])
