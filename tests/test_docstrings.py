"""Examples in docstrings run, and what users call first has one."""

import doctest
import importlib
import io
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in (ROOT / "jaxswarm").rglob("*.py")
    if ">>>" in path.read_text(encoding="utf-8")
)
LONG = {
    f"jaxswarm.{name}"
    for name in """
collective.execution
collective.headings
data._sprites
envs.crafter.environment
envs.crafter.generation
envs.environment
envs.maze.environment
envs.maze.families
envs.maze.latent
envs.theatre.environment
envs.swarmbench.arenas
generative._ac_flow
generative._decentralized
generative._experts
generative._flow_matching
generative._preferences
rl.constrained._named
envs.feed.live
envs.feed.environment
envs.maze.generators
network.dht._lookup
network.transport._links
trust.walks._rank
generative._router
language._critic
language._env
language._grpo
language._offline
language._ppo
language._server
language._sft
language._step_dapo
language._steps
learning.supervised
models._functional
models.flow.classifier
models.flow.objectives
models.transformer._beam
models.transformer._families
models.transformer._generate
models.transformer._log_probs
models.transformer._lora
models.transformer._model
models.transformer.serving._server
models.vae._model
models.vae._training
rl._evaluation
rl.curriculum._loop
rl.curriculum._methods
rl._ppo
rl._sac
rl.networked.linear
rl.networked.ppo
rl.networked.sac
rl.networks
rl.offline._named
rl.offline._network
rl.offline._training
rl.offline._trajectories
rl.q_networks
rl.runner
rl.tabular.finite_classes
rl.tabular.least_squares
rl.value_decomposition._named
rl.value_decomposition.mixers
systems.damcs._team
systems.damcs._text
systems.damcs.memory_graph
systems.agent_conductor._conductor
systems.agent_conductor._execution
systems.agent_conductor.world
systems.fantasy_hsi._act
systems.lattica._spread
systems.fantasy_hsi._planner
envs.scenes.families
envs.scenes.navigation
envs.scenes._scene
systems.fortytwo._synthetic
systems.generative_consensus._replicas
systems.generative_consensus._verify
systems.hamlet._perform
systems.hammer.network
systems.hamlet._rehearsal
systems.knexa_fl._distillation
systems.knexa_fl._knexa
systems.knexa_fl._team
systems.meta_inf._meta
systems.matrix.exact
systems.modest.protocol
systems.nora._swarm
systems.nora.actor
systems.sapo._sapo
systems.scaling_agents.engine
systems.sl_mgac._learner
systems.stac._stac
systems.symphony._symphony
trust.obfuscation
trust.split._segments
trust.verify._claims
trust.verify._quantize
""".split()
}
"""Modules whose examples take more than a second."""
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

FIRST = """
agents.initialize agents.mean agents.disagreement simulate rollout sweep Checkpoint
topology.ring topology.torus topology.from_edges topology.stack
gossip.mixing gossip.mix gossip.averaging gossip.chebyshev gossip.push_sum gossip.compressed
gossip.choco gossip.scheduled gossip.attacked gossip.robust.krum gossip.robust.trimmed_mean
gossip.robust.centered_clipping
learning.decentralized learning.dpsgd learning.fedavg learning.local_sgd
learning.gradient_tracking learning.exact_diffusion learning.evaluation
data.load data.shards data.dirichlet_over_agents data.minibatches models.mlp models.functional
data.gaussian_grid data.sprites models.flow.from_network models.flow.loss models.flow.sample
models.flow.marginal_velocity generative.flow_matching generative.ac_flow
generative.orw_cfm generative.decentralized
generative.experts generative.cluster generative.router generative.expert_weights
network.churn network.link_loss network.combine network.crdt.anti_entropy
network.crdt.or_set network.crdt.g_counter network.dht.routing_table network.dht.lookup
network.transport.peers network.transport.links network.transport.over network.blocks.fetch
network.transport.requests systems.lattica.spread network.node.Node network.node.encode
swarms.vicsek swarms.boids swarms.kuramoto
space.Space envs.SimpleSpread envs.unroll
rl.tabular.combination_lock rl.tabular.least_squares_critic systems.nora.nora systems.nora.swarm
rl.ppo rl.ippo rl.mappo rl.sac rl.vdn rl.qmix rl.mo_mix rl.pareto.hypervolume
rl.value_network_for rl.network_for rl.q_network_for rl.evaluate
rl.offline.dqc rl.offline.trajectories rl.offline.chunks
rl.constrained.tscac rl.constrained.transitions rl.constrained.candidate_network
rl.constrained.regularized_policy
coordination.workers coordination.task_graph coordination.bandits.linucb
models.transformer.from_config models.transformer.generate data.tokenizers.character
data.verifiable.to_arrays language.step_dapo language.fit_critic language.TokenEnv
language.grpo language.sft language.generate language.openai_compatible language.Tape
language.worker_calls language.server.start coordination.host_backend
systems.hamlet.perform systems.hamlet.settings systems.hamlet.stage_plays systems.hamlet.Rehearsal
envs.Theatre envs.theatre.blueprint envs.theatre.plan envs.theatre.write envs.theatre.build_stage
systems.fantasy_hsi.act systems.fantasy_hsi.goals envs.scenes.draw generative.dpo
systems.fortytwo.text_round systems.sapo.text_packets
systems.meta_inf.fit systems.meta_inf.table systems.meta_inf.features
systems.meta_inf.simulate_cells models.transformer.serving.server
systems.agent_conductor.conductor systems.agent_conductor.role_graph
systems.knexa_fl.knexa systems.knexa_fl.matchmaker systems.knexa_fl.team
envs.MultiAgentCrafter systems.damcs.team systems.damcs.play_text
systems.sl_mgac.sl_mgac systems.sl_mgac.log_rows systems.sl_mgac.two_hot
trust.graphs.weighted_graph trust.graphs.trust_network trust.graphs.sybil_attack
trust.walks.rank trust.walks.reputation trust.walks.trust_walks
trust.hashes.perceptual trust.hashes.random_projection trust.hashes.histogram
trust.consensus.majority trust.consensus.threshold trust.consensus.agree trust.consensus.commit
trust.committees.decide trust.committees.draw_committee trust.committees.publish
trust.split.cut trust.split.gradients trust.attestation.SimulatedAttestedExecutor
trust.obfuscation.break_permutation
trust.consensus.Claim trust.profiles.run systems.generative_consensus.verify
systems.generative_consensus.replicas models.transformer.beam_search statistics.clopper_pearson
trust.verify.quantize trust.verify.quantized_transformer trust.verify.prove trust.verify.check
trust.verify.freivalds trust.verify.Transcript trust.verify.pedersen.commit_layer
statistics.compare statistics.summarize plotting.curves sharding.shard
""".split()


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=pytest.mark.slow) if x in LONG else x for x in MODULES]
)
def test_examples_run(name):
    module = importlib.import_module(name)
    report = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples, f"{name}: '>>>' stands where no example is found"
    with jax.numpy_rank_promotion("allow"):  # as users run them
        for example in examples:
            runner.run(example, out=report.write, clear_globs=True)
    assert not runner.failures, report.getvalue()


def test_long_examples_exist():
    assert set(MODULES) >= LONG


@pytest.mark.parametrize("name", FIRST)
def test_what_users_call_first_has_an_example(name):
    import jaxswarm

    value = jaxswarm
    for part in name.split("."):
        value = getattr(value, part)
    assert ">>>" in (value.__doc__ or ""), f"jaxswarm.{name} has no example"
