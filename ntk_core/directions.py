"""Training directions d_t by a formula: what drives df/dt = -Theta d_t need not be a gradient (section 4.2).

A formula is arithmetic on f, y, x, t and pi, such as `f - y + 0.5*sin(t)`. It is parsed by a small grammar of its own:
no name, call or operator but those listed here is understood, and nothing is ever handed to Python's evaluator. The
same formula works on NumPy arrays and torch tensors; this module imports neither torch nor anything slow.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

LONGEST = 200  # characters
DEEPEST = 30  # of operations inside each other
LARGEST_POWER = 8.0
LARGEST_NUMBER = 1e6

FUNCTIONS = ("sin", "cos", "exp", "tanh", "abs", "sign", "sqrt", "log", "min", "max")
NAMES = ("f", "y", "x", "t", "pi")
_COORDINATE = re.compile(r"x([1-9][0-9]?)")

Function = Callable[[dict[str, Any], Any], Any]


class Direction(Protocol):
    """Anything that names a direction: `Formula`, or a function of the user's."""

    def __call__(self, f: Any, y: Any, x: Any, t: float) -> Any:
        """d_t at the training points, shaped like f (N, n_out): outputs f, targets y, inputs x (N, n_in), time t."""


@dataclass(frozen=True)
class Formula:
    """A direction by formula; each output is driven alone.

    Names: f an output, y its target, x (or x1) the first input, x2, x3, ... the others, t the time, pi.
    Functions: sin cos exp tanh abs sign sqrt log, min and max of two or more.
    Operators: + - * / and **, whose exponent is a number between -8 and 8.

    Raises:
        ValueError: the formula cannot be parsed; the sentence says where and what is allowed.
    """

    text: str

    def __post_init__(self) -> None:
        self._function  # noqa: B018 - parsed now, so that a formula that exists is one that works

    def __reduce__(self) -> tuple[type[Formula], tuple[str]]:
        return Formula, (self.text,)

    @cached_property
    def _function(self) -> Function:
        return _compiled(_parsed(self.text), 0)

    @cached_property
    def names(self) -> frozenset[str]:
        """Which of f, y, x, x1, ... and t it mentions."""
        found = {node.id for node in ast.walk(_parsed(self.text)) if isinstance(node, ast.Name)}
        return frozenset(found - {"pi", *FUNCTIONS})

    def check_inputs(self, n_in: int) -> None:
        """Raises a ValueError if the formula mentions an input beyond the n_in there are."""
        for name in self.names:
            if name.startswith("x") and int(name[1:] or 1) > n_in:
                raise ValueError(f"direction: {name} is not there, inputs have {n_in} coordinates")

    def __call__(self, f: Any, y: Any, x: Any, t: float) -> Any:
        """d_t shaped like f.

        Args:
            f: outputs (..., N, n_out), array or tensor.
            y: targets (N, n_out).
            x: inputs (N, n_in).
            t: time.

        Raises:
            ValueError: the inputs lack a coordinate; or a value is not finite, where a direction grows without bound.
        """
        self.check_inputs(x.shape[-1])
        xp = _library(f)
        values = {"f": f, "y": y, "t": float(t), "pi": math.pi, "x": x[..., :1]}
        values |= {name: x[..., int(name[1:]) - 1, None] for name in self.names if _COORDINATE.fullmatch(name)}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = self._function(values, xp) + 0 * f
        if not bool(xp.isfinite(found).all()):
            raise ValueError(f"direction: {self.text} is not a finite number everywhere at t = {t:g}")
        return found


