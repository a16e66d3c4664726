"""Traces: a traceback comes out also where nothing can be imported any more."""

from __future__ import annotations

import sys

import pytest

from actors.process.traceback_text import traced


@pytest.fixture
def error():
    try:
        raise ValueError("oh")
    except ValueError as caught:
        return caught


def test_as_python_writes_it(error):
    """With the line that raised."""
    text = traced(error, error.__traceback__)
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith('    raise ValueError("oh")\nValueError: oh\n')


def test_where_nothing_can_be_imported(error, monkeypatch):
    """File, line and function are told."""
    monkeypatch.setitem(sys.modules, "traceback", None)
    begin, place, end = traced(error, error.__traceback__).splitlines()
    assert "Traceback (places only):" == begin
    assert place == f'  File "{__file__}", line {error.__traceback__.tb_lineno}, in error'
    assert "ValueError" == end
