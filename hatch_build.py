"""How README.md becomes the page of the package: called by hatchling, when a wheel or an sdist is built.

Links of README.md are paths, right in a checkout. On the page of a package index they lead nowhere, so here they become
links into the repository whose address `PROJECT_URL` says, at the tag of the version; the release workflow knows it.
Without it nothing is made up: the words of a link stay, and the metadata has no URLs.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

try:
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # a test reads what is below without it
    MetadataHookInterface = object

_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#)([^)\s]+)\)")
PAGES = {
    "Documentation": "docs/README.md",
    "Changes": "CHANGELOG.md",
    "Security": "SECURITY.md",
}


def page(readme: str, files: str) -> str:
    """The README for a package index.

    Args:
        readme: the text, in Markdown.
        files: where the repository shows its files, `https://host/owner/name/blob/v1.0.0`; empty where nobody knows.
    """
    return _LINK.sub(rf"\1[\2]({files}/\3)" if files else r"\2", readme)


def urls(project: str, files: str) -> dict[str, str]:
    """The URLs for the metadata; none when the project's is not known."""
    if not project:
        return {}
    return {"Source": project, "Issues": f"{project}/issues"} | {
        name: f"{files}/{path}" for name, path in PAGES.items()
    }


class CustomMetadataHook(MetadataHookInterface):  # type: ignore[misc, valid-type]
    """Sets `readme` and `urls`, which pyproject.toml names as dynamic."""

    def update(self, metadata: dict[str, Any]) -> None:
        """See hatchling."""
        project = os.environ.get("PROJECT_URL", "").rstrip("/")
        files = f"{project}/blob/v{metadata['version']}" if project else ""
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": page(readme, files)}
        metadata["urls"] = urls(project, files)