@dataclass(frozen=True)
class TwoPlayers:
    """A game of two functions, as adversarial networks play it: output 0 is the player f, output 1 its critic h.

    f makes mean[h (f - y)] - penalty/2 mean[h^2] small and h makes it large, so that d = (h, penalty h - (f - y)). With
    a penalty both come to rest at f = y; without, they circle around it for ever and the integral of |d| grows with t.

    Raises:
        ValueError: the penalty is not a finite number >= 0.
    """

    penalty: float = 0.2

    def __post_init__(self) -> None:
        if not (math.isfinite(self.penalty) and self.penalty >= 0):
            raise ValueError(f"penalty: must be a finite number >= 0, got {self.penalty!r}")

    @property
    def matrix(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """M of d = M (f - y, h)."""
        return (0.0, 1.0), (-1.0, self.penalty)

    def __call__(self, f: Any, y: Any, x: Any, t: float) -> Any:
        """d_t shaped like f (..., N, 2); y (..., N, 2), whose first column is the target."""
        if f.shape[-1] != 2:
            raise ValueError(f"direction: two players need 2 outputs, got {f.shape[-1]}")
        return _library(f).stack([f[..., 1], self.penalty * f[..., 1] - (f[..., 0] - y[..., 0])], -1)


def get(direction: str | Direction) -> Direction:
    """A formula from its text, or the direction itself."""
    return Formula(direction) if isinstance(direction, str) else direction


def _library(f: Any) -> Any:
    """The module whose functions work on f."""
    if type(f).__module__.partition(".")[0] == "torch":
        import torch

        return torch
    return np


def _parsed(text: str) -> ast.expr:
    if not isinstance(text, str) or not text.strip():
        raise ValueError("direction: a formula is needed, such as f - y")
    if len(text) > LONGEST:
        raise ValueError(f"direction: at most {LONGEST} characters are allowed, got {len(text):,}")
    if "^" in text:
        raise ValueError("direction: powers are written **, as in f**3")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)
            return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, SyntaxWarning, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"direction: {_short(text)} is not a formula; one such is f - y + 0.5*sin(t)") from error


def _compiled(node: ast.expr, depth: int) -> Function:
    """The formula as functions inside functions; every kind of node that is allowed has its line here."""
    if depth > DEEPEST:
        raise ValueError(f"direction: at most {DEEPEST} operations may stand inside each other")
    if isinstance(node, ast.Constant):
        number = _number(node)
        return lambda values, xp: number
    if isinstance(node, ast.Name):
        return _name(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
        sign, inner = (-1.0 if isinstance(node.op, ast.USub) else 1.0), _compiled(node.operand, depth + 1)
        return lambda values, xp: sign * inner(values, xp)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        power, base = _exponent(node.right), _compiled(node.left, depth + 1)
        return lambda values, xp: _array(base(values, xp), values) ** power
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        operation = _OPERATIONS[type(node.op)]
        left, right = _compiled(node.left, depth + 1), _compiled(node.right, depth + 1)
        return lambda values, xp: operation(_array(left(values, xp), values), right(values, xp))
    if isinstance(node, ast.Call):
        return _call(node, depth)
    raise ValueError(
        f"direction: {_short(ast.unparse(node))} is not understood; allowed are + - * / **, numbers, "
        f"{', '.join(NAMES)} and {', '.join(FUNCTIONS)}"
    )


_OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}


def _array(value: Any, values: dict[str, Any]) -> Any:
    """Numbers become arrays like f, whose division by zero is infinite and not an error of Python's."""
    return value + 0 * values["f"] if isinstance(value, float) else value


def _number(node: ast.Constant) -> float:
    if isinstance(node.value, bool) or not isinstance(node.value, (int, float)) or abs(node.value) > LARGEST_NUMBER:
        raise ValueError(
            f"direction: {_short(ast.unparse(node))} is not a number between -{LARGEST_NUMBER:,.0f} "
            f"and {LARGEST_NUMBER:,.0f}"
        )
    return float(node.value)


def _exponent(node: ast.expr) -> float:
    sign, inner = (
        (-1.0, node.operand) if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else (1.0, node)
    )
    if not isinstance(inner, ast.Constant) or _number(inner) > LARGEST_POWER:
        raise ValueError(f"direction: an exponent must be a number between -{LARGEST_POWER:g} and {LARGEST_POWER:g}")
    return sign * _number(inner)


def _name(name: str) -> Function:
    if name not in NAMES and not _COORDINATE.fullmatch(name):
        raise ValueError(
            f"direction: {_short(name)} is not known; choose from {', '.join(NAMES)}, x2 and so on for further inputs, "
            f"and the functions {', '.join(FUNCTIONS)}"
        )
    return lambda values, xp: values[name]


def _call(node: ast.Call, depth: int) -> Function:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        raise ValueError(f"direction: the function {_short(name)} is not known; choose from {', '.join(FUNCTIONS)}")
    several = name in ("min", "max")
    if node.keywords or (len(node.args) < 2 if several else len(node.args) != 1):
        raise ValueError(f"direction: {name} takes {'two or more arguments' if several else 'one argument'}")
    arguments = [_compiled(argument, depth + 1) for argument in node.args]

    def evaluate(values: dict[str, Any], xp: Any) -> Any:
        found = [_array(argument(values, xp), values) for argument in arguments]
        if not several:
            return getattr(xp, name)(found[0])
        pick = xp.minimum if name == "min" else xp.maximum
        out = found[0]
        for other in found[1:]:
            out = pick(out, other)
        return out

    return evaluate


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
