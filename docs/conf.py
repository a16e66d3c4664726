"""How the site is built: `make docs`. Pages are Markdown; the reference of names is made from the docstrings."""

import enum
import inspect
import re

from sphinx.application import Sphinx

project = "actor-supervisor"
project_copyright = "the authors of actor-supervisor"
release = version = "dev"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["README.md"]
root_doc = "index"

html_theme = "furo"
html_title = "actor-supervisor"
html_static_path = ["benchmarks"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

default_role = "code"  # docstrings write `name` for code
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
FOREIGN = (
    "Struct,BaseException,Exception,Enum,StrEnum,str,object,Protocol,Generic,ABC"  # whose members need no page here
)
autodoc_default_options = {"members": True, "show-inheritance": True, "inherited-members": FOREIGN}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Class attributes", "params_style")]
python_use_unqualified_type_names = True

OUTSIDE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changes.md", "benchmarks/README.md": "benchmarks.md"}


def page_read(_app: Sphinx, page: str, source: list[str]) -> None:
    """Links to files beside this folder, right where the pages are read as files, lead to pages of the site."""
    up = "/".join([".."] * page.count("/")) or "."
    for beside, inside in OUTSIDE.items():
        source[0] = re.sub(rf"\]\((\.\./)+{re.escape(beside)}", f"]({up}/{inside}", source[0])
    source[0] = source[0].replace("](examples/", "](../examples/")


def file_included(app: Sphinx, _path: object, page: str, source: list[str]) -> None:
    """A file that a page consists of is read like that page."""
    page_read(app, page, source)


# What parts of the library ask of each other; no program needs it.
INTERNAL = {
    *("conditions", "has_heartbeat", "member", "members", "needs_main", "own_terms", "processes", "terms", "terms_of"),
    *("caught_up", "mailbox", "next_after", "reset", "wants_port", "with_tree"),
}
INSIDE = re.compile(r"supervisor\.(core\.schedule|messaging|root|specs)\b")
plain: dict[str, list[str]] = {}  # docstrings of properties, whose sentence may have a colon


def skips(_app: Sphinx, _what: str, name: str, obj: object, _skip: object, _options: object) -> bool | None:
    """Whether a member is left out; None where Sphinx decides."""
    where = getattr(getattr(obj, "fget", obj), "__module__", None) or ""
    return True if name in INTERNAL and INSIDE.match(where) else None


def docstring_read(_app: Sphinx, what: str, name: str, obj: object, _options: object, lines: list[str]) -> None:
    """A docstring before napoleon reads it.

    Enums list their members, and what stands indented by itself is code.
    """
    lines[:] = with_code(lines)
    if what == "property" and not any(line.endswith(":") for line in lines):
        plain[name] = list(lines)
    elif isinstance(obj, type) and issubclass(obj, enum.Enum):
        said = dict(re.findall(r"^    ([A-Z_]+) = .*?# (.*)$", inspect.getsource(obj), re.MULTILINE))
        lines += [
            "",
            *(f"* ``{name}``: {said[name]}" if name in said else f"* ``{name}``" for name in obj.__members__),
            "",
        ]


def property_read(_app: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """A property's docstring after napoleon has read it, which takes what stands before a colon for its type."""
    if what == "property":
        lines[:] = plain.pop(name, lines)


def with_code(lines: list[str]) -> list[str]:
    """Mark the blocks of code."""
    marked: list[str] = []
    before = ""
    for line in lines:
        if line.startswith("    ") and marked and not marked[-1] and not before.startswith(" ") and before[-1:] != ":":
            marked += ["::", ""]
        marked.append(line)
        before = line if line.strip() else before
    return marked


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", docstring_read, priority=100)
    app.connect("autodoc-process-docstring", property_read, priority=900)
    app.connect("autodoc-skip-member", skips)
    app.connect("source-read", page_read)
    app.connect("include-read", file_included)
