"""The house rules that a linter does not know, held as tests. Failures list every offender."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("raftlog", "metadata", "partitions", "cli", "jepsen")
PACKAGES_AND_TESTS = (*PACKAGES, "tests", "bench")

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FUNCTION_LINES_P95 = 40
ESSAY_CHARACTERS_MIN = 200

# Spelled in two halves so that this file does not find itself.
UNSAFE_MODULES = {"pick" + "le", "cpick" + "le", "mar" + "shal", "shel" + "ve", "di" + "ll"}
LEFTOVER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")


def python_files(*tops: str) -> list[Path]:
    """Python files below the named directories, sorted."""
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """The file, parsed once for all tests."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(place, number of lines) of every function in the file, docstring included."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            place = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
            yield place, node.end_lineno - node.lineno + 1


def imported_modules(path: Path) -> Iterator[str]:
    """Top-level names of all modules a file imports, wherever in the file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield (node.module or "").split(".")[0]


def calls_to(path: Path, module: str, function: str) -> Iterator[int]:
    """Lines that call `module.function`, or import it by name."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Attribute) and node.attr == function:
            if isinstance(node.value, ast.Name) and node.value.id == module:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == module:
            if any(alias.name == function for alias in node.names):
                yield node.lineno


def report(offenders: list[str]) -> str:
    """One offender per line."""
    return "\n" + "\n".join(offenders)


def test_no_file_is_too_long() -> None:
    lengths = {
        path: len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files(*PACKAGES_AND_TESTS)
    }
    offenders = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path, lines in lengths.items()
        if lines > FILE_LINES_MAX
    ]
    assert not offenders, report(offenders)


def test_no_function_is_too_long() -> None:
    offenders = [
        f"{place}: {lines} lines"
        for path in python_files(*PACKAGES_AND_TESTS)
        for place, lines in functions(path)
        if lines > FUNCTION_LINES_MAX
    ]
    assert not offenders, report(offenders)


def test_most_functions_are_short() -> None:
    lengths = sorted(lines for path in python_files(*PACKAGES) for _, lines in functions(path))
    assert lengths, "no functions found: are the package names right?"
    p95 = lengths[int(len(lengths) * 0.95)]
    assert p95 <= FUNCTION_LINES_P95, f"95th percentile of function length is {p95} lines"


def test_nothing_that_runs_code_from_bytes_is_imported() -> None:
    offenders = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in python_files(*PACKAGES_AND_TESTS)
        for module in imported_modules(path)
        if module.lower() in UNSAFE_MODULES
    ]
    assert not offenders, report(offenders)


def test_nothing_sleeps_on_the_wall_clock() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in python_files(*PACKAGES, "tests")
        for line in calls_to(path, "time", "sleep")
    ]
    assert not offenders, report(offenders)


def test_nothing_was_left_for_later_in_a_comment() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in python_files(*PACKAGES_AND_TESTS)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if LEFTOVER.search(line)
    ]
    assert not offenders, report(offenders)


def test_every_directory_of_tests_is_a_package() -> None:
    """Without its `__init__`, tests/raftlog would shadow the raftlog that is tested."""
    directories = {path.parent for path in python_files("tests")}
    parents = {parent for path in directories for parent in (path, *path.parents)}
    tests = ROOT / "tests"
    offenders = [
        str(directory.relative_to(ROOT))
        for directory in sorted(parents)
        if directory.is_relative_to(tests) and not (directory / "__init__.py").exists()
    ]
    assert not offenders, report(offenders)


def test_every_package_opens_with_an_essay() -> None:
    offenders = []
    for path in python_files(*PACKAGES):
        if path.name == "__init__.py":
            essay = ast.get_docstring(tree_of(path)) or ""
            if len(essay) < ESSAY_CHARACTERS_MIN:
                offenders.append(f"{path.relative_to(ROOT)}: {len(essay)} characters")
    assert not offenders, report(offenders)


def test_the_wheel_ships_the_packages_and_nothing_else() -> None:
    builder = WheelBuilder(str(ROOT))
    shipped = {
        included.distribution_path.replace("\\", "/").split("/")[0]
        for included in builder.recurse_included_files()
    }
    assert shipped == set(PACKAGES)
