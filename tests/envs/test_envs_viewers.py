"""Renderings and animations of environments."""

import jax
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from jaxswarm import envs, plotting

ENVIRONMENTS = {
    "Aloha": envs.Aloha,
    "CaveEscape": lambda: envs.CaveEscape(num_agents=2, size=9),
    "CoordinationGame": envs.CoordinationGame,
    "CorridorMaze": lambda: envs.CorridorMaze(num_agents=3),
    "CoverageEnergy": envs.CoverageEnergy,
    "DeepSeaTreasure": lambda: envs.DeepSeaTreasure(num_agents=2),
    "Donations": envs.Donations,
    "FeedEnv": lambda: envs.FeedEnv(num_agents=20),
    "LiveFeedEnv": lambda: envs.LiveFeedEnv(num_agents=20),
    "MultiAgentCrafter": lambda: envs.MultiAgentCrafter(num_agents=3, size=16, chunk=8),
    "Pendulum": lambda: envs.Pendulum(num_agents=3),
    "Porters": envs.Porters,
    "RiskyPointMass": lambda: envs.RiskyPointMass(num_agents=4),
    "SearchAndRescue": lambda: envs.SearchAndRescue(num_agents=3),
    "SimpleSpread": envs.SimpleSpread,
    "SimpleTag": envs.SimpleTag,
    "SumGuessing": envs.SumGuessing,
    "Theatre": envs.Theatre,
    "Pursuit": lambda: envs.swarmbench.make("pursuit", num_agents=6),
    "TwoObjectiveGrid": envs.TwoObjectiveGrid,
}


def pixels(axes):
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).astype(int)


def episode(env, steps):
    policy = envs.random_policy(env.action_spec)
    run = jax.jit(lambda k: envs.unroll(k, env, policy, steps, keep_states=True))
    return run(jax.random.key(3))[1].state


def member(states, t):
    return jax.tree.map(lambda x: x[t], states)


@pytest.mark.slow
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_is_drawn_and_its_state_is_visible(name):
    env = ENVIRONMENTS[name]()
    states = episode(env, 4)
    one = pixels(env.render(member(states, 0)))
    assert (one != 255).any()
    np.testing.assert_array_equal(one, pixels(env.render(member(states, 0))))
    if not isinstance(env, envs.SumGuessing):  # its numbers stay
        assert (one != pixels(env.render(member(states, 3)))).any()


def test_an_episode_is_animated_with_one_frame_per_step(tmp_path):
    env = envs.SimpleSpread()
    states = episode(env, 3)
    env.animate(states, save_path=tmp_path / "films" / "stacked.gif")
    env.animate([member(states, t) for t in range(3)], save_path=tmp_path / "listed.gif")
    with Image.open(tmp_path / "films" / "stacked.gif") as film:
        assert film.n_frames == 3
    stacked, listed = ((tmp_path / n).read_bytes() for n in ("films/stacked.gif", "listed.gif"))
    assert stacked == listed


def test_what_cannot_be_drawn_is_refused(tmp_path):
    env = envs.SimpleSpread()
    states = episode(env, 3)
    with pytest.raises(ValueError, match=r"state: expected a single one, got a batch \(3,\)"):
        env.render(states)
    with pytest.raises(ValueError, match="states: expected at least one"):
        env.animate([])
    with pytest.raises(ValueError, match=r"path: .* \.gif or \.mp4"):
        env.animate(states, save_path=tmp_path / "film.avi")
    with pytest.raises(ValueError, match="states: expected leaves that lead with the steps"):
        env.animate(member(states, 0))
    with pytest.raises(NotImplementedError, match="Blank has no rendering yet"):
        Blank().render(member(states, 0))


class Blank(envs.SimpleSpread):
    draw = envs.SwarmEnvironment.draw


def test_tiles_and_discs_refuse_what_does_not_fit():
    ax = plotting.axes()
    with pytest.raises(ValueError, match=r"colors: .* got none for \[2\]"):
        plotting.tiles(ax, np.array([[0, 2]]), {0: "red"})
    with pytest.raises(ValueError, match=r"codes: expected \[H, W\]"):
        plotting.tiles(ax, np.zeros(3), {0: "red"})
    with pytest.raises(ValueError, match=r"positions: expected \[M, 2\]"):
        plotting.discs(ax, np.zeros(3), 1.0, "red")


def test_jumanji_makes_every_environment_of_this_package_by_name():
    import jumanji

    names = envs.register()
    made = {type(jumanji.make(name)) for name in names}
    assert len(made) == len(names) == len(envs.ENVIRONMENTS)
    assert {kind.__name__ for kind in made} >= set(ENVIRONMENTS)
    assert {task.__name__ for task in made if issubclass(task, envs.swarmbench.SwarmBench)} == {
        "Flocking",
        "Foraging",
        "Pursuit",
        "Synchronization",
        "Transport",
    }
