"""Conditions in a playbook: a safe subset of Python expressions, checked and compiled once.

Allowed: names, numbers, strings, True, False, None, `and or not`, comparisons, `in` a tuple or list of
constants, `+ - * / // %`, and parentheses. A comparison with a value that is not there (None) is false
instead of an error.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Collection
from typing import Any

from operators.hints import near

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Add,
    ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE,
    ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.Name, ast.Load, ast.Constant,
    ast.Tuple, ast.List,
)  # fmt: skip
_ARITHMETIC = (
    ast.Expression, ast.BinOp, ast.operator, ast.UnaryOp, ast.USub, ast.Name, ast.Load, ast.Constant,
)  # fmt: skip
_DIVIDE = (ast.Div, ast.FloorDiv, ast.Mod)
_Run = Callable[..., Any]


class Expression:
    """A compiled condition. `names` are the facts it reads.

    Parameters
    ----------
    text
        The condition as written.
    known
        The names it may use; None for the properties of an event, which are the sender's.

    >>> Expression("orders_30d == 0 and basket_value > 2000", {"orders_30d", "basket_value"}).test(
    ...     {"orders_30d": 0, "basket_value": 3579})
    True
    >>> Expression("results == 0", None).test({"query": "shoes"})
    False

    Raises ValueError that says what is wrong and, for a misspelt name, what may have been meant.
    """

    def __init__(self, text: str, known: Collection[str] | None) -> None:
        try:
            tree = ast.parse(text.strip(), mode="eval")
        except (SyntaxError, ValueError) as error:
            said = error.msg if isinstance(error, SyntaxError) else error
            raise ValueError(f"cannot read the condition {text!r}: {said}") from None
        for node in ast.walk(tree):
            if not isinstance(node, _ALLOWED):
                raise ValueError(f"{type(node).__name__} is not allowed in a condition: {text!r}")
            if isinstance(node, ast.Name) and known is not None and node.id not in known:
                hint = near(node.id, known)
                raise ValueError(f"unknown name {node.id!r} in the condition {text!r}{hint}")
        self.text = text
        self.names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
        self._reads = sorted(self.names)
        self._arithmetic = all(isinstance(node, _ARITHMETIC) for node in ast.walk(tree))
        foreseen = _compiled(_foreseen(copy.deepcopy(tree.body)), self._reads)
        self._test = _compiled(_Guarded().visit(tree.body), self._reads)
        self._value = foreseen if self._arithmetic else self._test

    def test(self, facts: dict[str, Any]) -> bool:
        """Whether the condition holds. Raises what the expression raises, such as ZeroDivisionError."""
        known = [facts.get(name) for name in self._reads]
        try:
            return bool(self._test(*known))
        except TypeError:
            if any(value is None for value in known):
                return False
            raise

    def value(self, facts: dict[str, Any]) -> Any:
        """What the expression amounts to; None where that cannot be said: a value is not there or of
        another kind, or it would divide by zero.

        >>> Expression("a / b", {"a", "b"}).value({"a": 1, "b": 0})
        """
        known: list[Any] = []
        for name in self._reads:
            fact = facts.get(name)
            if fact is None and self._arithmetic:
                return None
            known.append(fact)
        try:
            return self._value(*known)
        except (TypeError, ValueError, ArithmeticError):
            return None


def _compiled(body: ast.expr, names: list[str]) -> _Run:
    """A function of the values of `names`, in this order."""
    takes = ast.arguments([], [ast.arg(name) for name in names], None, [], [], None, [])
    code = ast.fix_missing_locations(ast.Expression(ast.Lambda(takes, body)))
    found: _Run = eval(compile(code, "<condition>", "eval"), {"__builtins__": {}})
    return found


def _foreseen(body: ast.expr) -> ast.expr:
    """Arithmetic that is None at once where it would divide by zero, as the ratios of most customers would:
    raising and catching an error takes ten times as long."""
    zero: list[ast.expr] = [
        ast.UnaryOp(ast.Not(), copy.deepcopy(node.right))
        for node in reversed([*ast.walk(body)])  # what is inside is asked first
        if isinstance(node, ast.BinOp) and isinstance(node.op, _DIVIDE)
    ]
    for reason in reversed(zero):
        body = ast.IfExp(reason, ast.Constant(None), body)
    return body


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
