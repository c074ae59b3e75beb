"""Settings of the documentation site; ``make docs`` builds it."""

import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jaxswarm  # noqa: E402
from docs import generators  # noqa: E402
from docs.generators.claim_role import ClaimRole  # noqa: E402

project = "jaxswarm"
author = "The jaxswarm authors"
copyright = author
version = release = jaxswarm.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docs.generators.mathml",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "generators", "README.md"]
source_suffix = {".rst": "restructuredtext", ".md": "myst-nb", ".ipynb": "myst-nb"}
suppress_warnings = ["myst.header"]  # notebooks may begin with a second-level heading

# Notebooks are shown with the outputs they are stored with; `make notebooks` executes them.
nb_execution_mode = "off"
myst_enable_extensions = ["colon_fence", "dollarmath", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
python_maximum_signature_line_length = 80
add_module_names = False
toc_object_entries = False  # 1,900 names in the sidebar of every page; each page lists its own
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

# Links into the documentation of other projects need their inventories from the network, so they
# are made only if asked for: DOCS_INTERSPHINX=1 make docs.
if os.environ.get("DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "jax": ("https://docs.jax.dev/en/latest/", None),
        "optax": ("https://optax.readthedocs.io/en/latest/", None),
        "flax": ("https://flax.readthedocs.io/en/latest/", None),
        "jumanji": ("https://instadeepai.github.io/jumanji/", None),
    }

html_theme = "furo"
html_math_renderer = "mathml"
html_title = f"jaxswarm {version}"
html_static_path = ["_static"]
html_css_files = ["jaxswarm.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"


def _keep_initials(app, what, name, obj, options, lines):
    """Let "A. Author, Title" begin a line without becoming item A of a list."""
    lines[:] = [re.sub(r"^(\s*)([A-Z]\.) ", r"\1\\\2 ", line) for line in lines]


def setup(app):
    """Write the generated pages before Sphinx looks for sources."""
    app.add_role("claim", ClaimRole())
    app.connect("autodoc-process-docstring", _keep_initials, priority=100)
    generators.write_all()
