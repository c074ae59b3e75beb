"""Claims of the Lattica experiment and their thresholds, fixed before the recorded run.

Shapes: ``S`` seeds.
"""

from typing import Any

import numpy as np

from experiments.harness.claims import Claim, ClaimList
from experiments.harness.protocol import Results
from experiments.lattica import NAME, fetching, rpc, spreading
from experiments.lattica.config import Config
from experiments.lattica.training import IDEAL, NO_TRAVERSAL, PUNCHING, RELAY
from experiments.lattica.world import DOCUMENTED, MIXES
from jaxswarm import statistics
from jaxswarm.network.transport import LEVELS

DIRECT, SPREAD = 0.70, 0.07  # share of pairs that punch through, and how far off it may be
RUNG = 0.05  # least gain of UPnP and of hole punching over the rung below
FIRST = 0.95  # least share of the successes at the first try
SLOPE, FIT = 0.0, 0.9  # least slope of rounds on log2 of the size, and R² of the line
GROWTH = 2.5  # most rounds at the largest size over those at the smallest
LOSABLE = 0.05  # least lost writes a run where they are acknowledged at once (control)
DIVERGED = 0.99  # most replicas that agree without a tie-break (control)
EXACT, FLOODED = 0.99, 0.05  # exact lookups with failures; messages over those of flooding
SAVED, LONGER = 0.4, 0.1  # bytes that three peers save; by how much they may take longer
SCORED = 0.1  # least share of the time that scores save against three random peers
CLOSED = 0.1  # least share of the fast peers that the published wait keeps out
BOUND = 0.9  # least measured rate over the bound of the closed network
PIPELINED, LIMITED = 3.5, 1.2  # gain by four times the requests in flight: small, large requests
SERVER, COPIES, CHURN, DIRECT_ONLY = 0.25, 0.25, 1.5, 1.25  # of replication, see the claims
TRAINED, CUT = 0.02, 0.05  # accuracy lost over a transport; lost where no traversal is done
ROUTED = 0.02  # least reward that LinUCB gains on random choice

CONNECTS = "About 70 % of connections are direct, the rest is relayed (Lattica 2025)"
STORE = "A CRDT store is consistent in the end under partitions (Lattica 2025, abstract)"
DHT = "Content is found over a distributed hash table (Lattica 2025, abstract)"
BLOCKS = "Blocks are asked of few peers of high score (authors' code)"
RPC = "Requests per second fall with distance and size (Lattica 2025)"
MODELS = "Models reach all nodes without a central server (Lattica 2025, abstract)"
METHODS = "A communication layer for decentralized training and inference (Lattica 2025, abstract)"


def claims(config: Config, results: Results) -> list[Claim]:
    """Compare the measurements with the thresholds.

    Args:
        config: sizes of the run.
        results: of :func:`experiments.lattica.arms.run`.
    """
    made = ClaimList(NAME)
    _reach(made, config, results["reach"])
    _store(made, config, results["store"])
    _lookup(made, config, results["lookup"])
    _blocks(made, config, results["fetching"])
    _requests(made, config, results["rpc"])
    _replication(made, results["spreading"])
    _training(made, results["training"])
    _routing(made, results["routing"])
    return made


