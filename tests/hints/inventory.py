"""Every text in ``tools/tagship`` that is printed as ``hint:`` or ``fix:``, found in the code.

A hint is the second argument of an error of ``tagship.errors`` (or of a class below one of them),
or the third of a ``Finding`` or a ``Reason``. Where that is a name or a call, the texts are those
that are assigned to it, returned by the function, or given by the callers. A text is named for the
function that has it: ``release.publish._check_branch``; a second one there ends in ``/2``.
"""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).parents[2] / "tools" / "tagship"
ROOTS = {"TagshipError", "Interrupted"}
FINDING = {"Finding", "Reason"}
TEXT_METHODS = {"join", "format", "replace"}
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Hint:
    """A text that is printed as a hint.

    Attributes:
        name: of the function that has it, and its number there from the second on.
        line: ``file:line``.
        source: the expression.
        pattern: matches what it can become.
        direct: the error is made in that very function.
    """

    name: str
    line: str
    source: str
    pattern: re.Pattern[str]
    direct: bool

    @property
    def function(self) -> str:
        """The name without the number."""
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class _Scope:
    """A function (or a module's top) in which a name stands."""

    module: str
    name: str
    node: FUNCTION | ast.Module
    is_method: bool = False


class _Code:
    """All modules, parsed; and who defines, calls and assigns what."""

    def __init__(self) -> None:
        self.scopes: list[_Scope] = []
        self.functions: dict[str, list[_Scope]] = defaultdict(list)
        self.modules: dict[str, _Scope] = {}
        self.calls: list[tuple[_Scope, ast.Call]] = []
        self.errors = set(ROOTS)
        for path in sorted(TOP.rglob("*.py")):
            module = ".".join(path.relative_to(TOP).with_suffix("").parts).removesuffix(".__init__")
            scope = _Scope(module, module, ast.parse(path.read_text(encoding="utf-8")))
            self.modules[module] = scope
            self._enter(scope, module, in_class=False)
        before = 0
        while before != len(self.errors):  # subclasses of subclasses
            before = len(self.errors)
            self.errors |= {c.name for c in self._classes() if self.errors & set(_bases(c))}

    def _classes(self) -> Iterator[ast.ClassDef]:
        for scope in self.modules.values():
            yield from (n for n in ast.walk(scope.node) if isinstance(n, ast.ClassDef))

    def _enter(self, scope: _Scope, prefix: str, *, in_class: bool) -> None:
        self.scopes.append(scope)
        for node in _own(scope.node):
            if isinstance(node, ast.Call):
                self.calls.append((scope, node))
            inner = node.body if isinstance(node, ast.ClassDef) else [node]
            for child in inner:
                if isinstance(child, FUNCTION):
                    is_method = isinstance(node, ast.ClassDef)
                    name = f"{prefix}.{node.name}" if isinstance(node, ast.ClassDef) else prefix
                    function = _Scope(scope.module, f"{name}.{child.name}", child, is_method)
                    self.functions[child.name].append(function)
                    self._enter(function, function.name, in_class=is_method)

    def hints(self) -> Iterator[tuple[_Scope, _Scope, ast.expr]]:
        """Where an error is made, where its hint stands, and the hint."""
        for scope, call in self.calls:
            name = _called(call)
            place = 1 if name in self.errors else 2 if name in FINDING else None
            if place is None or scope.name == "errors.TagshipError.__init__":
                continue
            for where, text in self._argument(scope, call, place):
                yield scope, where, text

    def _argument(
        self, scope: _Scope, call: ast.Call, place: int, depth: int = 16
    ) -> Iterator[tuple[_Scope, ast.expr]]:
        starred = next((a for a in call.args if isinstance(a, ast.Starred)), None)
        named = next((k.value for k in call.keywords if k.arg in ("hint", "fix")), None)
        if named is not None:
            yield from self.texts(scope, named, depth)
        elif starred is not None:
            element = place - call.args.index(starred)
            yield from self.texts(scope, starred.value, depth, element)
        elif len(call.args) > place:
            yield from self.texts(scope, call.args[place], depth)

    def texts(  # noqa: C901 - a case for each kind of expression
        self, scope: _Scope, node: ast.expr, depth: int = 16, element: int | None = None
    ) -> Iterator[tuple[_Scope, ast.expr]]:
        """The expressions that an expression can have as its text."""
        if depth == 0 or (isinstance(node, ast.Constant) and not node.value):
            return
        again = functools.partial(self.texts, depth=depth - 1, element=element)
        match node:
            case ast.IfExp():
                yield from again(scope, node.body)
                yield from again(scope, node.orelse)
            case ast.BoolOp():
                for value in node.values:
                    yield from again(scope, value)
            case ast.Tuple() if element is not None:
                yield from self.texts(scope, node.elts[element], depth - 1)
            case ast.Name():
                yield from self._named(scope, node.id, depth, element)
            case ast.Call() if _called(node) == "get" and isinstance(node.func, ast.Attribute):
                yield from again(scope, node.func.value)
                for value in node.args[1:]:
                    yield from again(scope, value)
            case ast.Dict():
                for value in node.values:
                    yield from again(scope, value)
            case ast.Call():
                functions = self._defined(scope, node)
                for function in functions:
                    for returned in _returns(function.node):
                        yield from self.texts(function, returned, depth - 1, element)
                if not functions and element is None:
                    yield scope, node
            case ast.Attribute() | ast.Subscript():
                return  # another error's own hint
            case _ if element is None:
                yield scope, node

    def _defined(self, scope: _Scope, call: ast.Call) -> list[_Scope]:
        functions = self.functions.get(_called(call), [])
        owner = call.func.value if isinstance(call.func, ast.Attribute) else None
        if _called(call) in TEXT_METHODS and not isinstance(owner, ast.Name):
            return []
        if owner is None:
            here = [f for f in functions if f.module == scope.module]
            return here or functions
        if isinstance(owner, ast.Name) and owner.id != "self":
            stem = owner.id.split("_")[-1]
            return [f for f in functions if f.module.split(".")[-1].endswith(stem)] or functions
        return functions

    def _named(
        self, scope: _Scope, name: str, depth: int, element: int | None
    ) -> Iterator[tuple[_Scope, ast.expr]]:
        assigned = list(_assigned(scope.node, name))
        for value, index in assigned:
            yield from self.texts(scope, value, depth - 1, element if index is None else index)
        if isinstance(scope.node, FUNCTION):
            parameters = _parameters(scope.node)
            if name in parameters:
                yield from self._given(scope, name, parameters, depth)
            elif not assigned:
                yield from self._named(self.modules[scope.module], name, depth, element)
        elif not assigned:
            yield from self._imported(scope, name, depth)

    def _imported(self, scope: _Scope, name: str, depth: int) -> Iterator[tuple[_Scope, ast.expr]]:
        for node in ast.walk(scope.node):
            if isinstance(node, ast.ImportFrom) and name in [a.name for a in node.names]:
                module = (node.module or "").removeprefix("tagship.")
                if module in self.modules and module != scope.module:
                    yield from self._named(self.modules[module], name, depth - 1, None)

    def _given(
        self, scope: _Scope, name: str, parameters: list[str], depth: int
    ) -> Iterator[tuple[_Scope, ast.expr]]:
        """What the callers give for a parameter, and its default."""
        assert isinstance(scope.node, FUNCTION)
        default = _default(scope.node, name)
        if default is not None:
            yield from self.texts(scope, default, depth - 1)
        place = parameters.index(name) - scope.is_method
        short = scope.node.name
        for caller, call in self.calls:
            if _called(call) != short or scope not in self._defined(caller, call):
                continue
            keyword = next((k.value for k in call.keywords if k.arg == name), None)
            value = keyword or (call.args[place] if 0 <= place < len(call.args) else None)
            if value is not None and not isinstance(value, ast.Starred):
                yield from self.texts(caller, value, depth - 1)


