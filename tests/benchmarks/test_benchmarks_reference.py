"""Reference results: others' scripts are run as they are, and all forms are measured alike."""

import sys

import jax
import jax.numpy as jnp
import pytest

from benchmarks.reference import scripts
from benchmarks.reference.sections import BRAX, CARTPOLE, SECTIONS
from benchmarks.reference.training import Training, measure, table

SCRIPT = '''
"""As PureJaxRL's: a log of every step, of which only finished episodes count."""
import jax.numpy as jnp
import navix
from wrappers import LENGTH

def make_train(config):
    updates = config["TOTAL_TIMESTEPS"] // config["NUM_STEPS"] // config["NUM_ENVS"]

    def train(rng):
        shape = (updates, config["NUM_STEPS"], config["NUM_ENVS"])
        ended = jnp.broadcast_to(jnp.arange(config["NUM_STEPS"])[:, None] % LENGTH == 1, shape)
        returns = jnp.broadcast_to(jnp.arange(updates)[:, None, None] + 10.0, shape)
        log = {"returned_episode": ended, "returned_episode_returns": returns}
        return {"metrics": log}

    return train
'''


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(scripts, "installed", lambda name: False)  # brax takes seconds, and warns
    folder = tmp_path / "purejaxrl"
    folder.mkdir()
    (folder / "ppo.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "wrappers.py").write_text("import brax.envs\nLENGTH = 50\n", encoding="utf-8")
    return tmp_path


def test_a_script_is_trained_with_our_numbers(checkout):
    before = set(sys.modules), list(sys.path)
    form = scripts.purejaxrl(checkout, "ppo.py", "CartPole-v1", CARTPOLE, 2_000)
    assert form.steps == CARTPOLE.iterations(2_000) * 4 * 128 == 1_536
    assert jax.jit(form.train)(jax.random.key(0)).tolist() == [10.0, 11.0, 12.0]
    assert not {"navix", "wrappers"} & (set(sys.modules) - before[0])
    assert sys.path == before[1]


def test_a_checkout_without_the_script_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"--purejaxrl: expected a checkout with .*ppo\.py"):
        scripts.purejaxrl(tmp_path, "ppo.py", "CartPole-v1", CARTPOLE, 1_000)
    with pytest.raises(ValueError, match="--jaxmarl"):
        scripts.jaxmarl(tmp_path, CARTPOLE, 1_000)


def test_scripts_know_one_clip_for_ratios_and_values():
    for setting in (CARTPOLE, BRAX):
        assert setting.hyperparameters.value_clip == setting.hyperparameters.clip


def test_rows_say_what_they_measured():
    def train(key):
        del key
        return jnp.where(jnp.arange(40) % 2 == 1, jnp.arange(40.0), 0.0)  # even: no episode ended

    def never(key):
        del key
        return jnp.zeros(40)

    forms = [Training("ours", train, 4_000, -5.0), Training("theirs", never, 4_000)]
    ours, theirs = measure(forms, seeds=2)
    assert ours["returns"] == [38.0, 38.0]
    assert ours["steps_per_s"] > 0
    assert jnp.isnan(theirs["median_return"])
    shown = table([row | {"setting": "x"} for row in (ours, theirs)])
    assert "random -5.00" in shown
    assert set(SECTIONS) == {"spread", "pendulum", "gymnax", "brax"}
