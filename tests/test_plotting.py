"""Every plot is rendered and read back: lines, scales, colours, gaps, files."""

import inspect
import re

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection

from jaxswarm import plotting
from jaxswarm.statistics import compare
from jaxswarm.topology.graph import Topology, from_edges


@pytest.fixture
def series():
    generator = np.random.default_rng(0)
    return {name: generator.random((4, 20)) + 0.1 for name in ("ring", "torus", "isolated")}


def _ring(n: int) -> Topology:
    return from_edges([(i, (i + 1) % n) for i in range(n)], n, offsets=(1, n - 1), name="ring")


def _tree(n: int) -> Topology:
    return from_edges([((i - 1) // 2, i) for i in range(1, n)], n, name="tree")


def _texts(ax) -> dict[str, float]:
    """Heights of names: where a line leads to them, else where they are anchored."""
    return {
        text.get_text(): float((text.xyann if text.arrow_patch else text.xy)[1])
        for text in ax.texts
    }


def _picture(path) -> np.ndarray:
    from matplotlib.image import imread

    return imread(path)


def test_curves_draw_medians_bands_and_names(series, tmp_path):
    ax = plotting.curves(series, np.arange(20) * 5, ylabel="accuracy", title="Title")
    assert len(ax.lines) == 3
    assert len(ax.collections) == 3
    np.testing.assert_allclose(ax.lines[0].get_ydata(), np.median(series["ring"], axis=0))
    assert len({line.get_color() for line in ax.lines}) == 3
    assert set(series) <= set(_texts(ax))
    picture = _picture(plotting.save(ax, tmp_path / "deep" / "curves.png"))
    assert picture.std() > 0.02


def test_curve_names_do_not_overlap(tmp_path):
    ax = plotting.curves({f"arm {k}": np.full((2, 5), 0.5) for k in range(4)})
    heights = sorted(height for name, height in _texts(ax).items() if name.startswith("arm"))
    pixels = np.diff(heights) * ax.figure.get_figheight() * ax.get_position().height * 72
    assert (pixels > 11).all()
    names = [text for text in ax.texts if text.get_text().startswith("arm")]
    assert len({text.xy for text in names}) == 1  # each is led to the end of its line
    assert all(text.arrow_patch for text in names)
    apart = plotting.curves({"low": [0.0, 0.0], "high": [0.0, 1.0]})
    assert not any(text.arrow_patch for text in apart.texts)


def test_curves_tolerate_gaps_single_runs_and_jax(tmp_path):
    values = jnp.array([0.1, jnp.nan, 0.3])
    all_missing = np.full((2, 3), np.nan)
    ax = plotting.curves({"one": values, "none": all_missing, "inf": [1.0, np.inf, 2.0]})
    assert np.isnan(ax.lines[0].get_ydata()[1])
    assert np.isnan(ax.lines[2].get_ydata()[1])
    plotting.save(ax, tmp_path / "gaps.png")


def test_curves_take_an_x_for_each_series(series):
    x = {name: np.arange(20) * (k + 1) for k, name in enumerate(series)}
    ax = plotting.curves(series, x, colors={"torus": "black"})
    assert ax.lines[2].get_xdata()[-1] == 57
    assert ax.lines[1].get_color() == "black"


def test_disagreement_is_logarithmic_and_survives_zero(tmp_path):
    ax = plotting.disagreement({"a": [1.0, 0.1, 0.0], "b": [1.0, 0.5, 0.25]})
    assert ax.get_yscale() == "log"
    assert np.isnan(ax.lines[0].get_ydata()[2])
    plotting.save(ax, tmp_path / "disagreement.png")


def test_intervals_show_the_threshold_and_effects_below_it(tmp_path):
    effects = {
        "good": compare([3.0, 3.1], [1.0, 1.2]),
        "bad": compare([1.0, 1.1], [1.0, 1.2]),
        "given": (1.0, 0.5, 1.5),
    }
    ax = plotting.intervals(effects, threshold=0.5)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["good", "bad", "given"]
    good, bad = (next(x for x in ax.lines if x.get_label() == name) for name in ("good", "bad"))
    assert good.get_color() != bad.get_color()
    plotting.save(ax, tmp_path / "intervals.png")


@pytest.mark.parametrize("make", [_ring, _tree])
def test_graph_colours_agents_by_value(make, tmp_path):
    values = np.linspace(0, 1, 12)
    values[5] = np.nan
    ax = plotting.graph(make(12), jnp.asarray(values), label="accuracy", title="Agents")
    edges = next(c for c in ax.collections if isinstance(c, LineCollection))
    assert len(edges.get_segments()) == (12 if make is _ring else 11)  # undirected: each once
    dots = [c for c in ax.collections if isinstance(c, PathCollection)]
    assert [len(each.get_offsets()) for each in dots] == [1, 11]  # the missing one is hollow
    plotting.save(ax, tmp_path / "graph.png")
    assert len(np.unique(dots[1].get_facecolors(), axis=0)) == 11


def test_graph_takes_positions_and_ignores_padding():
    padded = Topology(np.array([1, 0, 2]), np.array([0, 1, 2]), np.array([True, True, False]), 3)
    positions = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    ax = plotting.graph(padded, [1.0, 1.0, 1.0], positions=positions)
    edges = next(c for c in ax.collections if isinstance(c, LineCollection))
    np.testing.assert_array_equal(edges.get_segments(), [[[0, 0], [1, 0]]])


@pytest.mark.parametrize("n", [1, 2, 5, 150])
def test_layouts_are_finite_distinct_and_repeatable(n):
    topology = _tree(n)
    at = plotting.layout(topology)
    assert at.shape == (n, 2)
    assert np.isfinite(at).all()
    assert len(np.unique(at.round(9), axis=0)) == n
    np.testing.assert_array_equal(at, plotting.layout(topology))


def test_isolated_agents_do_not_shrink_the_rest():
    edges = [(i, j) for i in range(30) for j in range(i) if (i * j) % 7 == 1]
    at = plotting.layout(from_edges(edges, 40))
    middle = np.median(at, axis=0)
    distance = np.linalg.norm(at - middle, axis=1)
    assert distance.max() <= 1.3 * np.quantile(distance, 0.9) + 1e-9


def test_heatmap_writes_numbers_readably(tmp_path):
    ax = plotting.heatmap([[0.0, 1.0], [0.5, np.nan]], ["a", "b"], ["x", "y"], label="accuracy")
    inks = {text.get_text(): text.get_color() for text in ax.texts}
    assert set(inks) == {"0.00", "1.00", "0.50"}
    assert inks["1.00"] == "white"
    assert inks["0.00"] != "white"
    plotting.save(ax, tmp_path / "heatmap.png")


def test_swarm_arrows_point_along_headings(tmp_path):
    generator = np.random.default_rng(0)
    angles = generator.uniform(-np.pi, np.pi, 50)
    directions = 3.0 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    positions = generator.random((50, 2))
    one = plotting.swarm(positions, angles, box=1.0).collections[0]
    two = plotting.swarm(positions, directions, values=angles, label="turn").collections[0]
    np.testing.assert_allclose(one.U, two.U, atol=1e-12)
    np.testing.assert_allclose(one.V, np.sin(angles))
    plotting.save(one.axes, tmp_path / "swarm.png")


def test_a_wheel_has_a_bar_for_every_agent_and_the_edges_of_one():
    values = np.linspace(0.5, 1.0, 100)
    values[7] = np.nan
    ax = plotting.wheel(_ring(100), values, label="accuracy", limits=(0.4, 1.0))
    others, own = (c for c in ax.collections if isinstance(c, LineCollection))
    assert (len(others.get_segments()), len(own.get_segments())) == (98, 2)
    (bars,) = (c for c in ax.collections if isinstance(c, PolyCollection))
    assert len(bars.get_paths()) == 99
    lengths = [np.linalg.norm(path.vertices, axis=1) for path in bars.get_paths()]
    np.testing.assert_allclose([x.min() for x in lengths], 0.52, rtol=1e-6)  # bars from zero
    np.testing.assert_allclose(lengths[0].max(), 0.52 + 0.48 * 0.5, rtol=1e-6)
    assert bars.get_clim() == (0.4, 1.0)
    with pytest.raises(ValueError, match="values: expected numbers ≥ 0, got -1"):
        plotting.wheel(_ring(4), [1.0, 2.0, -1.0, 0.0])
    with pytest.raises(ValueError, match=r"values: expected shape \(4,\)"):
        plotting.wheel(_ring(4), [1.0])


def test_animation_has_every_frame(tmp_path):
    from PIL import Image

    positions = np.random.default_rng(0).random((4, 6, 2))
    path = tmp_path / "a" / "swarm.gif"
    plotting.animate(positions, np.zeros((4, 6)), 40.0, path, dpi=40)
    with Image.open(path) as picture:
        assert picture.n_frames == 4
        assert picture.info["duration"] == 40


def test_animations_have_one_signature():
    from jaxswarm.envs import SwarmEnvironment

    def shared(function):
        found = inspect.signature(function).parameters
        return [found[name] for name in ("interval", "save_path", "dpi")]

    first = shared(plotting.animate)
    assert first == shared(plotting.movie) == shared(SwarmEnvironment.animate)
    still = plotting.animate(np.eye(3)[None, :, :2], np.ones((1, 3)))  # no file
    still._draw_was_started = True  # matplotlib warns of animations that are never shown


def test_mp4_without_ffmpeg_is_refused_by_name(tmp_path, monkeypatch):
    from matplotlib.animation import FFMpegWriter

    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(
        ValueError, match=r"save_path: expected a name that ends in \.gif, .* ffmpeg"
    ):
        plotting.animate(np.ones((2, 3, 2)), np.ones((2, 3)), save_path=tmp_path / "v.mp4")


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_same_picture_same_bytes(kind, series, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    files = [plotting.save(plotting.curves(series), tmp_path / f"{k}.{kind}") for k in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_panels_share_one_figure(series):
    grid = plotting.panels(2, 2)
    plotting.curves(series, ax=grid[0, 0])
    plotting.heatmap(np.eye(3), ax=grid[1, 1])
    assert len({ax.figure for ax in grid.flat}) == 1
    assert len(grid[0, 0].lines) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plotting.curves({}), "series: expected at least one"),
        (lambda: plotting.curves({"a": np.ones((2, 2, 2))}), r"series\['a'\]: expected"),
        (lambda: plotting.curves({"a": [1, 2]}, [1, 2, 3]), "x: expected shape"),
        (lambda: plotting.curves({"a": [1, 2]}, {"b": [1, 2]}), "x: expected positions for 'a'"),
        (lambda: plotting.graph(_ring(4), [1.0]), "values: expected shape"),
        (lambda: plotting.graph(_ring(4), np.ones(4), positions=np.ones((3, 2))), "positions"),
        (lambda: plotting.heatmap([1.0]), "matrix: expected"),
        (lambda: plotting.heatmap([[1.0]], ["a", "b"]), "rows: expected 1 names"),
        (lambda: plotting.swarm(np.ones((3, 3)), np.ones(3)), "positions: expected"),
        (lambda: plotting.swarm(np.ones((3, 2)), np.ones(2)), "headings: expected"),
        (
            lambda: plotting.animate(np.ones((0, 3, 2)), [], save_path="x.gif"),
            "positions: expected",
        ),
        (
            lambda: plotting.animate(np.ones((2, 3, 2)), np.ones((2, 3)), 1.0, "x.avi"),
            r"\.gif or \.mp4",
        ),
        (lambda: plotting.intervals({}), "effects: expected"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


NO_NUMBERS = ["text", None, object(), [[1.0], [1.0, 2.0]], [1j]]
NO_SIZES = [0.0, -1.0, np.nan, np.inf, "wide", None, [1.0, 2.0]]
NO_AXES = ["axes", 3, np.zeros(3)]
NO_MAPPING = [[1, 2], "abc", 3, np.ones(3)]
LINES = {"a": [1.0, 2.0]}
POINTS = np.ones((4, 2))


def _made(**options):
    return plotting.movie(lambda ax, frame: None, **{"num_frames": 1, **options})


BAD = {
    "series": (NO_MAPPING, lambda v: plotting.curves(v)),
    "series['a']": (NO_NUMBERS, lambda v: plotting.curves({"a": v})),
    "colors": (NO_MAPPING, lambda v: plotting.curves(LINES, colors=v)),
    "band": (
        [3, (10,), (90, 10), (-1, 50), (0, 101), "ab", (np.nan, 50)],
        lambda v: plotting.curves(LINES, band=v),
    ),
    "effects": (NO_MAPPING, plotting.intervals),
    "effects['a']": ([3, "abc", (1, 2), None], lambda v: plotting.intervals({"a": v})),
    "threshold": (
        ["x", np.nan, [1, 2]],
        lambda v: plotting.intervals({"a": (1, 0, 2)}, threshold=v),
    ),
    "topology": ([None, 4, "ring"], lambda v: plotting.graph(v, np.ones(4))),
    "topology:": ([None, 4, "ring"], plotting.layout),
    "values": (NO_NUMBERS, lambda v: plotting.graph(_ring(4), v)),
    "positions": (
        [x for x in NO_NUMBERS if x is not None],
        lambda v: plotting.graph(_ring(4), np.ones(4), positions=v),
    ),
    "edges": (
        [x for x in NO_NUMBERS if x is not None],
        lambda v: plotting.graph(_ring(4), np.ones(4), edges=v),
    ),
    "limits": (
        [3, (1,), (2, 1), (np.nan, 1), "ab"],
        lambda v: plotting.heatmap(np.eye(2), limits=v),
    ),
    "node_size": ([-1, np.nan, "x"], lambda v: plotting.graph(_ring(4), np.ones(4), node_size=v)),
    "matrix": (NO_NUMBERS, plotting.heatmap),
    "rows": (["ab", 2, ["a"]], lambda v: plotting.heatmap(np.eye(2), v)),
    "format": (["zzz", None, [1]], lambda v: plotting.heatmap(np.eye(2), format=v)),
    "positions: expected": (NO_NUMBERS, lambda v: plotting.swarm(v, np.ones(4))),
    "headings": (NO_NUMBERS, lambda v: plotting.swarm(POINTS, v)),
    "box": (
        [0.0, -1.0, "x", (1, 2, 3), np.nan],
        lambda v: plotting.swarm(POINTS, np.ones(4), box=v),
    ),
    "interval: expected": (
        NO_SIZES,
        lambda v: plotting.animate(POINTS[None], np.ones((1, 4)), v, "x.gif"),
    ),
    "headings:": (
        [3.0, "x", np.ones((2, 4))],
        lambda v: plotting.animate(POINTS[None], v, save_path="x.gif"),
    ),
    "save_path": (
        [3, "", ".", "x.txt"],
        lambda v: plotting.animate(POINTS[None], np.ones((1, 4)), save_path=v),
    ),
    "width": (NO_SIZES, lambda v: plotting.axes(width=v)),
    "height": (NO_SIZES, lambda v: plotting.panels(1, 1, height=v)),
    "columns": ([0, 1.5, "x", np.nan], lambda v: plotting.panels(1, v)),
    "ax": (NO_AXES, lambda v: plotting.curves(LINES, ax=v)),
    "ax:": (NO_AXES, plotting.tidy),
    "ax: expected": (NO_AXES, plotting.stage),
    "ax: expected matplotlib": (NO_AXES, lambda v: plotting.swarm(POINTS, np.ones(4), ax=v)),
    "figure": ([3, "figure", None], lambda v: plotting.save(v, "x.png")),
    "path": ([3, None, ""], lambda v: plotting.save(plotting.axes(), v)),
    "dpi": (NO_SIZES, lambda v: plotting.save(plotting.axes(), "x.png", dpi=v)),
    "radius": (
        [-1.0, np.nan, [1.0, 2.0], "x"],
        lambda v: plotting.discs(plotting.axes(), POINTS, v, "red"),
    ),
    "codes": (NO_NUMBERS, lambda v: plotting.tiles(plotting.axes(), v, {0: "red"})),
    "colors:": (NO_MAPPING, lambda v: plotting.tiles(plotting.axes(), np.zeros((2, 2)), v)),
    "draw": ([3, None], lambda v: plotting.movie(v, 1)),
    "num_frames": ([0, 1.5, np.nan, "x"], lambda v: _made(num_frames=v)),
    "interval": (NO_SIZES, lambda v: _made(interval=v)),
}


@pytest.mark.parametrize("name", BAD)
def test_every_bad_argument_is_named(name):
    values, call = BAD[name]
    for value in values:
        with pytest.raises(ValueError, match=re.escape(name)):
            call(value)


def test_axes_and_figures_display_themselves_in_a_notebook():
    from io import BytesIO

    from matplotlib.image import imread

    for shown in (plotting.axes(), plotting.panels(1, 2)[0, 1], plotting.axes().figure):
        data, metadata = shown._repr_png_()
        assert imread(BytesIO(data)).shape[1] > metadata["width"] > 100


def test_edge_thickness_follows_the_weights():
    tree = _tree(5)
    forward = np.asarray(tree.senders) < np.asarray(tree.receivers)
    child = np.maximum(tree.senders, tree.receivers).astype(float)
    ax = plotting.graph(tree, np.zeros(5), edges=np.where(forward, 2 * child - 6, 0.0))
    lines = next(c for c in ax.collections if isinstance(c, LineCollection))
    widths = np.asarray(lines.get_linewidths())  # means over both directions: -2, -1, 0, 1
    assert widths[0] == widths.max()
    assert widths[2] == widths.min()
    np.testing.assert_allclose(widths[1], widths[3])
    dashed = [pattern is not None for _, pattern in lines.get_linestyles()]
    assert dashed == [True, True, False, False]
    with pytest.raises(ValueError, match="edges: expected one number per directed edge"):
        plotting.graph(tree, np.zeros(5), edges=np.zeros(4))