def _reach(made: ClaimList, config: Config, found: Results) -> None:
    ladder = {level: np.asarray(x) for level, x in found["ladder"][DOCUMENTED].items()}
    shown = ", ".join(f"{level} {ladder[level].mean():.3f}" for level in LEVELS)
    for below, above, name in ((0, 1, "UPnP"), (1, 2, "Hole punching")):
        made.add(
            f"{name} connects more pairs than the rung below",
            statement=CONNECTS,
            measured=f"pairs connected directly, {LEVELS[above]} - {LEVELS[below]}",
            metric="direct pairs", unit="fraction", arm=LEVELS[above], baseline=LEVELS[below],
            value=statistics.compare(ladder[LEVELS[above]], ladder[LEVELS[below]]), at_least=RUNG,
            judge="interval", note=shown,
        )  # fmt: skip
    off = {mix: np.abs(np.asarray(x) - DIRECT) for mix, x in found["punched"].items()}
    shares = ", ".join(f"{mix} {np.mean(found['punched'][mix]):.3f}" for mix in MIXES)
    made.add(
        f"With the documented mix of NATs {DIRECT:.0%} of the attempts punch through, within "
        f"{SPREAD:.0%}",
        statement=CONNECTS,
        measured=f"|successes / attempts - {DIRECT:g}|",
        metric="hole punching", unit="fraction", arm=DOCUMENTED,
        value=statistics.summarize(off[DOCUMENTED]), at_most=SPREAD, judge="interval",
        note=f"35 % full cone, 35 % port-restricted, 30 % symmetric; the share is "
        f"{np.mean(found['punched'][DOCUMENTED]):.3f}",
    )  # fmt: skip
    worst = max(MIXES, key=lambda mix: off[mix].mean())
    made.add(
        f"It does so with each of {len(MIXES)} mixes",
        statement="Own check: does the share rest on the assumed mix?",
        measured=f"|successes / attempts - {DIRECT:g}|, mix furthest off",
        metric="hole punching", unit="fraction", arm=worst,
        value=statistics.summarize(off[worst]), at_most=SPREAD, judge="interval", note=shares,
    )  # fmt: skip
    tries, met = (np.asarray(found[name]).mean(axis=1) for name in ("first", "met"))
    rows = zip(config.jitters, tries, met, strict=True)
    made.add(
        "Hole punching succeeds at the first try",
        statement="97.6 % of the successes are first attempts (DCUtR measurements, 2025)",
        measured="successes at the first try / successes",
        metric="first tries", unit="fraction", arm="hole punching",
        value=statistics.summarize(found["first_try"]), at_least=FIRST, judge="interval",
        note="; ".join(f"jitter {j:g}: {a:.3f}, met {b:.3f}" for j, a, b in rows),
    )  # fmt: skip


def _line(made: ClaimList, sizes: tuple[int, ...], rounds: Any, statement: str, what: str) -> None:
    """Two claims on growth with the logarithm of the size; ``rounds [sizes, S]``."""
    table = np.asarray(rounds, float)
    logs = np.log2(sizes)
    slopes = [statistics.linear_fit(logs, column).slope for column in table.T]
    means = ", ".join(f"{n}: {x:.1f}" for n, x in zip(sizes, table.mean(axis=1), strict=True))
    made.add(
        f"{what} grow with the number of peers",
        statement=statement,
        measured="slope of rounds on log2 of the number of peers, line of each seed",
        metric="rounds", unit="rounds per doubling", arm=what,
        value=statistics.summarize(slopes), at_least=SLOPE, judge="interval", note=means,
    )  # fmt: skip
    made.add(
        f"{what} grow as its logarithm",
        statement=statement,
        measured="R² of the line of mean rounds on log2 of the number of peers",
        metric="rounds", unit="R²", arm=what,
        value=statistics.linear_fit(logs, table.mean(axis=1)).r_squared, at_least=FIT,
        seeds=table.shape[1],
    )  # fmt: skip


