"""What is compiled keeps the format of the state."""

import ast

import pytest

from deploy import compiled


@pytest.mark.parametrize("module", compiled.COMPILED)
def test_no_compiled_module_defines_what_msgspec_stores(module: str) -> None:
    tree = ast.parse((compiled.ROOT / module).read_text())
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    stored = [it.name for it in classes if any("Struct" in ast.unparse(base) for base in it.bases)]
    assert not stored, "mypyc drops what msgspec must know of them: define them in other modules"
