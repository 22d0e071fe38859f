"""Compiles decoders: one flat Python function per API, version and direction.

A compiled decoder reads runs of fixed-size fields, with the length that follows them, in one
`struct` call, and assigns straight into slots. It takes the whole frame and checks every
length against the bytes that remain, so that the objects it makes are bounded by the frame's
size: an element costs at least one byte. What the bytes get wrong shows as MalformedFrame,
or as struct.error, IndexError or UnicodeDecodeError, which `partitions.wire.frames` converts.

An element may still weigh seventy times its bytes, so a request also has a budget of elements.

Names in compiled code: b frame, p position, end its length, mv a memoryview of it, left the
budget of array elements.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from partitions.wire.errors import MalformedFrame
from partitions.wire.schema import FIXED, LENGTH_CODE, Field, Schema
from partitions.wire.source import Source
from partitions.wire.varints import read_uvarint, skip_tags

REQUEST_ELEMENTS_MAX = 100_000
"""Of all arrays of a request together: at worst some 20 MB of objects and a tenth of a second."""

_SMALL_ARRAY = 16
"""Integer arrays below this many elements use a `struct` made beforehand."""


def _bad(what: str) -> None:
    raise MalformedFrame(what)


_SCOPE = {
    "uv": read_uvarint,
    "skip_tags": skip_tags,
    "bad": _bad,
    "unpack_from": struct.unpack_from,
}


def compile_decoder(
    schema: Schema, classes: SimpleNamespace, version: int, struct_name: str, prefix: str
) -> Callable[..., Any]:
    """A function (frame) -> (prefix value, body).

    `prefix` says what precedes the body: `request` (the header after its first eight bytes;
    the value is the client id), `response` (the header after the correlation id), or `data`.
    """
    return _Decoder(schema, classes, version).compile(struct_name, prefix)


class _Decoder:
    def __init__(self, schema: Schema, classes: SimpleNamespace, version: int) -> None:
        self._schema = schema
        self._classes = classes
        self._version = version
        self._budget = False
        self._flexible = version >= schema.flexible
        self._source = Source(_SCOPE)
        self._run: list[tuple[str, str]] = []

    def compile(self, struct_name: str, prefix: str) -> Callable[..., Any]:
        src = self._source
        with src.block("def decode(b):"):
            src.add("end = len(b); mv = memoryview(b)" if self._has_records() else "end = len(b)")
            src.add(f"client_id = None; p = {({'request': 8, 'response': 4, 'data': 0})[prefix]}")
            self._budget = prefix != "response"
            if self._budget:
                src.add(f"left = {REQUEST_ELEMENTS_MAX}")
            self._header(prefix)
            self._struct("body", struct_name)
            self._flush()
            # librdkafka writes the null topic list of a flexible Metadata request as four bytes
            # instead of one (its issue 5049): what Kafka ignores there must not cost a client
            # its connection. Nowhere else may anything follow the message.
            allowed = 3 if (self._schema.key, prefix) == (3, "request") and self._flexible else 0
            with src.block(f"if p != end and end - p != {allowed}:"):
                src.add("bad(f'{end - p} bytes follow the message')")
            src.add("return client_id, body")
        return src.compile("decode", f"decode {self._schema.name} {prefix} v{self._version}")

    def _has_records(self) -> bool:
        return any(f.type == "records" for fs in self._schema.structs.values() for f in fs)

    def _header(self, prefix: str) -> None:
        """Request header v1 or v2, or response header v0 or v1.

        Header v2 keeps the old string form for the client id. ApiVersions' response header is
        always v0, so that a client that guessed too high a version can read the answer (KIP-511).
        """
        if prefix == "request":
            self._blob("client_id", "client_id", "string", flexible=False, nullable=True)
        if self._flexible and (
            prefix == "request" or (prefix == "response" and self._schema.key != 18)
        ):
            self._no_tags()

    def _struct(self, target: str, name: str) -> None:
        fields = self._schema.fields(name, self._version)
        cls = self._source.constant(("class", name), "C", lambda: getattr(self._classes, name))
        new = self._source.constant(
            ("new", name), "N", lambda: getattr(self._classes, name).__new__
        )
        self._source.add(f"{target} = {new}({cls})")
        self._absent(target, name)
        for field in fields:
            if field.tag is None:
                self._field(f"{target}.{field.name}", field)
        if self._flexible:
            tagged = [field for field in fields if field.tag is not None]
            if tagged:
                self._tags(target, tagged)
            else:
                self._no_tags()

    def _absent(self, target: str, name: str) -> None:
        """Defaults of fields this version lacks, and of tagged fields until they are seen."""
        groups: dict[str, list[str]] = {}
        for f in self._schema.structs[name]:
            if f.tag is not None or not f.first <= self._version <= f.last:
                groups.setdefault(repr(f.default), []).append(f"{target}.{f.name}")
        for value, targets in groups.items():
            self._source.add(" = ".join([*targets, value]))

    def _field(self, target: str, field: Field) -> None:
        nullable = field.nullable_in(self._version)
        if field.is_array:
            self._array(target, field, nullable)
        elif field.type in FIXED:
            self._run.append((target, FIXED[field.type]))
        elif field.type in LENGTH_CODE:
            self._blob(target, field.name, field.type, flexible=self._flexible, nullable=nullable)
        elif nullable:
            self._nullable_struct(target, field.type)
        else:
            self._nested(target, field.type)

    def _nested(self, target: str, name: str) -> None:
        local = self._source.fresh("o")
        self._struct(local, name)
        self._flush()
        self._source.add(f"{target} = {local}")

    def _nullable_struct(self, target: str, name: str) -> None:
        """A marker byte, negative for null (KIP-893)."""
        marker = self._source.fresh("m")
        self._run.append((marker, "b"))
        self._flush()
        with self._source.block(f"if {marker} < 0:"):
            self._source.add(f"{target} = None")
        with self._source.block("else:"):
            self._nested(target, name)

    def _flush(self) -> None:
        """Emit the pending run of fixed-size fields as one unpack."""
        if not self._run:
            return
        code = ">" + "".join(code for _, code in self._run)
        unpack = self._source.constant(
            ("unpack", code), "U", lambda: struct.Struct(code).unpack_from
        )
        targets = ", ".join(target for target, _ in self._run)
        self._source.add(f"{targets}, = {unpack}(b, p); p += {struct.calcsize(code)}")
        self._run = []

    def _length(self, code: str, flexible: bool) -> str:
        """Read a length together with the pending run; -1 stands for null in both forms."""
        n = self._source.fresh("n")
        self._run.append((n, "B" if flexible else code))
        self._flush()
        if flexible:
            self._source.add(f"if {n} > 127: {n}, p = uv(b, p - 1)")
            self._source.add(f"{n} -= 1")
        return n

    def _no_tags(self) -> None:
        n = self._source.fresh("n")
        self._run.append((n, "B"))
        self._flush()
        self._source.add(f"if {n}: p = skip_tags(b, p - 1)")

    def _blob(self, target: str, name: str, kind: str, *, flexible: bool, nullable: bool) -> None:
        src = self._source
        n = self._length(LENGTH_CODE[kind], flexible)
        with src.block(f"if {n} >= 0:"):
            src.add(f"q = p + {n}")
            src.add(f"if q > end: bad('{name} is longer than what is left of the frame')")
            value = {
                "string": "str(b[p:q], 'utf-8')",
                "bytes": "bytes(b[p:q])",
                "records": "mv[p:q]",
            }
            src.add(f"{target} = {value[kind]}; p = q")
        self._null(target, name, n, nullable)

    def _null(self, target: str, name: str, n: str, nullable: bool) -> None:
        src = self._source
        if nullable:
            src.add(f"elif {n} == -1: {target} = None")
            src.add(f"else: bad('{name} has a negative length')")
        else:
            src.add(f"else: bad('{name} is null or has a negative length')")

    def _array(self, target: str, field: Field, nullable: bool) -> None:
        src = self._source
        n = self._length("i", self._flexible)
        with src.block(f"if {n} >= 0:"):
            least = self._schema.least_bytes(field.element, self._version)
            src.add(
                f"if {n} * {least} > end - p: bad('{field.name} counts more than the frame holds')"
            )
            if self._budget:
                src.add(f"left -= {n}")
                src.add(f"if left < 0: bad('it has more than {REQUEST_ELEMENTS_MAX} elements')")
            kind = field.element
            if kind in FIXED and kind != "uuid":
                self._integers(target, FIXED[kind], n)
            else:
                self._elements(target, field, n)
        self._null(target, field.name, n, nullable)

    def _elements(self, target: str, field: Field, n: str) -> None:
        src = self._source
        kind = field.element
        items, item = src.fresh("a"), src.fresh("x")
        src.add(f"{items} = {target} = []")
        with src.block(f"for _ in range({n}):"):
            if kind in FIXED:
                self._run.append((item, FIXED[kind]))
            elif kind in LENGTH_CODE:
                self._blob(item, field.name, kind, flexible=self._flexible, nullable=False)
            else:
                self._struct(item, kind)
            self._flush()
            src.add(f"{items}.append({item})")

    def _integers(self, target: str, code: str, n: str) -> None:
        src = self._source
        small = src.constant(
            ("array", code),
            "A",
            lambda: [struct.Struct(f">{i}{code}").unpack_from for i in range(_SMALL_ARRAY)],
        )
        src.add(
            f"{target} = list({small}[{n}](b, p) if {n} < {_SMALL_ARRAY}"
            f" else unpack_from(f'>{{{n}}}{code}', b, p)); p += {n} * {struct.calcsize('>' + code)}"
        )

    def _tags(self, target: str, fields: list[Field]) -> None:
        """Tagged fields; a known one must fill its stated size exactly, else parsing
        one long field for many short tags would cost quadratic time."""
        src = self._source
        n, tag, size, stop = (src.fresh(prefix) for prefix in "ntls")
        self._run.append((n, "B"))
        self._flush()
        with src.block(f"if {n}:"):
            src.add(f"if {n} > 127: {n}, p = uv(b, p - 1)")
            with src.block(f"for _ in range({n}):"):
                src.add(f"{tag}, p = uv(b, p); {size}, p = uv(b, p); {stop} = p + {size}")
                src.add(f"if {stop} > end: bad('a tagged field is longer than the frame')")
                word = "if"
                for field in fields:
                    with src.block(f"{word} {tag} == {field.tag}:"):
                        self._tagged_value(target, field)
                        src.add(f"if p != {stop}: bad('{field.name} does not fill its tag')")
                    word = "elif"
                src.add(f"p = {stop}")

    def _tagged_value(self, target: str, field: Field) -> None:
        self._field(f"{target}.{field.name}", field)
        self._flush()