def _store(made: ClaimList, config: Config, found: Results) -> None:
    runs = np.asarray(found["converged"], float)
    made.add(
        "All live replicas are equal after partition, loss, reordering and repetition",
        statement=STORE,
        measured="runs that converge, mean over sizes",
        metric="convergence", unit="fraction", arm="CRDT store",
        value=statistics.summarize(runs.mean(axis=0)), at_least=1.0,
        note=f"{np.asarray(found['bytes'])[-1].mean() / 1e3:.0f} kB a replica at the largest size",
    )  # fmt: skip
    _line(made, config.replicas, found["rounds"], STORE, "Rounds until replicas are equal")
    rounds = np.asarray(found["rounds"], float)
    made.add(
        "Rounds until replicas are equal grow far less than in proportion",
        statement=STORE,
        measured=f"rounds of {config.replicas[-1]} replicas / mean of {config.replicas[0]}",
        metric="rounds", unit="ratio", arm=f"{config.replicas[-1]} replicas",
        baseline=f"{config.replicas[0]} replicas",
        value=statistics.summarize(rounds[-1] / rounds[0].mean()), at_most=GROWTH,
        judge="interval",
    )  # fmt: skip
    lost = {rule: np.asarray(x, float).sum(axis=0) for rule, x in found["lost"].items()}
    total = {rule: np.asarray(x, float).sum() for rule, x in found["acknowledged"].items()}
    made.add(
        f"No write that {config.quorum} replicas acknowledged is lost",
        statement=STORE,
        measured="acknowledged writes that live replicas lack at the end, sum over sizes",
        metric="lost writes", unit="writes per seed", arm="acknowledged by a quorum",
        value=statistics.summarize(lost["by a quorum"]), at_most=0.0, judge="interval",
        note=f"of {total['by a quorum']:.0f}; {config.crashes:.0%} of the replicas crash",
    )  # fmt: skip
    made.add(
        "Writes acknowledged at once are lost with the replicas that crash",
        statement="Control: acknowledgement without a quorum",
        measured="acknowledged writes that live replicas lack at the end, sum over sizes",
        metric="lost writes", unit="writes per seed", arm="acknowledged at once",
        value=statistics.summarize(lost["at once"]), at_least=LOSABLE, judge="interval",
        control=True, note=f"of {total['at once']:.0f}",
    )  # fmt: skip
    made.add(
        "Registers without a tie-break diverge",
        statement="Control: last writer wins by wall time alone",
        measured="replicas equal to the first at the end",
        metric="agreement", unit="fraction", arm="no tie-break",
        value=statistics.summarize(found["no_tie_break"]), at_most=DIVERGED, judge="interval",
        control=True,
    )  # fmt: skip
    sides = {name: np.asarray(x, float).mean(axis=0) for name, x in found["primary"].items()}
    made.add(
        "A single primary refuses writes on the minority side of a partition",
        statement="Control: one primary",
        measured="accepted writes / writes of the minority, mean over sizes",
        metric="accepted writes", unit="fraction", arm="single primary",
        value=statistics.summarize(sides["minority"]), at_most=0.0, judge="interval",
        control=True,
        note=f"majority {sides['majority'].mean():.3f}; replicas of the CRDT store accept all",
    )  # fmt: skip


def _lookup(made: ClaimList, config: Config, found: Results) -> None:
    exact = {name: np.asarray(x) for name, x in found["exact"].items()}
    full = {name: float(np.mean(x)) for name, x in found["full"].items()}
    made.add(
        "Lookups find the closest peer",
        statement=DHT, measured="lookups that end at the closest peer / lookups",
        metric="exact lookups", unit="fraction", arm="none failed",
        value=statistics.summarize(exact["none failed"]), at_least=1.0,
        note=f"all {config.bucket} closest: {full['none failed']:.3f}",
    )  # fmt: skip
    made.add(
        f"Lookups find the closest live peer with {config.failed:.0%} failed",
        statement=DHT, measured="lookups that end at the closest live peer / lookups",
        metric="exact lookups", unit="fraction", arm="some failed",
        value=statistics.summarize(exact["some failed"]), at_least=EXACT, judge="interval",
        note=f"all {config.bucket} closest: {full['some failed']:.3f}",
    )  # fmt: skip
    messages = np.asarray(found["messages"]["none failed"])
    made.add(
        "A lookup takes few messages",
        statement=DHT, measured="messages of a lookup / of a flooded search",
        metric="messages", unit="ratio", arm="Kademlia", baseline="flooding",
        value=statistics.summarize(messages / found["flooding"]), at_most=FLOODED,
        judge="interval",
        note=f"{messages.mean():.1f} against {float(found['flooding']):.0f} messages",
    )  # fmt: skip
    _line(made, config.growth, found["growth"], DHT, "Rounds of a lookup with buckets of 4")


