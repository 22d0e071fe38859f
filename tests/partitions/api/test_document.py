"""docs/apis.md says what the registry, the schemas and the code say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import metadata.quorum.client
from partitions.api import APIS
from partitions.api.document import ABSENT, BEYOND, WITHIN, document
from partitions.api.meanings import BETWEEN_BROKERS, MEANINGS, TRANSLATED
from partitions.errors import ErrorCode
from partitions.wire.schema import load_index

ROOT = Path(__file__).resolve().parents[3]
NOT_ANSWERING = ("partitions/errors.py", "partitions/api/meanings.py", "partitions/testing/")


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs" / "apis.md").read_text(encoding="utf-8")
    assert page == document(), "run: python -m partitions.api.document > docs/apis.md"


def test_every_api_of_the_protocol_is_either_served_or_missed() -> None:
    served = [int(api.key) for api in APIS]
    missed = [int(key) for keys in ABSENT.values() for key in keys]
    assert sorted(served + missed) == list(load_index())


def test_every_version_of_kafka_above_ours_is_explained() -> None:
    index = load_index()
    for api in APIS:
        above = list(range(api.last + 1, index[int(api.key)].last + 1))
        assert list(BEYOND.get(api.key, {})) == above, api.key.name
    assert set(WITHIN) | set(BEYOND) <= {api.key for api in APIS}


def test_every_error_that_the_code_names_has_a_meaning_and_no_other() -> None:
    named = {ErrorCode[name] for path in sources() for name in error_names(path)}
    # The controller's client says it with a text of its own.
    named.add(ErrorCode[metadata.quorum.client.NOT_CONTROLLER])
    named -= {ErrorCode.NONE}
    assert named >= BETWEEN_BROKERS | TRANSLATED
    assert set(MEANINGS) == named - BETWEEN_BROKERS - TRANSLATED


def sources() -> Iterator[Path]:
    """The modules of a broker that can bring an error code into an answer."""
    for package in ("metadata", "partitions"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if not path.relative_to(ROOT).as_posix().startswith(NOT_ANSWERING):
                yield path


def error_names(path: Path) -> Iterator[str]:
    """X of every `ErrorCode.X` in the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "ErrorCode"
            and node.attr in ErrorCode.__members__
        ):
            yield node.attr
