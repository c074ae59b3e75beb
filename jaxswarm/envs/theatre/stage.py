"""The stage of a play: typed facts, and verbs as STRIPS rows that tell which facts they change.

A fact is a tuple of names: ``("at", actor, place)``, ``("in", prop, place)``, ``("holds", actor,
prop)``, ``("is", prop, state)``, ``("knows", actor, secret)``. An actor is in exactly one place, a
prop in one place or in one pair of hands, and exactly one of the facts of an exclusive group holds;
verbs that could break this are refused.

Shapes: ``N`` actors, ``L`` places, ``P`` props, ``F`` facts, ``G`` exclusive groups, ``M`` acts of
an actor (rows that an actor lacks are padded and never possible).

References:
    R. Fikes, N. Nilsson, STRIPS: a new approach to the application of theorem proving to problem
    solving, 1971.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from jaxswarm import checks

Fact = tuple[str, ...]
Literals = Mapping[Fact, bool] | Iterable[tuple[Fact, bool]]
INTACT, RUINED = "intact", "ruined"


class Verb(NamedTuple):
    """One act that one actor can perform.

    Attributes:
        text: such as ``"Ada takes the lamp in the hall"``.
        actor: who performs it, a name.
        requires: fact -> whether it must hold before.
        effects: fact -> whether it holds afterwards.
        reveals: facts whose truth the actor learns by it.
        physical: whether it handles objects rather than words.
        loud: whether all present actors perceive it, not only those in the same place.
    """

    text: str
    actor: str
    requires: Literals
    effects: Literals
    reveals: Sequence[Fact] = ()
    physical: bool = True
    loud: bool = False


@dataclass(frozen=True, eq=False)
class Stage:
    """Facts and verbs as arrays; made by :func:`build_stage` or :func:`default_stage`.

    Attributes:
        actors: ``N`` names.
        places: ``L`` names.
        props: ``P`` names.
        facts: ``F`` facts, in the order of all bit vectors.
        texts: ``[N][M]``, what each act says; empty where an actor lacks the row.
        requires: ``bool[N, M, F]``, facts that a precondition names.
        required: ``bool[N, M, F]``, their values.
        changes: ``bool[N, M, F]``, facts that an act sets.
        results: ``bool[N, M, F]``, their values.
        reveals: ``bool[N, M, F]``, facts that the actor learns.
        exists: ``bool[N, M]``.
        physical: ``bool[N, M]``.
        loud: ``bool[N, M]``.
        groups: ``bool[G, F]``; exactly one fact of each group holds.
        at: ``int32[N, L]``, numbers of the facts ``("at", actor, place)``.
        inside: ``int32[P, L]``, of ``("in", prop, place)``.
        holds: ``int32[N, P]``, of ``("holds", actor, prop)``.
    """

    actors: tuple[str, ...]
    places: tuple[str, ...]
    props: tuple[str, ...]
    facts: tuple[Fact, ...]
    texts: tuple[tuple[str, ...], ...]
    requires: np.ndarray
    required: np.ndarray
    changes: np.ndarray
    results: np.ndarray
    reveals: np.ndarray
    exists: np.ndarray
    physical: np.ndarray
    loud: np.ndarray
    groups: np.ndarray
    at: np.ndarray
    inside: np.ndarray
    holds: np.ndarray

    @property
    def num_actors(self) -> int:
        """``N``."""
        return len(self.actors)

    @property
    def num_acts(self) -> int:
        """``M``, acts of an actor; as an action they are ``1 … M``, and 0 is silence."""
        return self.exists.shape[1]

    @property
    def num_facts(self) -> int:
        """``F``."""
        return len(self.facts)

    def bits(self, facts: Iterable[Fact], name: str = "facts") -> np.ndarray:
        """Bit vector ``bool[F]`` of the facts that hold.

        Raises:
            ValueError: for a fact that this stage does not have.
        """
        index = {fact: place for place, fact in enumerate(self.facts)}
        vector = np.zeros(self.num_facts, bool)
        for fact in facts:
            if not isinstance(fact, tuple) or fact not in index:
                raise ValueError(
                    f"{name}: expected facts of this stage such as {self.facts[0]}, got {fact!r}"
                )
            vector[index[fact]] = True
        return vector

    def named(self, bits: Any) -> list[Fact]:
        """The facts of a bit vector ``bool[F]``, in order."""
        return [self.facts[place] for place in np.flatnonzero(checks.mask("bits", bits, (None,)))]

    def check_state(self, state: Any, name: str = "start") -> np.ndarray:
        """Check that a state ``bool[F]`` has one fact of every exclusive group; return it.

        Raises:
            ValueError: naming the facts, such as a prop in two places.
        """
        bits = np.asarray(checks.mask(name, state, (self.num_facts,)))
        for members in self.groups:
            true = self.named(bits & members)
            if len(true) != 1:
                choices = self.named(members)
                raise ValueError(
                    f"{name}: expected exactly one of {choices[0]} … {choices[-1]}, got {true}"
                )
        return bits


def check_stage(value: Any, name: str = "stage") -> Stage:
    """Return a stage.

    Raises:
        ValueError: for anything else.
    """
    return checks.instance(name, value, Stage, "theatre.default_stage(3)")


def build_stage(
    actors: Sequence[str],
    places: Sequence[str],
    props: Sequence[str],
    *,
    states: Mapping[str, Sequence[str]] | None = None,
    exclusive: Sequence[Sequence[Fact]] = (),
    secrets: Sequence[str] = (),
    verbs: Iterable[Verb],
) -> Stage:
    """Make a stage of named objects and verbs, and check them.

    Args:
        actors: ``N`` different names, at least one.
        places: at least one name.
        props: names; may be empty.
        states: prop -> names of its states, each a fact ``("is", prop, state)``.
        exclusive: further groups of facts of which exactly one holds.
        secrets: names of what actors may know.
        verbs: what actors can do.

    Raises:
        ValueError: an empty cast, repeated names, unknown ids, contradictory effects, or an effect
            that could leave an actor or a prop in two places or in none.

    Example:
        >>> from jaxswarm.envs import theatre
        >>> here, there = ("at", "Ada", "hall"), ("at", "Ada", "garden")
        >>> stage = theatre.build_stage(
        ...     ["Ada"], ["hall", "garden"], [],
        ...     verbs=[theatre.Verb("Ada goes", "Ada", {here: True}, {here: False, there: True})])
        >>> stage.num_facts, stage.num_acts
        (2, 1)
    """
    cast, spots, objects = (
        _names(name, value) for name, value in (("actors", actors), ("places", places),
                                                ("props", props))
    )  # fmt: skip
    for name, value in (("actors", cast), ("places", spots)):
        if not value:
            raise ValueError(f"{name}: expected at least one name, got none")
    known = _names("secrets", secrets)
    states = dict(states or {})
    unknown = [prop for prop in states if prop not in objects]
    if unknown:
        raise ValueError(f"states: expected props {objects}, got {unknown[0]!r}")
    facts: list[Fact] = [("at", who, where) for who in cast for where in spots]
    facts += [("in", prop, where) for prop in objects for where in spots]
    facts += [("holds", who, prop) for who in cast for prop in objects]
    facts += [("is", prop, state) for prop in objects for state in states.get(prop, ())]
    facts += [("knows", who, secret) for who in cast for secret in known]
    index = {fact: place for place, fact in enumerate(facts)}
    sets = [[("at", who, where) for where in spots] for who in cast]
    sets += [
        [("in", p, where) for where in spots] + [("holds", who, p) for who in cast] for p in objects
    ]
    groups = np.zeros((len(sets) + len(exclusive), len(facts)), bool)
    for row, members in zip(groups, [*sets, *exclusive], strict=True):
        row[[_index(index, fact, "exclusive") for fact in members]] = True
    listed = [checks.instance("verbs", verb, Verb) for verb in verbs]
    own: dict[str, list[Verb]] = {who: [] for who in cast}
    for verb in listed:
        if verb.actor not in own:
            raise ValueError(f"verbs: expected an actor of {cast}, got {verb.actor!r}")
        own[verb.actor].append(verb)
    rows = max(1, *(len(each) for each in own.values()))
    shape = (len(cast), rows, len(facts))
    requires, required, changes, results, reveals = (np.zeros(shape, bool) for _ in range(5))
    exists, physical, loud = (np.zeros(shape[:2], bool) for _ in range(3))
    for i, who in enumerate(cast):
        for m, verb in enumerate(own[who]):
            _fill(index, verb.requires, requires[i, m], required[i, m], verb.text)
            _fill(index, verb.effects, changes[i, m], results[i, m], verb.text)
            reveals[i, m, [_index(index, fact, verb.text) for fact in verb.reveals]] = True
            exists[i, m], physical[i, m], loud[i, m] = True, verb.physical, verb.loud
            _keeps_groups(
                groups, (requires[i, m], required[i, m], changes[i, m], results[i, m]), verb.text
            )

    def numbers(kind: str, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        table = [[index[(kind, a, b)] for b in second] for a in first]
        return np.array(table, np.int32).reshape(len(first), len(second))

    texts = tuple(
        tuple(verb.text for verb in own[who]) + ("",) * (rows - len(own[who])) for who in cast
    )
    return Stage(
        cast, spots, objects, tuple(facts), texts, requires, required, changes, results, reveals,
        exists, physical, loud, groups,
        numbers("at", cast, spots), numbers("in", objects, spots),
        numbers("holds", cast, objects),
    )  # fmt: skip


def _names(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"{name}: expected a list of names, got {checks.shown(value)}")
    if not all(isinstance(each, str) and each for each in value) or len(set(value)) < len(value):
        raise ValueError(f"{name}: expected different names, got {checks.shown(value)}")
    return tuple(value)


def _index(index: Mapping[Fact, int], fact: Any, where: str) -> int:
    if not isinstance(fact, tuple) or fact not in index:
        raise ValueError(f"verbs: {where}: expected a fact of this stage, got {fact!r}")
    return index[fact]


def _fill(
    index: Mapping[Fact, int], literals: Literals, mask: np.ndarray, value: np.ndarray, text: str
) -> None:
    pairs = literals.items() if isinstance(literals, Mapping) else literals
    for fact, holds in pairs:
        place = _index(index, fact, text)
        if mask[place] and value[place] != holds:
            raise ValueError(f"verbs: {text}: contradictory: {fact} is both true and false")
        mask[place], value[place] = True, checks.flag("verbs", holds)


def _keeps_groups(groups: np.ndarray, row: tuple[np.ndarray, ...], text: str) -> None:
    """Refuse a row after which a group that had one true fact could have two or none."""
    requires, required, changes, results = row
    for members in groups:
        touched = members & changes
        if not touched.any():
            continue
        gains = int((touched & results).sum())
        source = members & requires & required
        others = members & ~(touched & results)
        # The true fact before the act must be false afterwards: all others are, or the known one.
        cleared = bool((~results & changes)[others].all())
        known = source.any() and bool((~results & changes)[source & others].all())
        if gains != 1 or not (cleared or known):
            raise ValueError(
                f"verbs: {text}: contradictory effects: expected exactly one fact of an exclusive "
                "group afterwards (an actor or a prop in one place)"
            )