def _blocks(made: ClaimList, config: Config, found: Results) -> None:
    seconds = {arm: np.asarray(x) for arm, x in found["seconds"].items()}
    sent = {arm: np.asarray(x) for arm, x in found["bytes"].items()}
    everyone, top, patient = fetching.EVERYONE, fetching.TOP, fetching.PATIENT
    oracle, random = fetching.ORACLE, fetching.RANDOM
    sizes = [f"{size / 1e6:g} MB" for size in config.sizes]

    def ratios(arm: str, other: str) -> str:
        rows = seconds[arm].mean(axis=1) / seconds[other].mean(axis=1)
        return (
            "time over that of "
            + other
            + ": "
            + ", ".join(f"{size} {x:.2f}" for size, x in zip(sizes, rows, strict=True))
        )

    made.add(
        "The three fastest holders send a block no later than everyone together",
        statement="Own check: can few peers be enough in this world?",
        measured="(seconds, oracle - everyone) / everyone, second block size",
        metric="completion time", unit="fraction", arm=oracle, baseline=everyone,
        value=statistics.compare(seconds[oracle][1], seconds[everyone][1], relative=True),
        at_most=0.0, judge="interval", control=True,
    )  # fmt: skip
    made.add(
        f"Three peers of high score cost at least {SAVED:.0%} fewer bytes than asking everyone",
        statement=BLOCKS, measured="(bytes, everyone - top 3) / everyone, second block size",
        metric="bytes sent", unit="fraction", arm=top, baseline=everyone,
        value=statistics.summarize(1.0 - sent[top][1] / sent[everyone][1]), at_least=SAVED,
        judge="interval",
    )  # fmt: skip
    made.add(
        f"They take at most {LONGER:.0%} longer",
        statement=BLOCKS, measured="(seconds, top 3 - everyone) / everyone, second block size",
        metric="completion time", unit="fraction", arm=top, baseline=everyone,
        value=statistics.compare(seconds[top][1], seconds[everyone][1], relative=True),
        at_most=LONGER, judge="interval", note=ratios(top, everyone),
    )  # fmt: skip
    made.add(
        "Scores find faster peers than chance",
        statement=BLOCKS, measured="(seconds, random 3 - top 3) / random 3, second block size",
        metric="completion time", unit="fraction", arm=top, baseline=random,
        value=statistics.summarize(1.0 - seconds[top][1] / seconds[random][1].mean()),
        at_least=SCORED, judge="interval", note=ratios(random, everyone),
    )  # fmt: skip
    closed = {arm: np.asarray(x) for arm, x in found["closed"].items()}
    made.add(
        "The published wait keeps fast peers out of the top three for good",
        statement="Own check: the first of 100 ms and 30 % of the answers (authors' code)",
        measured="three fastest peers that are never asked, published wait - all answers, second "
        "block size",
        metric="fast peers never asked", unit="fraction", arm=top, baseline=patient,
        value=statistics.compare(closed[top][1], closed[patient][1]), at_least=CLOSED,
        judge="interval",
    )  # fmt: skip
    made.add(
        "Waiting for all answers fetches large blocks sooner",
        statement="Own check: the first of 100 ms and 30 % of the answers (authors' code)",
        measured="(seconds, all answers - published wait) / published wait, largest blocks",
        metric="completion time", unit="fraction", arm=patient, baseline=top,
        value=statistics.compare(seconds[patient][-1], seconds[top][-1], relative=True),
        at_most=0.0, judge="interval", note=ratios(patient, top),
    )  # fmt: skip

    opened = fetching.OPEN
    made.add(
        "Trying peers without a history first leaves fewer of the fastest unasked",
        statement="Own check: a new peer's score of 55 (authors' code)",
        measured="three fastest peers that are never asked, published - new peers first, second "
        "block size",
        metric="fast peers never asked", unit="fraction", arm=top, baseline=opened,
        value=statistics.compare(closed[top][1], closed[opened][1]), at_least=CLOSED,
        judge="interval",
        note=", ".join(f"{arm} {x[1].mean():.2f}" for arm, x in closed.items()),
    )  # fmt: skip
    made.add(
        "Trying peers without a history first fetches blocks sooner",
        statement="Own check: a new peer's score of 55 (authors' code)",
        measured="(seconds, new peers first - published) / published, second block size",
        metric="completion time", unit="fraction", arm=opened, baseline=top,
        value=statistics.compare(seconds[opened][1], seconds[top][1], relative=True),
        at_most=0.0, judge="interval", note=ratios(opened, top),
    )  # fmt: skip