@functools.cache
def all_hints() -> dict[str, Hint]:
    """Every hint by its name."""
    code = _Code()
    places: dict[tuple[str, int, int], tuple[_Scope, ast.expr, bool]] = {}
    for maker, scope, node in code.hints():
        key = (scope.module, node.lineno, node.col_offset)
        direct = maker == scope or (key in places and places[key][2])
        places[key] = (scope, node, direct)
    count: dict[str, int] = defaultdict(int)
    hints = {}
    for (module, line, _), (scope, node, direct) in sorted(places.items(), key=lambda i: i[0]):
        count[scope.name] += 1
        number = count[scope.name]
        name = scope.name if number == 1 else f"{scope.name}/{number}"
        where = f"{module.replace('.', '/')}.py:{line}"
        pattern = re.compile(_pattern(node), re.DOTALL)
        hints[name] = Hint(name, where, ast.unparse(node), pattern, direct)
    return hints


def _pattern(node: ast.expr) -> str:
    match node:
        case ast.Constant():
            return re.escape(str(node.value))
        case ast.JoinedStr():
            return "".join(_pattern(part) for part in node.values)
        case ast.BinOp(op=ast.Add()):
            return _pattern(node.left) + _pattern(node.right)
    return ".*"


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, but not of the functions in it."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, FUNCTION | ast.ClassDef):
            yield from _own(child)
        elif isinstance(child, ast.ClassDef):
            for inner in child.body:
                if not isinstance(inner, FUNCTION):
                    yield from _own(inner)


def _bases(node: ast.ClassDef) -> list[str]:
    return [b.id if isinstance(b, ast.Name) else getattr(b, "attr", "") for b in node.bases]


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _returns(node: ast.AST) -> Iterator[ast.expr]:
    for inner in _own(node):
        if isinstance(inner, ast.Return) and inner.value is not None:
            yield inner.value


def _assigned(node: ast.AST, name: str) -> Iterator[tuple[ast.expr, int | None]]:
    """What is assigned to a name, and which element of it."""
    for inner in _own(node):
        targets = (
            inner.targets if isinstance(inner, ast.Assign)
            else [inner.target] if isinstance(inner, ast.AnnAssign | ast.AugAssign | ast.NamedExpr)
            else []
        )  # fmt: skip
        value = getattr(inner, "value", None)
        if value is None:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield value, None
            elif isinstance(target, ast.Tuple):
                names = [t.id if isinstance(t, ast.Name) else "" for t in target.elts]
                if name in names:
                    yield value, names.index(name)


def _parameters(node: FUNCTION) -> list[str]:
    return [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]


def _default(node: FUNCTION, name: str) -> ast.expr | None:
    positional = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(positional) - len(node.args.defaults)) + list(node.args.defaults)
    pairs = [*zip(positional, defaults, strict=True)]
    pairs += [*zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)]
    return next((value for argument, value in pairs if argument.arg == name), None)
