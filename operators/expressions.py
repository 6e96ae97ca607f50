"""Conditions in a playbook: a safe subset of Python expressions, checked and compiled once.

Allowed: the declared names, numbers, strings, True, False, None, `and or not`, comparisons, `in` a
tuple or list of constants, `+ - * / // %`, and parentheses. A comparison with a value that is not
there (None) is false instead of an error.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping
from difflib import get_close_matches
from typing import Any

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE,
    ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Name, ast.Load, ast.Constant,
    ast.Tuple, ast.List,
)  # fmt: skip


class Expression:
    """A compiled condition. `names` are the facts it reads.

    >>> Expression("orders_30d == 0 and basket_value > 2000", {"orders_30d", "basket_value"}).test(
    ...     {"orders_30d": 0, "basket_value": 3579})
    True

    Raises ValueError that says what is wrong and, for a misspelt name, what may have been meant.
    """

    def __init__(self, text: str, known: Collection[str]) -> None:
        try:
            tree = ast.parse(text, mode="eval")
        except SyntaxError as error:
            raise ValueError(f"cannot read the condition {text!r}: {error.msg}") from None
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED):
                raise ValueError(f"{type(node).__name__} is not allowed in a condition: {text!r}")
            if isinstance(node, ast.Name) and node.id not in known:
                near = get_close_matches(node.id, list(known), 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"unknown name {node.id!r} in the condition {text!r}{hint}")
        self.text = text
        self.names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        code = compile(ast.fix_missing_locations(_Guarded().visit(tree)), "<condition>", "eval")
        self._run: Callable[[dict[str, Any], Mapping[str, Any]], Any] = lambda g, facts: eval(code, g, facts)

    def test(self, facts: Mapping[str, Any]) -> bool:
        """Whether the condition holds. Raises what the expression raises, such as ZeroDivisionError."""
        try:
            return bool(self._run({"__builtins__": {}}, facts))
        except TypeError:
            if any(facts.get(name) is None for name in self.names):
                return False
            raise

    def value(self, facts: Mapping[str, Any]) -> Any:
        """What the expression amounts to; None where that cannot be said: a value is not there or of
        another kind, or it would divide by zero.

        >>> Expression("a / b", {"a", "b"}).value({"a": 1, "b": 0})
        """
        try:
            return self._run({"__builtins__": {}}, facts)
        except (TypeError, ValueError, ArithmeticError):
            return None


class _Guarded(ast.NodeTransformer):
    """`a > 5` becomes `a is not None and a > 5`, so that it is false where there is no `a`."""

    def visit_Compare(self, node: ast.Compare) -> ast.expr:
        if not any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in node.ops):
            return node
        names = dict.fromkeys(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
        there: list[ast.expr] = [
            ast.Compare(ast.Name(name, ast.Load()), [ast.IsNot()], [ast.Constant(None)]) for name in names
        ]
        return ast.BoolOp(ast.And(), [*there, node]) if there else node
