"""With `--engine=agents` or `--engine=ray` the processes of these tests run on another machine."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from supervisor import ChildSpec, Supervisor, SupervisorSpec


@pytest.fixture(autouse=True)
def elsewhere(request, monkeypatch):
    """The `Supervisor` of the test's module places every actor where the engine says."""
    if request.config.getoption("--engine") == "local" or getattr(request.module, "Supervisor", None) is not Supervisor:
        return
    site = request.getfixturevalue("site")

    def placed(spec):
        if isinstance(spec, ChildSpec):
            return dataclasses.replace(spec, place=site.place)
        if isinstance(spec, SupervisorSpec):
            spec = copy.copy(spec)
            object.__setattr__(spec, "children", tuple(map(placed, spec.children)))
        return spec

    monkeypatch.setattr(
        request.module,
        "Supervisor",
        lambda *specs, **options: Supervisor(*map(placed, specs), **site.options, **options),
    )
