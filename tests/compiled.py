"""Tests that cannot run on the compiled core, see deploy/compiled.py."""

import pytest

from bench.results import COMPILED

as_source = pytest.mark.skipif(COMPILED, reason="compiled code calls what it was compiled with")
