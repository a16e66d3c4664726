"""One daemon for all tests of `actorctl` that a worker runs."""

from __future__ import annotations

import pytest

from tests.support.control import daemon, short_folder


@pytest.fixture(scope="session")
def running():
    """Its folder and its pid."""
    with short_folder() as folder, daemon(folder) as process:
        yield folder, process.pid
