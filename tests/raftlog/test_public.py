"""What `import raftlog` offers: documented, complete, and free of trio."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import raftlog
from raftlog.errors import RaftError

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "embedding-raftlog.md"
EXAMPLE = ROOT / "docs" / "examples" / "counter.py"
PUBLIC = ("raftlog", "raftlog.engine", "raftlog.disk", "raftlog.host", "raftlog.testing")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_is_there_once_and_says_what_it_is(name: str) -> None:
    module = importlib.import_module(name)
    names = list(module.__all__)
    assert len(names) == len(set(names))
    for item in names:
        value = getattr(module, item)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{item} has no docstring"


def test_no_name_is_imported_into_raftlog_without_being_public() -> None:
    tree = ast.parse(Path(raftlog.__file__).read_text())
    imported = {
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    assert imported == set(raftlog.__all__)


def test_every_error_that_an_embedder_can_meet_is_public() -> None:
    assert {error.__name__ for error in RaftError.__subclasses__()} <= set(raftlog.__all__)


def test_importing_raftlog_brings_neither_trio_nor_the_kafka_packages() -> None:
    script = (
        "import sys, raftlog, raftlog.testing\n"
        "print([name for name in sys.modules if name in ('trio', 'metadata', 'partitions')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_guide_speaks_only_of_names_that_exist() -> None:
    dotted = set(re.findall(r"`(raftlog(?:\.\w+)+)[`(]", GUIDE.read_text()))
    assert dotted
    for path in dotted:
        module, _, name = path.rpartition(".")
        try:
            importlib.import_module(path)
        except ModuleNotFoundError:
            assert hasattr(importlib.import_module(module), name), f"{path} does not exist"


def test_the_guide_names_every_error_and_shows_the_state_machine_of_the_example() -> None:
    text = GUIDE.read_text()
    for error in RaftError.__subclasses__():
        assert f"`{error.__name__}`" in text, f"{error.__name__} is not in the guide"
    tree = ast.parse(EXAMPLE.read_text())
    (machine,) = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    for method in ("apply", "snapshot", "restore"):
        (node,) = [n for n in machine.body if isinstance(n, ast.FunctionDef) and n.name == method]
        source = ast.get_source_segment(EXAMPLE.read_text(), node, padded=True)
        assert source is not None
        assert source in text, f"the guide shows another `{method}` than the example"