def _requests(made: ClaimList, config: Config, found: Results) -> None:
    rate, bound = np.asarray(found["rate"]), np.asarray(found["bound"])
    share = rate / bound[..., None]
    worst = np.unravel_index(share.mean(axis=-1).argmin(), share.shape[:-1])
    wide = rate[-1].mean(axis=-1)
    made.add(
        "Simulated requests come within ten per cent of the bound of the closed network",
        statement=RPC, measured="requests per second / bound, worst of distances, sizes and widths",
        metric="request rate", unit="ratio", arm="closed loop",
        value=statistics.summarize(share[worst]), at_least=BOUND, judge="interval",
        note=f"{config.in_flight[-1]} in flight, 128 B and 256 KiB: "
        + "; ".join(
            f"{d} {wide[i, 0]:.0f} and {wide[i, -1]:.0f} a second"
            for i, d in enumerate(rpc.DISTANCES)
        ),
    )  # fmt: skip
    times = config.in_flight[-1] / config.in_flight[0]
    for place, size, limit in ((-1, 0, PIPELINED), (1, -1, LIMITED)):
        small = size == 0
        gain = rate[-1, place, size] / rate[0, place, size]
        made.add(
            "More requests in flight raise the rate of small distant ones in proportion"
            if small
            else "They do not raise that of large ones within a region, which the link limits",
            statement=RPC,
            measured=f"requests per second, {config.in_flight[-1]} in flight / "
            f"{config.in_flight[0]}, {rpc.SIZES[size]:.0f} B, {rpc.DISTANCES[place]}",
            metric="request rate", unit="ratio", arm=f"{config.in_flight[-1]} in flight",
            baseline=f"{config.in_flight[0]} in flight", value=statistics.summarize(gain),
            judge="interval", note=f"{times:g} times as many in flight",
            **({"at_least": limit} if small else {"at_most": limit}),
        )  # fmt: skip


def _replication(made: ClaimList, found: Results) -> None:
    slots = {arm: np.asarray(x["slots"], float) for arm, x in found.items()}
    copies = {arm: np.asarray(x["copies"], float) for arm, x in found.items()}
    shown = ", ".join(f"{arm} {slots[arm].mean():.0f} slots" for arm in spreading.ARMS)
    exchange, server = spreading.EXCHANGE, spreading.SERVER
    rows = (
        ("Exchange brings a model to all peers sooner than one server", exchange, server, SERVER),
        ("Exchange is sooner than flooding", exchange, spreading.FLOODING, 1.0),
        (
            "Churn delays exchange little", spreading.CHURN, exchange, CHURN,
        ),
        (
            "Direct connections alone suffice for exchange", exchange, spreading.RELAYS,
            DIRECT_ONLY,
        ),
    )  # fmt: skip
    relayed = np.asarray(found[spreading.RELAYS]["relayed"]) / copies[spreading.RELAYS]
    for sentence, arm, baseline, most in rows:
        made.add(
            sentence,
            statement=MODELS, measured=f"slots, {arm} / mean of {baseline}",
            metric="time to all replicas", unit="ratio", arm=arm, baseline=baseline,
            value=statistics.summarize(slots[arm] / slots[baseline].mean()), at_most=most,
            judge="interval",
            note=f"{relayed.mean():.3f} of the blocks are relayed where relays are used"
            if baseline == spreading.RELAYS
            else shown,
        )  # fmt: skip
    made.add(
        "Exchange sends few copies",
        statement=MODELS, measured="blocks sent, exchange / mean of flooding",
        metric="blocks sent", unit="ratio", arm=exchange, baseline=spreading.FLOODING,
        value=statistics.summarize(copies[exchange] / copies[spreading.FLOODING].mean()),
        at_most=COPIES, judge="interval",
    )  # fmt: skip


