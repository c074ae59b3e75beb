"""The default stage: actors who go, take, put down, use, ruin, mend, read and tell.

Shapes: ``N`` actors, ``L`` places, ``P`` props, ``K`` secrets.
"""

import numpy as np

from jaxswarm import checks
from jaxswarm.envs.theatre.stage import INTACT, RUINED, Fact, Stage, Verb, build_stage

ACTORS = ("Ada", "Bruno", "Clara", "Dario", "Edda", "Felix", "Greta", "Hugo")
PLACES = ("hall", "garden", "cellar", "chapel", "harbour", "attic")
PROPS = ("letter", "lamp", "sword", "key", "cup", "map")
SECRETS = ("plot", "craft", "route", "name")
USED = "used"
"""State of a prop that has been used; it stays so."""


def default_stage(
    num_actors: int = 3,
    num_places: int = 3,
    num_props: int = 3,
    num_secrets: int = 2,
    *,
    seed: int = 0,
) -> Stage:
    """Make a stage on which things must be found, carried, used in order, and passed on.

    Every prop can be used at one place, once it is in the actor's hands and intact; the second prop
    only after the first was used, the third only by an actor who knows the first secret, and so on
    in turn. An actor who knows the last secret can mend what was ruined, at the first place. Props
    are also documents: reading the ``k``-th teaches the ``k``-th secret.

    Args:
        num_actors: ``N``, at least 1.
        num_places: ``L``, at least 2.
        num_props: ``P``, at least 1.
        num_secrets: ``K``, at least 1.
        seed: of the places where props are used.

    Raises:
        ValueError: for sizes out of range.

    Example:
        >>> from jaxswarm.envs import theatre
        >>> stage = theatre.default_stage()
        >>> stage.num_actors, stage.num_facts, stage.num_acts
        (3, 42, 44)
        >>> stage.texts[0][3]
        'Ada takes the letter in the hall'
    """
    n = checks.whole("num_actors", num_actors, 1)
    n_places = checks.whole("num_places", num_places, 2)
    n_props = checks.whole("num_props", num_props, 1)
    n_secrets = checks.whole("num_secrets", num_secrets, 1)
    seed = checks.whole("seed", seed)
    actors, places = _first(ACTORS, n, "actor"), _first(PLACES, n_places, "place")
    props, secrets = _first(PROPS, n_props, "prop"), _first(SECRETS, n_secrets, "secret")
    sites = np.random.default_rng(seed).integers(n_places, size=n_props)
    states = {prop: (USED, INTACT, RUINED) for prop in props}
    verbs: list[Verb] = []
    for who in actors:
        verbs += _verbs_of(who, actors, places, props, secrets, [places[site] for site in sites])
    exclusive = [[("is", prop, INTACT), ("is", prop, RUINED)] for prop in props]
    return build_stage(
        actors, places, props, states=states, exclusive=exclusive, secrets=secrets, verbs=verbs
    )


def _verbs_of(
    who: str,
    actors: tuple[str, ...],
    places: tuple[str, ...],
    props: tuple[str, ...],
    secrets: tuple[str, ...],
    sites: list[str],
) -> list[Verb]:
    """All acts of one actor, in an order that is the same for every actor."""
    at = {place: ("at", who, place) for place in places}
    held = {prop: ("holds", who, prop) for prop in props}
    verbs = [
        Verb(
            f"{who} goes to the {to}", who, {at[to]: False},
            {fact: place == to for place, fact in at.items()},
            reveals=[("in", prop, to) for prop in props] + [("at", other, to) for other in actors],
        )
        for to in places
    ]  # fmt: skip
    for prop in props:
        for place in places:
            lies: Fact = ("in", prop, place)
            verbs.append(
                Verb(
                    f"{who} takes the {prop} in the {place}", who,
                    {at[place]: True, lies: True}, {lies: False, held[prop]: True},
                    reveals=[("is", prop, state) for state in (USED, INTACT, RUINED)],
                )
            )  # fmt: skip
    for prop in props:
        for place in places:
            verbs.append(
                Verb(
                    f"{who} puts the {prop} down in the {place}", who,
                    {at[place]: True, held[prop]: True},
                    {held[prop]: False, ("in", prop, place): True},
                )
            )  # fmt: skip
    for number, prop in enumerate(props):
        needs: dict[Fact, bool] = {at[sites[number]]: True, held[prop]: True,
                                   ("is", prop, INTACT): True}  # fmt: skip
        if number % 3 == 1:
            needs[("is", props[number - 1], USED)] = True
        elif number % 3 == 2:
            needs[("knows", who, secrets[(number // 3) % len(secrets)])] = True
        used = {("is", prop, USED): True}
        verbs.append(
            Verb(f"{who} uses the {prop} in the {sites[number]}", who, needs, used, loud=True)
        )
    for prop in props:
        fine, broken = ("is", prop, INTACT), ("is", prop, RUINED)
        spoil: dict[Fact, bool] = {held[prop]: True, fine: True}
        verbs.append(Verb(f"{who} ruins the {prop}", who, spoil, {fine: False, broken: True}))
    for prop in props:
        fine, broken = ("is", prop, INTACT), ("is", prop, RUINED)
        needs = {held[prop]: True, broken: True, at[places[0]]: True,
                 ("knows", who, secrets[-1]): True}  # fmt: skip
        verbs.append(Verb(f"{who} mends the {prop}", who, needs, {fine: True, broken: False}))
    for number, secret in enumerate(secrets):
        prop = props[number % len(props)]
        needs = {held[prop]: True, ("is", prop, INTACT): True}
        learns = {("knows", who, secret): True}
        verbs.append(Verb(f"{who} reads the {secret} on the {prop}", who, needs, learns))
    for other in actors:
        for secret in secrets:
            for place in places:
                if other != who:
                    needs = {("knows", who, secret): True, at[place]: True,
                             ("at", other, place): True}  # fmt: skip
                    verbs.append(
                        Verb(
                            f"{who} confides the {secret} to {other} in the {place}", who, needs,
                            {("knows", other, secret): True}, physical=False,
                        )
                    )  # fmt: skip
    return verbs


def _first(names: tuple[str, ...], count: int, kind: str) -> tuple[str, ...]:
    """The first ``count`` names, numbered ones beyond the list."""
    return tuple(names[k] if k < len(names) else f"{kind} {k + 1}" for k in range(count))
