"""The plan of the house: who may import whom, which rooms are pure, and what the daemon never loads.

Imports are read from the source, those for types only and those inside functions included. A
violation is told with file, line and rule; the last tests make sure that one would be.
"""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import scicat_watch

PACKAGE = "scicat_watch"
SOURCE = Path(scicat_watch.__file__).parent

BASE = frozenset(
    {
        "model",
        "progress",
        "scanstate",
        "documents",
        "errors",
        "clock",
        "files",
        "kernel",
        "locks",
        "processes",
        "words",
        "yamltext",
    }
)
ROOMS = frozenset({"discovery", "ledger", "pipeline", "catalogue", "embedded"})
PARAMETERS = frozenset(
    {"discovery.rules", "ledger.rules", "pipeline.handover", "catalogue.options", "embedded.options"}
)
"""What each room is told, as frozen dataclasses of its own; `settings` builds them."""
BORDER = frozenset({"pipeline.handover", "pipeline.schema", "pipeline.plugins", "pipeline.belonging"})
"""What both sides of the process border know."""
PLAN: dict[str, tuple[frozenset[str], str]] = {
    "model": (frozenset({"words"}), "model imports only words"),
    "errors": (frozenset(), "errors imports nothing of ours"),
    "clock": (frozenset({"errors"}), "clock imports only errors"),
    "settings": (BASE | PARAMETERS, "settings imports only the base and the rooms' parameters"),
    "discovery": (BASE, "discovery imports only the base, and no other room"),
    "ledger": (BASE, "ledger imports only the base, and no other room"),
    "catalogue": (BASE, "catalogue imports only the base, and no other room"),
    "embedded": (BASE, "embedded imports only the base, and no other room"),
    "pipeline.handover": (BASE | {"pipeline.schema"}, "handover knows only the base and the schema language"),
    "pipeline.plugins": (BASE, "what finds other packages' plug-ins knows only the base"),
    "pipeline.belonging": (BASE, "which names belong to a scan is known to both sides, and knows only the base"),
    "pipeline.schema": (BASE, "the schema language knows only the base: neither reading nor assembly"),
    "pipeline.reading": (BASE | BORDER, "reading and assembly meet in handover and schema only"),
    "pipeline.assembly": (BASE | BORDER, "reading and assembly meet in handover and schema only"),
    "service": (
        BASE | ROOMS | {"settings", "schemas"},
        "service imports rooms, settings, the base, not the commands",
    ),
    "compat": (BASE | ROOMS | {"settings", "schemas", "service"}, "compat stands on the service, not on the commands"),
    "cli": (BASE | {"settings", "service", "compat", ""}, "cli imports only service, compat, settings and the base"),
    "__main__": (frozenset({"cli"}), "__main__ only runs the commands"),
}
"""Rooms, and what each may import beside itself. The longest name that fits a module is its room."""
OF_BASE = (BASE, f"the base imports only the base: {', '.join(sorted(BASE))}")
SHARED_BY_COMMANDS = frozenset(
    {"cli", "cli.options", "cli.lines"}
)  # The file of a verb is loaded when the verb is called.
HEAVY = frozenset({"h5py", "hdf5plugin", "matplotlib", "silx", "fastapi", "uvicorn", "starlette", "numpy", "PIL"})
READS_FILES = frozenset({"h5py", "hdf5plugin", "silx", "fabio"})
"""What only worker processes load."""
WRITES_FILES = frozenset({"service.simulator"})
"""Writes NeXus files for the demo, in a process of its own."""

# Modules that are functions of values: what they must not import. Others that say "Pure" in their first
# paragraph are held to the same.
PURE = frozenset(
    {"discovery.listfile", "discovery.settle", "ledger.plan", "pipeline.schema.model", "pipeline.schema.selector",
     "pipeline.assembly.operators", "pipeline.assembly.convert", "pipeline.assembly.dataset", "embedded.query"}
)  # fmt: skip
IMPURE = frozenset(
    {"os", "h5py", "requests", "urllib3", "sqlite3", "threading", "time", "socket", "subprocess", "shutil", "tempfile",
     "random", "multiprocessing", "asyncio"}
)  # fmt: skip

