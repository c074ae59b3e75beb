"""Wrong arguments of the systems made of coordination blocks meet an error that names them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import refusals

from jaxswarm import coordination, network, topology
from jaxswarm.coordination import bandits
from jaxswarm.systems import agent_conductor, agentnet, matrix, scaling_agents, symphony_coord
from jaxswarm.systems.sybilwall import with_sybils
from tests.later import Later

NAN, INF = refusals.NAN, refusals.INF
KEY = jax.random.key(0)
RING = topology.ring(6)

WORLD = Later(agentnet.population, KEY, RING, 3, num_topics=2, size=4)
SYSTEM = Later(agentnet.agentnet, WORLD, capacity=2, retrieved=1, hops=2)
START = Later(SYSTEM.init)
TASK = Later(lambda: jax.tree.map(lambda x: x[0], agentnet.sample_tasks(KEY, WORLD.value, 2)))
Evolution, Choices = agentnet.Evolution, agentnet.Choices
EVOLUTIONS = [3, None, "x", *(Evolution(**{field: NAN}) for field in Evolution._fields)]
AGENTNET = {
    "population": (
        agentnet.population,
        {"key": KEY, "topology": RING, "num_types": 3},
        {
            "key": "key",
            "topology": "thing",
            "num_types": "size",
            "num_topics": "size",
            "size": "size",
            "specialist_skill": "number",
            "other_skill": "number",
        },
    ),
    "sample_tasks": (
        agentnet.sample_tasks,
        {"key": KEY, "world": WORLD, "count": 2},
        {
            "key": "key",
            "world": "thing",
            "count": "size",
            "parts": "size",
            "part_probability": "probability",
        },
    ),
    "agentnet": (
        agentnet.agentnet,
        {"world": WORLD},
        {
            "world": "thing",
            "rule": "name",
            "capacity": "size",
            "retrieved": [99, *refusals.BAD["size"]],
            "hops": "size",
            "capability": [np.full((6, 3), NAN), np.ones((2, 3)), "x"],
            "backend": [3, "x"],
        },
    ),
    "check_evolution": (
        agentnet.check_evolution,
        {"evolution": Evolution()},
        {"evolution": EVOLUTIONS[:3]},
    ),
    "step": (
        SYSTEM.step,
        {
            "key": KEY,
            "state": START,
            "task": TASK,
            "choices": Choices(),
            "alive": np.ones(6, bool),
            "learning": True,
        },
        {"choices": "thing", "alive": "mask", "learning": [2, "x", None]},
    ),
}

POOL = Later(coordination.workers, [[0.9, 0.1], [0.2, 0.8]])
MATCH = np.full((2, 2), 0.5)
TABLE = [np.ones((3, 2)), np.full((2, 2), NAN), np.full((2, 2), 2.0), "x", 3]
WORKERS = Later(symphony_coord.world, POOL, MATCH, types=[0.5, 0.5])
FOUND = Later(coordination.flood_search, RING, [0, 2], [1, 3], ttl=2)
LINUCB = Later(bandits.linucb, 6)
ROUTER = Later(symphony_coord.router, FOUND, LINUCB, shortlist=2)
ROUTED = Later(ROUTER.init, WORKERS)
Settings, Load = symphony_coord.RouterSettings, coordination.LoadModel
SYMPHONY = {
    "world": (
        symphony_coord.world,
        {"pool": POOL, "match": MATCH, "types": [0.5, 0.5]},
        {
            "pool": "thing",
            "match": TABLE,
            "skill_after": TABLE,
            "match_after": TABLE,
            "types": [[0.5, 0.6], [NAN, 1.0], [1.0], "x", None],
            "static": [[0.5, 0], [9, 0], [0], "x"],
            "shock": "count",
            "slowdown_after": [[NAN, 1.0], [-1.0, 1.0], [1.0], "x"],
        },
    ),
    "router": (
        symphony_coord.router,
        {"candidates": FOUND, "bandit": LINUCB, "shortlist": 2},
        {
            "candidates": ["x", 3, None, Later(FOUND._replace, valid=np.ones(3))],
            "bandit": ["x", 3, None, Later(bandits.linucb, 5)],
            "shortlist": [3, *refusals.BAD["size"]],
            "delay": "count",
            "gossip": [3, "x"],
            "screening": "name",
            "settings": "thing",
            "load_model": "thing",
            "backend": [3, "x"],
            "truths": [[0, 1], [[0.5, 0.5]], "x"],
        },
    ),
    "init": (ROUTER.init, {"world": WORKERS}, {"world": "thing"}),
    "step": (
        ROUTER.step,
        {"key": KEY, "world": WORKERS, "state": ROUTED, "index": 0, "policy": 0},
        {
            "key": "key",
            "world": "thing",
            "index": [-1, 0.5, NAN, "x"],
            "policy": [6, -1, 0.5, NAN, "linucb"],
        },
    ),
}

BACKEND = Later(coordination.host_backend, lambda call: {"answer": 0}, 2, num_answers=2)
FLOW = matrix.flow([[0.0, 1.0]], servers=2, actors=2)
WORK = Later(lambda: jax.jit(lambda k: matrix.sample_work(k, FLOW, 4, max_hops=1))(KEY))
PLAN = Later(network.fault_plan, [(1, "crash", 0)], 2)
ODD_WORK = ["x", 3, None, *(
    Later(lambda field=field, change=change: WORK.value._replace(
        **{field: change(np.asarray(getattr(WORK.value, field)))}
    ))
    for field, change in (
        ("role", lambda x: x + 9), ("service", lambda x: x * np.float32(NAN)),
        ("hops", lambda x: x + 9), ("pick", lambda x: x + np.float32(1.0)),
    )
)]  # fmt: skip
MATRIX = {
    "flow": (
        matrix.flow,
        {"route": [[0.0, 1.0]]},
        {
            "route": [[[1.0, 0.0]], [[0.5, 0.6]], [[NAN, 1.0]], [1.0], "x", None, [[]]],
            "service": "positive",
            "field_size": "positive",
            "pool": [1, -1, 0.5, NAN, "x", [0, 0]],
            "actors": [0, 2.5, NAN, True, "x", None, [1, 1], [0.5]],
            "servers": [0, 2.5, NAN, True, "x", None, [], [0.5]],
        },
    ),
    "sample_work": (
        matrix.sample_work,
        {"key": KEY, "flow": FLOW, "num_rows": 3},
        {
            "key": "key",
            "flow": "thing",
            "num_rows": "size",
            "max_hops": "size",
            **dict.fromkeys(("hop_spread", "row_spread", "size_spread"), "nonnegative"),
        },
    ),
    "answered_work": (
        matrix.answered_work,
        {"key": KEY, "work": WORK, "flow": FLOW, "backend": BACKEND},
        {"key": "key", "work": ODD_WORK, "flow": "thing", "backend": "thing"},
    ),
    "carried_bytes": (
        matrix.carried_bytes,
        {"work": WORK},
        {
            "work": "thing",
            "offload": [2, "x", None],
            **dict.fromkeys(("threshold", "reference", "header"), "nonnegative"),
        },
    ),
    "num_stations": (matrix.num_stations, {"flow": FLOW}, {"flow": "thing"}),
    "saturation": (
        matrix.saturation,
        {"flow": FLOW, "scheduler": "p2p", "tau": 0.1},
        {"flow": "thing", "scheduler": "name", "tau": "positive"},
    ),
    "crashes": (
        matrix.crashes,
        {"plan": PLAN, "flow": FLOW},
        {
            "plan": [
                "x",
                3,
                None,
                Later(network.fault_plan, [], 3),
                Later(network.fault_plan, [(0, "rest", 0)], 2),
            ],
            "flow": "thing",
            "round_length": "positive",
        },
    ),
    "run": (
        matrix.run,
        {"work": WORK, "flow": FLOW, "settings": matrix.RunSettings(concurrency=2), "slots": 2},
        {
            "work": ODD_WORK,
            "flow": "thing",
            "settings": "thing",
            "slots": "size",
            "crashes": [
                "x",
                3,
                matrix.Crashes([NAN], [0]),
                matrix.Crashes([1.0], [9]),
                matrix.Crashes([2.0, 1.0], [0, 0]),
                matrix.Crashes([1.0], [0.5]),
            ],
        },
    ),
    "run_ticks": (
        matrix.run_ticks,
        {"work": WORK, "flow": FLOW, "slots": 2, "num_steps": 2},
        {
            "work": ODD_WORK,
            "flow": "thing",
            "scheduler": [3, -1, 0.5, NAN, "p2p"],
            "slots": "size",
            "num_steps": "size",
            "tau": "positive",
            "dt": "positive",
            "capacity": "optional",
        },
    ),
}

GRAPH = Later(coordination.layered_task, 2, 1, 1)
ONE = scaling_agents.architecture("single", 1)
TEAM = Later(scaling_agents.team, 1)
PAIR = Later(scaling_agents.team, 2)
TRACE = Later(scaling_agents.run_task, KEY, GRAPH, ONE, TEAM, 0.9)
ROWS, SCORES = np.random.default_rng(0).normal(size=(30, 3)), np.arange(30.0)
SINGLES = {
    name: np.random.default_rng(i).uniform(0.1, 1.0, 60)
    for i, name in enumerate(
        ("ability", "tools", "agents", "overhead", "density", "redundancy", "efficiency",
         "amplification", "single")
    )
}  # fmt: skip
FITTED = Later(scaling_agents.fit, ROWS, SCORES)
NUMBERS = [np.full((30, 3), NAN), np.ones(3), "x", None]
SCALING = {
    "architecture": (
        scaling_agents.architecture,
        {"name": "hybrid", "members": 3},
        {
            "name": "name",
            "members": "size",
            "peers": [3, -1, 0.5, NAN, "x", None],
            "rounds": [0, 4, 0.5, NAN, "x", None],
        },
    ),
    "run_independent": (
        scaling_agents.run_independent,
        {"key": KEY, "graph": GRAPH, "members": 2, "pool": PAIR, "ability": 0.9},
        {
            "key": "key",
            "graph": "thing",
            "members": [1, 3, 0.5, NAN, "x", None],
            "pool": ["x", 3, None],
            "ability": "probability",
            "rounds": [0, 4, 0.5, NAN, "x", None],
            "vote": [2, "x", None],
            "backend": [3, "x"],
        },
    ),
    "team": (
        scaling_agents.team,
        {"size": 2},
        {"size": "size", "num_skills": "size", "window": "positive", "tokens": "positive"},
    ),
    "run_task": (
        scaling_agents.run_task,
        {"key": KEY, "graph": GRAPH, "arch": ONE, "pool": TEAM, "ability": 0.9},
        {
            "key": "key",
            "graph": "thing",
            "arch": "thing",
            "pool": ["x", 3, None, Later(scaling_agents.team, 1, 2)],
            "ability": "probability",
            "tools": "nonnegative",
            "observability": "probability",
            "task": "count",
            "costs": "thing",
            "backend": [3, "x"],
        },
    ),
    "measures": (
        scaling_agents.measures,
        {"trace": TRACE, "single": TRACE},
        {"trace": "thing", "single": "thing"},
    ),
    "design": (
        scaling_agents.design,
        SINGLES,
        {name: [np.full(60, NAN), np.ones(3), "x", None] for name in SINGLES if name != "ability"}
        | {
            key: [-np.ones(60), np.full(60, NAN), "x"]
            for key in ("tools", "agents", "amplification")
        }
        | {"ability": [np.full(60, NAN), "x", None]},
    ),
    "fit": (
        scaling_agents.fit,
        {"table": ROWS, "performance": SCORES},
        {"table": NUMBERS, "performance": NUMBERS, "ridge": "nonnegative"},
    ),
    "predict": (
        scaling_agents.predict,
        {"found": FITTED, "table": ROWS},
        {"found": "thing", "table": [np.ones((2, 5)), *NUMBERS]},
    ),
    "cross_validated": (
        scaling_agents.cross_validated,
        {"table": ROWS, "performance": SCORES, "groups": np.arange(30) % 3},
        {
            "table": NUMBERS,
            "performance": NUMBERS,
            "ridge": "nonnegative",
            "groups": [np.zeros(30, int), np.zeros(3, int), np.full(30, NAN), "x", None],
        },
    ),
    "select": (
        scaling_agents.select,
        {"features": ROWS, "performance": ROWS, "train": np.arange(30) < 20},
        {
            "features": NUMBERS,
            "performance": NUMBERS,
            "ridge": "nonnegative",
            "train": [[0, 3], np.ones(30), np.ones(30, bool), np.ones(3, bool), "x", None],
        },
    ),
}

TEAM_GRAPH = Later(agent_conductor.single_coder, 4)
CODE_TASKS = Later(agent_conductor.sample_tasks, KEY, 2)
ROLE_BACKEND = Later(agent_conductor.role_backend)
TWO_GRAPHS = Later(lambda: agent_conductor.stacked([TEAM_GRAPH.value] * 2))
CONDUCTED = Later(agent_conductor.conductor)
BOUNDS = [[0.5], "x", None]
RANGES = [((0.5, 0.2),) * 3, ((0.5, 2.0),) * 3, ((NAN, 0.5),) * 3, "x", None, 0.5]
CONDUCTOR = {
    "role_graph": (
        agent_conductor.role_graph,
        {"steps": [[("coding", [])]]},
        {
            "steps": [3, None, "x", [], [[]], [["coding"]]],
            "slots": "size",
            "max_nodes": [0, 0.5, 99],
        },
    ),
    **{
        name: (getattr(agent_conductor, name), {"graph": TEAM_GRAPH}, {"graph": "thing"})
        for name in ("occupied", "layers", "edges", "graph_size", "task_graph_of")
    },
    "format_error": (
        agent_conductor.format_error,
        {"graph": TEAM_GRAPH, "max_nodes": 4},
        {"graph": "thing", "max_nodes": BOUNDS},
    ),
    "sparsity": (
        agent_conductor.sparsity,
        {"graph": TEAM_GRAPH, "max_nodes": 4},
        {"graph": "thing", "max_nodes": [0, -1, *BOUNDS]},
    ),
    "graph_reward": (
        agent_conductor.graph_reward,
        {"graph": TEAM_GRAPH, "max_nodes": 4},
        {"graph": "thing", "max_nodes": [0, *BOUNDS], "weight": "nonnegative"},
    ),
    "reward_range": (agent_conductor.reward_range, {"max_nodes": 4}, {"max_nodes": [0, -1, 0.5]}),
    "stacked": (agent_conductor.stacked, {"graphs": [TEAM_GRAPH]}, {"graphs": [[], 3, None, "x"]}),
    "random_graphs": (
        agent_conductor.random_graphs,
        {"key": KEY, "max_nodes": np.array([2, 2]), "slots": 4},
        {"key": "key", "max_nodes": [0, [0], [9], *BOUNDS], "slots": "size", "exact": "flag"},
    ),
    "single_coder": (agent_conductor.single_coder, {}, {"slots": "size"}),
    "chain": (agent_conductor.chain, {}, {"slots": "size"}),
    "full_mesh": (
        agent_conductor.full_mesh,
        {},
        {"layers": ["x", 3, None, [["x"]]], "slots": "size"},
    ),
    "star": (
        agent_conductor.star,
        {"specialists": ["planning"]},
        {"specialists": ["x", 3, None, ["x"]], "terminal": "name", "slots": "size"},
    ),
    "TaskMix": (
        agent_conductor.TaskMix,
        {},
        {
            "shares": [(-1, 1, 1), (0, 0, 0), (1, 1), "x", None],
            "skills": [(0, 1, 1, 1), (1, 1), "x", None],
            "required": [(0, 1, 1), (1, 5, 1), (1, 1), "x", None],
            "implementation": RANGES,
            "others": RANGES,
            "feature_noise": "nonnegative",
            "difficulty_noise": "nonnegative",
            "tests": "size",
        },
    ),
    "sample_tasks": (
        agent_conductor.sample_tasks,
        {"key": KEY, "count": 2},
        {"key": "key", "count": "size", "mix": "thing", "first": "count"},
    ),
    "role_workers": (
        agent_conductor.role_workers,
        {},
        {"reliability": [-0.1, 1.5, NAN, "x", [0.5, 0.5]]},
    ),
    "role_backend": (
        agent_conductor.role_backend,
        {},
        {"reliability": [-0.1, 1.5, NAN, "x", [0.5, 0.5]]},
    ),
    "no_program": (agent_conductor.no_program, {"count": 2}, {"count": "size"}),
    "judge": (
        agent_conductor.judge,
        {"tasks": CODE_TASKS, "evidence": np.ones((2, 5))},
        {"tasks": "thing", "evidence": [np.ones(5), np.ones((3, 5)), "x", None]},
    ),
    "execute": (
        agent_conductor.execute,
        {
            "key": KEY,
            "world": agent_conductor.CodeWorld(),
            "backend": ROLE_BACKEND,
            "state": None,
            "tasks": CODE_TASKS,
            "graph": TWO_GRAPHS,
        },
        {
            "key": "key",
            "world": "thing",
            "backend": "thing",
            "tasks": "thing",
            "graph": ["x", 3, None, TEAM_GRAPH],
            "max_nodes": BOUNDS[:2],
            "program": ["x", 3],
            "event": [0.5, -1, "x", None],
            "active": [np.ones(3, bool), np.ones(2), "x"],
        },
    ),
    "conductor": (
        agent_conductor.conductor,
        {},
        {
            "backend": ["x", 3],
            "world": "thing",
            "slots": "size",
            "max_nodes": [(4, 7), (0, 7, 10), (7, 4, 10), (4, 7, 11), "x", None],
            "width": "size",
            "optimizer": ["x", 3],
            "group_size": [1, *refusals.BAD["size"]],
            "rewards": "thing",
            "clip_low": "probability",
            "clip_high": "nonnegative",
            "num_updates": "size",
            "kl_weight": "nonnegative",
        },
    ),
}

SYBILS = {
    "with_sybils": (
        with_sybils,
        {"honest": RING, "density": 1.0},
        {
            "honest": "thing",
            "density": "nonnegative",
            "max_degree": "size",
            "victims": refusals.BAD["indices"],
            "total": [6, 2.5, 10.5, NAN, "x"],
        },
    ),
}

TABLES = {
    "agent_conductor": (agent_conductor, CONDUCTOR),
    "agentnet": (agentnet, AGENTNET),
    "symphony_coord": (symphony_coord, SYMPHONY),
    "matrix": (matrix, MATRIX),
    "scaling_agents": (scaling_agents, SCALING),
    "sybilwall": (None, SYBILS),
}


@pytest.mark.parametrize(
    ("system", "name"), [(system, name) for system, (_, table) in TABLES.items() for name in table]
)
def test_wrong_arguments_are_refused_by_name(system, name):
    assert refusals.refusals(TABLES[system][1], name) == []


@pytest.mark.parametrize("system", [system for system, (module, _) in TABLES.items() if module])
def test_every_public_function_is_tried(system):
    module, table = TABLES[system]
    assert refusals.functions(module) - set(table) == set()


FIELDS = {
    "code world": (
        lambda world: agent_conductor.conductor(world=world), agent_conductor.CodeWorld(),
        [NAN, "x", -1.0],
    ),
    "conductor's rewards": (
        lambda rewards: agent_conductor.conductor(rewards=rewards), agent_conductor.Rewards(),
        [NAN, "x", INF],
    ),
    "conductor's options": (
        lambda options: CONDUCTED.value.plan(KEY, None, np.zeros((1, 6)), options),
        agent_conductor.Options(), [NAN, "x", 0.5 - 1.0],
    ),
    "evolution": (agentnet.check_evolution, Evolution(), [NAN, "x", INF]),
    "choices": (
        lambda choices: SYSTEM.value.step(
            KEY, START.value, TASK.value, choices, np.ones(6, bool), True
        ),
        Choices(), [2, "x", 0.5],
    ),
    "settings": (
        lambda settings: symphony_coord.router(
            FOUND.value, LINUCB.value, shortlist=2, settings=settings
        ),
        Settings(), [NAN, "x", -1.0],
    ),
    "load_model": (
        lambda load: symphony_coord.router(
            FOUND.value, LINUCB.value, shortlist=2, load_model=load
        ),
        Load(), [NAN, "x", -1.0],
    ),
    "run settings": (
        lambda settings: matrix.run(WORK.value, FLOW, settings, slots=64), matrix.RunSettings(),
        [NAN, "x", -1.0],
    ),
    "costs": (
        lambda costs: scaling_agents.run_task(
            KEY, GRAPH.value, ONE, TEAM.value, 0.9, costs=costs
        ),
        scaling_agents.Costs(), [NAN, "x", -1.0],
    ),
    "architecture": (
        lambda arch: scaling_agents.run_task(KEY, GRAPH.value, arch, TEAM.value, 0.9), ONE,
        [NAN, "x", -1],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FIELDS)
def test_every_number_of_a_set_of_settings_is_checked(case):
    use, good, bads = FIELDS[case]
    for field in good._fields:
        for bad in bads:
            with pytest.raises(ValueError, match=field):
                use(good._replace(**{field: bad}))


@pytest.mark.slow
def test_without_a_living_agent_nothing_is_executed_or_learnt():
    step = jax.jit(SYSTEM.value.step)
    for router in (False, True):
        choices = Choices(router=jnp.asarray(router))
        state, info = step(
            KEY, START.value, TASK.value, choices, jnp.zeros(6, bool), jnp.bool_(True)
        )
        jax.tree.map(np.testing.assert_array_equal, state, START.value)
        assert float(info.success) == 0.0
        assert (np.asarray(info.agent) == -1).all()
        assert int(info.hops) == 0


@pytest.mark.parametrize("rule", agentnet.RULES)
def test_a_dead_agent_s_nan_changes_nothing_for_the_living(rule):
    system = agentnet.agentnet(WORLD.value, rule=rule, capacity=2, retrieved=1, hops=2)
    step = jax.jit(system.step)
    alive = jnp.arange(6) != 2
    lost = system.init()
    lost = lost._replace(capability=lost.capability.at[2].set(jnp.nan))
    for i in range(2):
        lost, info = step(jax.random.key(i), lost, TASK.value, Choices(), alive, jnp.bool_(True))
        assert 2 not in np.asarray(info.agent)
    rest = np.delete(np.asarray(lost.capability), 2, axis=0)
    assert np.isfinite(rest).all()
    assert np.isnan(np.asarray(lost.capability)[2]).all()
