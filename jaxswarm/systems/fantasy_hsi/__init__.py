"""FantasyHSI: navigator, planner and critic drive a motion generator through a scene, closed loop.

In short::

    scene = envs.scenes.draw(key)
    goals = fantasy_hsi.goals(scene, ("pick", 1), ("place", 2))
    generate = fantasy_hsi.flow_generator(model, params, scale)
    episode, steps = fantasy_hsi.act(key, scene, goals, body, generate)
"""

from jaxswarm.systems.fantasy_hsi._clips import (
    CONDITION_SIZE,
    FEATURE_POINTS,
    NUM_FEATURES,
    Clips,
    condition_of,
    draw_clips,
    scene_features,
)
from jaxswarm.systems.fantasy_hsi._critic import (
    Critic,
    Tolerances,
    Verdict,
    check_tolerances,
    geometric_critic,
)
from jaxswarm.systems.fantasy_hsi._figure import (
    BONE_LENGTHS,
    BONES,
    JOINTS,
    NUM_JOINTS,
    assemble,
    compose,
    pose_of,
    relative_pose,
    standing,
    to_local,
    to_world,
)
from jaxswarm.systems.fantasy_hsi._generator import (
    MOTION_SHAPE,
    Generate,
    MotionScale,
    decode,
    encode,
    exact_generator,
    flow_generator,
    motion_model,
    motion_scale,
    training_batch,
)
from jaxswarm.systems.fantasy_hsi._graph import (
    ACCEPTED,
    CORRECTIVE,
    DEVIATED,
    EDGE_KINDS,
    REJECTED,
    MotionGraph,
    append,
    motion_graph,
)
from jaxswarm.systems.fantasy_hsi._loop import (
    Episode,
    OpenOutcome,
    StepInfo,
    closed_loop,
    open_loop,
    start,
)
from jaxswarm.systems.fantasy_hsi._planner import (
    Action,
    Goals,
    Plan,
    Planner,
    goals,
    grammar_planner,
    plan,
)
from jaxswarm.systems.fantasy_hsi._realism import Realism, bone_error, foot_skate, realism
from jaxswarm.systems.fantasy_hsi._tasks import Tasks, draw_tasks
from jaxswarm.systems.fantasy_hsi._walker import (
    NUM_FRAMES,
    STOP,
    VERBS,
    Style,
    draw_style,
    duration,
    exact_style,
    walk,
)
