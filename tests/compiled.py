"""Whether the tests run on the compiled core, see deploy/compiled.py."""

import pytest

from operators import customers

COMPILED = not str(customers.__file__).endswith(".py")
as_source = pytest.mark.skipif(COMPILED, reason="compiled code calls what it was compiled with")
