"""SAPO: policy gradients of language agents on own rollouts and on rollouts that others share.

``sapo.sapo(model, optimizer, reward, local=4, external=4, …)`` is the learner of ``N`` agents;
``sapo.mixed_round`` runs a round of agents with different vocabularies, whose packets are converted
by way of their text; in ``sapo.round_with_texts`` language models that are not trained here, such
as your own on a server, share responses as well; ``sapo.check_packets`` checks packets that come
from elsewhere.
"""

from jaxswarm.systems.sapo._forgeries import padded_answers, solved
from jaxswarm.systems.sapo._mixed import Family, mixed_round
from jaxswarm.systems.sapo._packets import (
    Packets,
    check_packets,
    packet_bytes,
    reencode_packets,
    token_bytes,
    verify,
)
from jaxswarm.systems.sapo._sapo import sapo
from jaxswarm.systems.sapo._selection import choose_groups, informative
from jaxswarm.systems.sapo._state import RATIO_MODES, SAPO, Round, SAPOInfo, SAPOState
from jaxswarm.systems.sapo._texts import round_with_texts, text_packets

__all__ = [
    "RATIO_MODES",
    "SAPO",
    "Family",
    "Packets",
    "Round",
    "SAPOInfo",
    "SAPOState",
    "check_packets",
    "choose_groups",
    "informative",
    "mixed_round",
    "packet_bytes",
    "padded_answers",
    "reencode_packets",
    "round_with_texts",
    "sapo",
    "solved",
    "text_packets",
    "token_bytes",
    "verify",
]
