"""The site: sources of all pages are there, and what ``make docs`` built can be searched."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import experiments

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
HOWTO = """
data models environments training_loops devices checkpoints logging papers systems
""".split()
CONCEPTS = """
agents_axis topology mixing exchange algorithm environment simulate devices
""".split()
WANTED = {
    "Krum": "methods",
    "FedAvg": "methods",
    "push-sum": "methods",
    "QMIX": "methods",
}
"""Search term -> a page that must be found."""
VIEWED = ("index", "methods", "api/jaxswarm.gossip", "gallery/index", "notebooks/index")


def test_written_pages_and_their_pictures_exist():
    from docs.generators import pictures

    pages = ["index", "about", "install", "quickstart", "methods", "choose"]
    pages += [f"howto/{name}" for name in ("index", *HOWTO)]
    pages += [f"concepts/{name}" for name in ("index", *CONCEPTS)]
    assert not [page for page in pages if not (DOCS / f"{page}.md").exists()]
    for name in CONCEPTS:
        text = (DOCS / "concepts" / f"{name}.md").read_text(encoding="utf-8")
        assert f"../pictures/{name}.svg" in text
        assert name in pictures.PICTURES


def test_films_are_small():
    films = sorted((DOCS / "films").glob("*.gif"))
    assert [film.stem for film in films] == ["accuracy", "flock", "pursuit"]
    assert all(film.stat().st_size < 600_000 for film in films)


def test_every_system_has_a_page_with_all_its_claims():
    from docs.generators import gallery
    from experiments.harness import protocol

    entries = json.loads((ROOT / "results" / "claims.json").read_text(encoding="utf-8"))
    for name in experiments.SYSTEMS:
        runs = [entry for entry in entries if entry["system"] == name]
        about = protocol.describe(name)
        text = gallery._page(about, runs)
        assert about.paper.title.split(":")[0] in text.replace("\\", "")
        assert text.count("bdg-") == sum(len(run["claims"]) for run in runs)


def test_claims_that_pages_cite_exist():
    pytest.importorskip("sphinx")
    from docs.generators import claim_role

    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.glob("*.md"))
    cited = re.findall(r"\{claim\}`([^`:]+): ([^`]+)`", text)
    assert len(cited) > 30
    for system, beginning in cited:
        assert len(claim_role.matching(system, beginning)) == 1, (system, beginning)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The built site, warnings as errors."""
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "html", "docs", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


@pytest.mark.slow
def test_the_site_builds_and_has_all_pages(site):
    pages = [f"gallery/{name}" for name in experiments.SYSTEMS]
    pages += [f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")]
    pages += [*VIEWED, "project/changelog", "project/benchmarks", "api/jaxswarm.rl"]
    assert not [page for page in pages if not (site / f"{page}.html").exists()]


@pytest.mark.slow
def test_internal_links_lead_somewhere(site):
    missing = []
    for page in site.rglob("*.html"):
        for link in re.findall(r'href="([^"#]+)[^"]*"', page.read_text(encoding="utf-8")):
            if not re.match(r"[a-z]+:", link) and not (page.parent / link.split("?")[0]).exists():
                missing.append((page.name, link))
    assert not missing, missing[:20]


@pytest.mark.slow
@pytest.mark.parametrize("term", WANTED)
def test_search_finds(site, term):
    text = (site / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip(";\n ").removesuffix(")"))
    pages = {index["docnames"][i] for i in _documents(index, term)}
    assert WANTED[term] in pages, pages


def _documents(index: dict, term: str) -> set[int]:
    """Pages with every word of a term, by its first letters as the stemmer may cut it."""
    found = []
    for word in re.findall(r"\w+", term.lower()):
        hits: set[int] = set()
        for known, where in index["terms"].items():
            if known in (word, word.rstrip("s")):
                hits |= set(where) if isinstance(where, list) else {where}
        found.append(hits)
    return set.intersection(*found)


@pytest.mark.slow
@pytest.mark.parametrize("page", VIEWED)
def test_pages_log_no_error_in_a_browser(site, page, tmp_path):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += ["--v=0", f"--user-data-dir={tmp_path}", "--virtual-time-budget=4000", "--dump-dom"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", (site / f"{page}.html").as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "</html>" in ran.stdout
    errors = [x for x in ran.stderr.splitlines() if "CONSOLE" in x and "ERR_NAME" not in x]
    assert not errors, errors
