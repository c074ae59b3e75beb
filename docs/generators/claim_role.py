"""A role that cites a recorded claim: ``{claim}`SYSTEM: how its text begins```.

It becomes the measured value with its interval and verdict, as a link to the system's page. A text
that begins no claim, or several, is a warning, and ``make docs`` treats warnings as errors.
"""

import json
from functools import cache
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.util.docutils import SphinxRole

from docs.generators.files import ROOT

SOURCE = ROOT / "results" / "claims.json"


class ClaimRole(SphinxRole):
    """The value, interval and verdict of one claim at small scale."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Make the text and its link."""
        self.env.note_dependency(str(SOURCE))
        system, _, beginning = self.text.partition(":")
        found = matching(system.strip(), beginning.strip())
        if len(found) != 1:
            message = f"claim: expected one of {system} that begins so, got {len(found)}: "
            return [], [self.inliner.reporter.warning(message + self.text, line=self.lineno)]
        link = pending_xref(
            "",
            nodes.inline("", summary(found[0])),
            refdomain="std",
            reftype="doc",
            reftarget=f"/gallery/{system.strip()}",
            refexplicit=True,
            refdoc=self.env.docname,
        )
        return [link], []


@cache
def _small() -> dict[str, list[dict[str, Any]]]:
    entries = json.loads(SOURCE.read_text(encoding="utf-8"))
    return {entry["system"]: entry["claims"] for entry in entries if entry["scale"] == "small"}


def matching(system: str, beginning: str) -> list[dict[str, Any]]:
    """Claims of a system at small scale whose text begins so."""
    claims = _small().get(system, [])
    exact = [claim for claim in claims if claim["claim"] == beginning]
    return exact or [claim for claim in claims if claim["claim"].startswith(beginning)]


def summary(claim: dict[str, Any]) -> str:
    """Value, interval and verdict in one line."""
    text = f"{claim['effect']:.3g}"
    if claim.get("interval"):
        low, high = claim["interval"]
        text += f" [{low:.3g}, {high:.3g}]"
    return f"{text.replace('-', '−')}, {'held' if claim['held'] else 'not held'}"