MAKERS: dict[str, frozenset[str]] = {
    "catalogue.scicat.connect": frozenset(),
    "catalogue.http": frozenset(),
    "pipeline.assembly.schemas": frozenset({"service.check"}),  # Checks the schemas of a site, and uses none.
    "service.executors.local": frozenset(),
    "service.catalogue_process": frozenset(),
    "embedded.app": frozenset({"service.serving"}),
    # Both are used where they are given.
    "ledger.journal:Journal": frozenset({"service.reporting.journal", "service.status", "service.lost"}),
    "ledger.ledger:BeamtimeLedger": frozenset(
        {"service.work", "service.once", "service.oneshot", "service.targets", "service.rechecks"}
    ),
    "discovery.events.choose": frozenset(),
    "discovery.events.inotify": frozenset(),
}
"""What is made from settings, and which modules beside `service.site` may know it; none of these makes one."""
NEVER_WIRED = frozenset({"catalogue.http", "embedded.app", "discovery.events.inotify"})
"""Makers that not even the site uses: `connect` and `open_source` do, and what serves the embedded catalogue."""


@dataclass(frozen=True)
class Import:
    """One import of a module, by its place."""

    module: str
    """The module that imports, without the package's name, e.g. "ledger.plan"."""
    file: str
    line: int
    target: str
    """What is imported, e.g. "os.path" or "scicat_watch.model"."""
    names: tuple[str, ...]
    lazy: bool
    """Whether only a call of some function imports it."""

    @property
    def ours(self) -> str | None:
        """The module of ours that is imported; None for another's."""
        return self.target.removeprefix(f"{PACKAGE}.") if self.target.startswith(f"{PACKAGE}.") else None

    def breaks(self, rule: str) -> str:
        return f"{self.file}:{self.line}: {self.module} imports {self.target}: {rule}"


def modules(source: Path) -> dict[str, Path]:
    """All modules below a package's directory; a package itself by the name of its directory."""
    found = {}
    for file in sorted(source.rglob("*.py")):
        parts = file.relative_to(source).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(module: str, file: Path, known: frozenset[str]) -> Iterator[Import]:
    """The imports of one module; `known`: the modules of the package, to tell a module from a name in it."""
    tree = ast.parse(file.read_text(encoding="utf-8"), file)
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]
    lazy = {id(inner) for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, str(file), node.lineno, alias.name, (), id(node) in lazy)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            origin = _absolute(module, file, node)
            submodules = [name for name in names if f"{origin}.{name}".removeprefix(f"{PACKAGE}.") in known]
            for name in submodules:
                yield Import(module, str(file), node.lineno, f"{origin}.{name}", (), id(node) in lazy)
            if rest := tuple(name for name in names if name not in submodules):
                yield Import(module, str(file), node.lineno, origin, rest, id(node) in lazy)


def _absolute(module: str, file: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = [PACKAGE, *module.split(".")]
    above = parts[: len(parts) - node.level + (file.name == "__init__.py")]
    return ".".join([*above, node.module] if node.module else above)


def top(module: str) -> str:
    return module.partition(".")[0]


def room(module: str) -> str:
    """The room of the plan that a module is in; the module's first part if it is in none."""
    fitting = [name for name in PLAN if within(module, name)]
    return max(fitting, key=len) if fitting else top(module)


def within(module: str, place: str) -> bool:
    return module == place or (bool(place) and module.startswith(f"{place}."))


def broken_import_rules(found: Import) -> Iterator[str]:
    """What is wrong with one import."""
    outside = found.target.partition(".")[0]
    if outside in READS_FILES and room(found.module) != "pipeline.reading" and found.module not in WRITES_FILES:
        yield found.breaks("only pipeline.reading opens data files")
    ours = found.ours
    if ours is None:
        return
    home, target = room(found.module), room(ours)
    allowed, rule = _table(found.module)
    if target != home and not any(within(ours, place) for place in allowed):
        yield found.breaks(rule)
    if found.module in SHARED_BY_COMMANDS and target == "service" and not found.lazy:
        yield found.breaks("commands load the service only when they run")
    if target != home:
        for name in found.names:
            if name.startswith("_") and not name.startswith("__"):
                yield found.breaks(f"{name} is private to {target}")


def _table(module: str) -> tuple[frozenset[str], str]:
    if room(module) in PLAN:
        return PLAN[room(module)]
    return OF_BASE if module in BASE else (frozenset(), f"{room(module)} is no room of the plan")


def broken_purity(found: Import, pure: frozenset[str]) -> Iterator[str]:
    """Whether a pure module imports what touches the world."""
    if found.module in pure and found.target.partition(".")[0] in IMPURE:
        yield found.breaks("pure modules touch no files, sockets, clocks, threads or data bases")


def says_pure(file: Path) -> bool:
    """Whether the first paragraph of the module's docstring ends with the word."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    first = text.partition("\n\n")[0]
    return "Pure." in first or "Pure:" in first


def makes(found: Import, maker: str) -> bool:
    """Whether an import brings a maker: a module, or one name of a module, e.g. "ledger.journal:Journal"."""
    module, _, name = maker.partition(":")
    return found.ours is not None and within(found.ours, module) and (not name or name in found.names)


def wirings(source: Path) -> list[str]:
    """Where service and commands make what only the site makes, inside functions and for types included."""
    known = modules(source)
    found = [
        one
        for module, file in known.items()
        if top(module) in ("service", "cli") and module != "service.site"
        for one in imports(module, file, frozenset(known))
    ]
    return [
        one.breaks(f"only service.site makes {maker}")
        for one in found
        for maker, knowing in MAKERS.items()
        if one.module not in knowing and one.module != maker and makes(one, maker)
    ] + [text for module in known if top(module) in ("service", "cli") for text in _made(module, known[module])]


def _made(module: str, file: Path) -> Iterator[str]:
    """Calls of a maker's class in modules that may know it, but only as what they are given."""
    classes = {maker.partition(":")[2] for maker, knowing in MAKERS.items() if module in knowing} - {""}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), file)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
            yield f"{file}:{node.lineno}: {module} makes a {node.func.id}: only service.site does"


