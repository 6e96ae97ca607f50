"""`oncue check` as people and programs use it."""

import json
from pathlib import Path

from flows import checking
from flows.playbooks import __file__ as playbooks
from tests.program import Program

RETAIL = Path(playbooks).parent / "retail.yaml"


def test_check_says_what_is_wrong_where_and_what_was_meant(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(
        "scope: shop\nsources: {web: {}}\nidentifiers: {user: {}}\ntriggers:\n  t: {kind: abscence}\n"
    )
    (tmp_path / "latin.yaml").write_bytes("scope: shöp".encode("latin-1"))
    files = RETAIL, bad, tmp_path / "latin.yaml"
    program = Program(tmp_path / "log", "check", *files)
    assert program.wait() == 2
    assert f"{bad}:3: identifiers.user: unknown; did you mean 'user_id'?" in program.said
    assert f"{bad}:5: triggers.t.kind: unknown 'abscence'; did you mean 'absence'?" in program.said
    assert f"{bad}:5: triggers.t.on: is missing" in program.said
    assert "latin.yaml:1: file: not UTF-8 text" in program.said
    assert "cart_abandoned: Product Added or Product Removed, then no Order Completed for 15m" in program.said


def test_check_gives_a_program_the_same_as_json(tmp_path: Path) -> None:
    program = Program(tmp_path / "log", "check", "--json", RETAIL)
    assert program.wait() == 0, program.said
    assert json.loads(program.said) == [checking.check(RETAIL)]


def test_what_is_no_yaml_is_shown_with_line_and_column(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("scope: shop\nsources: {web: {}\nidentifiers: [\n")
    (found,) = checking.check(bad)["mistakes"]
    assert (found["line"], found["path"]) == (3, "file")
    assert "line 3, column 1: not YAML" in found["problem"]