def _training(made: ClaimList, found: Results) -> None:
    for method, name in (("dpsgd", "D-PSGD"), ("modest", "MoDeST")):
        by = found[method]
        accuracy = {x: np.asarray(by[x]["accuracy"], float) for x in by}
        parts = []
        for x in by:
            text = f"{x} {accuracy[x].mean():.3f}, {np.mean(by[x]['seconds']):.0f} s"
            text += f", {np.mean(by[x]['bytes']) / 1e6:.0f} MB"
            if "stalled" in by[x]:
                text += f", {np.mean(by[x]['stalled']):.0%} of the rounds stall"
            parts.append(text)
        note = "; ".join(parts)
        if IDEAL in by:
            made.add(
                f"{name} over relays trains as on an ideal network",
                statement=METHODS, measured=f"accuracy, {RELAY} - {IDEAL}",
                metric="test accuracy", unit="fraction", arm=RELAY, baseline=IDEAL,
                value=statistics.compare(accuracy[RELAY], accuracy[IDEAL]), at_least=-TRAINED,
                judge="interval", note=note,
            )  # fmt: skip
        made.add(
            f"{name} with hole punching alone trains as over relays",
            statement=METHODS, measured=f"accuracy, {PUNCHING} - {RELAY}",
            metric="test accuracy", unit="fraction", arm=PUNCHING, baseline=RELAY,
            value=statistics.compare(accuracy[PUNCHING], accuracy[RELAY]), at_least=-TRAINED,
            judge="interval",
            note=note + f"; {np.mean(by[RELAY]['relayed']):.3f} of the pairs are relayed",
        )  # fmt: skip
        made.add(
            f"{name} without traversal loses accuracy",
            statement="Control: dialing public peers alone",
            measured=f"accuracy, {RELAY} - {NO_TRAVERSAL}",
            metric="test accuracy", unit="fraction", arm=RELAY, baseline=NO_TRAVERSAL,
            value=statistics.compare(accuracy[RELAY], accuracy[NO_TRAVERSAL]), at_least=CUT,
            judge="interval", control=True,
            note=f"{np.mean(by[NO_TRAVERSAL]['stands']):.3f} of the pairs connect",
        )  # fmt: skip


def _routing(made: ClaimList, found: Results) -> None:
    reward = {
        policy: {x: np.asarray(found[policy][x]["reward"], float) for x in found[policy]}
        for policy in ("linucb", "random")
    }
    latency = found["linucb"]
    made.add(
        "Symphony-Coord over relays routes better than at random",
        statement=METHODS, measured="reward, LinUCB - random choice",
        metric="reward", unit="per task", arm="LinUCB", baseline="random choice",
        value=statistics.compare(reward["linucb"][RELAY], reward["random"][RELAY]),
        at_least=ROUTED, judge="interval",
        note="latency "
        + ", ".join(f"{x} {np.mean(latency[x]['latency']):.0f} ms" for x in latency),
    )  # fmt: skip
    constant = np.asarray(found["constant"][RELAY]["reward"], float)
    made.add(
        "So it does with a constant confidence radius",
        statement="Own check: the published radius grows with the logarithm of time and explores",
        measured="reward, LinUCB with a constant radius - random choice",
        metric="reward", unit="per task", arm="LinUCB, constant radius", baseline="random choice",
        value=statistics.compare(constant, found["random"][RELAY]["reward"]), at_least=ROUTED,
        judge="interval",
    )  # fmt: skip
    made.add(
        "Workers behind NATs are worth reaching",
        statement=METHODS, measured=f"reward of LinUCB, {RELAY} - {NO_TRAVERSAL}",
        metric="reward", unit="per task", arm=RELAY, baseline=NO_TRAVERSAL,
        value=statistics.compare(reward["linucb"][RELAY], reward["linucb"][NO_TRAVERSAL]),
        at_least=ROUTED, judge="interval",
        note="workers reached: "
        + ", ".join(f"{x} {np.mean(s):.3f}" for x, s in found["reached"].items()),
    )  # fmt: skip