def violations(source: Path) -> list[str]:
    """Everything in a package that breaks the plan."""
    known = modules(source)
    pure = PURE | {module for module, file in known.items() if says_pure(file)}
    names = frozenset(known)
    found = [one for module, file in known.items() for one in imports(module, file, names)]
    return [text for one in found for text in (*broken_import_rules(one), *broken_purity(one, pure))]


def test_the_plan_is_kept() -> None:
    assert violations(SOURCE) == []


def circle(source: Path) -> list[str]:
    """Modules that import each other in a circle, lazily or for types included; empty if there is none."""
    known = modules(source)
    names = frozenset(known)
    graph = {
        module: {one.ours for one in imports(module, file, names) if one.ours in names and one.ours != module}
        for module, file in known.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other_in_a_circle(tmp_path: Path) -> None:
    assert circle(SOURCE) == []
    lazily = "def f():\n    from scicat_watch.ledger.plan import y"
    made = _package(tmp_path, ledger__plan="from scicat_watch.ledger.x import y", ledger__x=lazily)
    assert set(circle(made)) == {"ledger.plan", "ledger.x"}


def test_every_pure_module_of_the_plan_is_there() -> None:
    assert modules(SOURCE).keys() >= PURE


@pytest.mark.parametrize("place", ["service", "cli"])
def test_only_the_site_wires_the_rooms(place: str) -> None:
    assert [text for text in wirings(SOURCE) if text.startswith(f"{SOURCE / place}")] == []


def test_the_site_wires_all_that_is_wired() -> None:
    known = modules(SOURCE)
    site = list(imports("service.site", known["service.site"], frozenset(known)))
    assert {maker for maker in MAKERS if any(makes(one, maker) for one in site)} == MAKERS.keys() - NEVER_WIRED


@pytest.mark.parametrize("module", ["service.daemon.daemon", "service.site", "service.work", "service.oneshot", "cli"])
def test_the_daemon_loads_no_reader_no_plotter_and_no_server(module: str) -> None:
    program = f"import sys, {PACKAGE}.{module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(told.stdout.split()) & HEAVY == set()


def test_the_help_of_the_commands_loads_no_room() -> None:
    program = (
        f"import sys, {PACKAGE}.cli as cli; cli.cli.list_commands(None)\n"
        f"print(*[name for name in sys.modules if name.startswith(('{PACKAGE}.service', '{PACKAGE}.pipeline'))])"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.split() == []


def _package(directory: Path, **sources: str) -> Path:
    for name, text in sources.items():
        file = directory.joinpath(*name.split("__")).with_suffix(".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return directory


@pytest.mark.parametrize(
    ("name", "text", "rule"),
    [
        ("ledger__x", "from scicat_watch.discovery import watch", "no other room"),
        ("ledger__x", "import scicat_watch.discovery.watch", "no other room"),
        ("ledger__x", "from ..discovery import watch", "no other room"),
        ("ledger__x", "def f():\n    from scicat_watch.catalogue.http import Http", "no other room"),
        (
            "ledger__x",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import scicat_watch.embedded.app",
            "no other room",
        ),
        ("ledger__x", "from scicat_watch.settings.load import load", "no other room"),
        ("discovery__x", "from scicat_watch.settings.model import Settings", "no other room"),
        ("pipeline__reading__x", "from scicat_watch.pipeline.assembly import operators", "meet in handover"),
        ("pipeline__assembly__x", "from scicat_watch.pipeline.reading.filelist import look", "meet in handover"),
        ("pipeline__schema__x", "from scicat_watch.pipeline.assembly import lint", "neither reading nor assembly"),
        ("pipeline__assembly__x", "import h5py", "only pipeline.reading opens data files"),
        ("compat__x", "from scicat_watch.cli import main", "not on the commands"),
        ("discovery__x", "from scicat_watch.service.site import Site", "no other room"),
        ("model", "from scicat_watch.errors import ConfigError", "imports only words"),
        ("files", "from scicat_watch.settings.model import Settings", "only the base"),
        ("settings__x", "from scicat_watch.ledger import plan", "only the base"),
        ("service__x", "from scicat_watch.cli import main", "not the commands"),
        ("cli__x", "def f():\n    from scicat_watch.ledger.journal import Journal", "cli imports only"),
        ("cli__options", "from scicat_watch.service.daemon.daemon import run", "only when they run"),
        ("service__x", "from scicat_watch.ledger.ledger import _hidden", "private"),
        ("ledger__plan", "import os", "pure"),
        ("embedded__query", "def f():\n    import sqlite3", "pure"),
        ("pipeline__schema__new", '"""Sums. Pure: no I/O."""\nfrom time import sleep', "pure"),
        ("attic__x", "from scicat_watch.model import Scan", "no room of the plan"),
    ],
)
def test_a_violation_is_told_with_file_line_and_rule(tmp_path: Path, name: str, text: str, rule: str) -> None:
    source = _package(tmp_path, **{name: text})
    (told,) = violations(source)
    line = next(number for number, code in enumerate(text.splitlines(), 1) if "import " in code and "TYPE" not in code)
    assert told.startswith(f"{source.joinpath(*name.split('__'))}.py:{line}: ")
    assert rule in told


@pytest.mark.parametrize(
    ("name", "text", "maker"),
    [
        ("service__x", "from scicat_watch.catalogue.scicat.connect import connect", "catalogue.scicat.connect"),
        ("service__x", "def f():\n    from scicat_watch.catalogue.scicat import connect", "catalogue.scicat.connect"),
        ("service__deep__x", "import scicat_watch.service.executors.local", "service.executors.local"),
        ("service__check", "from scicat_watch.catalogue.http import HttpClient", "catalogue.http"),
        ("cli__x", "def f():\n    from scicat_watch.service.catalogue_process import X", "service.catalogue_process"),
        ("service__x", "from scicat_watch.ledger.journal import Entry, Journal", "ledger.journal:Journal"),
        ("service__x", "from scicat_watch.pipeline.assembly import schemas", "pipeline.assembly.schemas"),
        (
            "service__work",
            "from scicat_watch.ledger.ledger import BeamtimeLedger\ndef f():\n    return BeamtimeLedger()",
            "makes a BeamtimeLedger",
        ),
    ],
)
def test_who_wires_beside_the_site_is_told(tmp_path: Path, name: str, text: str, maker: str) -> None:
    known = (
        "service__executors__local",
        "service__catalogue_process",
        "catalogue__scicat__connect",
        "pipeline__assembly__schemas",
    )
    source = _package(tmp_path, **dict.fromkeys(known, ""), **{name: text})
    (told,) = wirings(source)
    assert told.startswith(f"{source.joinpath(*name.split('__'))}.py:")
    assert maker in told


def test_what_may_know_a_maker_is_not_told(tmp_path: Path) -> None:
    source = _package(
        tmp_path,
        service__site="from scicat_watch.catalogue.scicat.connect import connect\nconnect()",
        service__reporting__journal="from scicat_watch.ledger.journal import Journal\ndef f(journal: Journal): ...",
        service__status="from scicat_watch.ledger.journal import Entry",
        service__check="from scicat_watch.pipeline.assembly import schemas\nschemas.check(None)",
        compat__x="from scicat_watch.catalogue.scicat.connect import connect",
    )
    assert wirings(source) == []


def test_what_the_plan_allows_is_not_told(tmp_path: Path) -> None:
    source = _package(
        tmp_path,
        ledger__x="import os\nfrom scicat_watch.model import Scan\nfrom scicat_watch.ledger.plan import _private",
        settings__x="from scicat_watch.ledger.rules import RetryRules",
        pipeline__reading__x="import h5py\nfrom scicat_watch.pipeline.schema.model import Schema",
        cli__x="from scicat_watch.settings.model import Settings\ndef f():\n    import scicat_watch.service.site",
        service__x="from scicat_watch.ledger.plan import plan",
    )
    assert violations(source) == []
