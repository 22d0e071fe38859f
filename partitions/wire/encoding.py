"""Compiles encoders: one flat Python function per API, version and direction.

A compiled encoder packs runs of fixed-size fields, with the length that follows them, in one
`struct` call. Record data beyond a few KiB is not copied: the result is a list of buffers for
a gathering write. A value the version cannot hold is a bug of the caller and shows as
struct.error, TypeError, ValueError or AttributeError.

Names in compiled code: out the bytearray being filled, chunks the buffers before it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from partitions.wire.schema import FIXED, LENGTH_CODE, Field, Schema
from partitions.wire.source import Source
from partitions.wire.varints import write_uvarint

_COPIED_RECORDS_BYTES = 4096
"""Up to this size one copy is cheaper than two more buffers in a gathering write."""

_SMALL_ARRAY = 16
"""Integer arrays below this many elements use a `struct` made beforehand."""

_SCOPE = {"wuv": write_uvarint, "pack": struct.pack, "pack_size": struct.Struct(">i").pack_into}


def compile_encoder(
    schema: Schema, version: int, struct_name: str, prefix: str
) -> Callable[..., Any]:
    """A function that encodes a body and what precedes it.

    prefix `request`: (correlation id, client id, body) -> buffers with size prefix;
    prefix `response`: (correlation id, body) -> buffers with size prefix;
    prefix `data`: (body) -> buffers without a size prefix.
    """
    return _Encoder(schema, version).compile(struct_name, prefix)


class _Encoder:
    def __init__(self, schema: Schema, version: int) -> None:
        self._schema = schema
        self._version = version
        self._flexible = version >= schema.flexible
        self._source = Source(_SCOPE)
        self._run: list[tuple[str, str]] = []

    def compile(self, struct_name: str, prefix: str) -> Callable[..., Any]:
        src = self._source
        parameters = {"request": "correlation, client_id, body", "response": "correlation, body"}
        with src.block(f"def encode({parameters.get(prefix, 'body')}):"):
            src.add("chunks = []; out = bytearray()")
            self._header(prefix)
            self._struct("body", struct_name)
            self._flush()
            src.add("chunks.append(out)")
            if prefix != "data":
                src.add("pack_size(chunks[0], 0, sum(map(len, chunks)) - 4)")
            src.add("return chunks")
        return src.compile("encode", f"encode {self._schema.name} {prefix} v{self._version}")

    def _header(self, prefix: str) -> None:
        """Size, then request header v1 or v2, or response header v0 or v1 (see decoding)."""
        if prefix == "data":
            return
        self._run.append(("0", "i"))
        if prefix == "request":
            self._run += [(str(self._schema.key), "h"), (str(self._version), "h")]
        self._run.append(("correlation", "i"))
        if prefix == "request":
            self._blob("client_id", "string", flexible=False, nullable=True)
        if self._flexible and (prefix == "request" or self._schema.key != 18):
            self._run.append(("0", "B"))

    def _struct(self, value: str, name: str) -> None:
        fields = self._schema.fields(name, self._version)
        for field in fields:
            if field.tag is None:
                self._field(f"{value}.{field.name}", field)
        if self._flexible:
            tagged = [field for field in fields if field.tag is not None]
            if tagged:
                self._tags(value, tagged)
            else:
                self._run.append(("0", "B"))

    def _field(self, value: str, field: Field) -> None:
        nullable = field.nullable_in(self._version)
        if field.is_array:
            self._array(value, field, nullable)
        elif field.type in FIXED:
            self._fixed(value, field.type)
        elif field.type == "records":
            self._records(value, nullable)
        elif field.type in LENGTH_CODE:
            self._blob(value, field.type, flexible=self._flexible, nullable=nullable)
        elif nullable:
            self._nullable_struct(value, field.type)
        else:
            self._nested(value, field.type)

    def _fixed(self, value: str, kind: str) -> None:
        if kind == "uuid":  # struct would pad or cut it in silence
            self._source.add(f"if len({value}) != 16: raise ValueError('uuid of wrong length')")
        self._run.append((value, FIXED[kind]))

    def _nested(self, value: str, name: str) -> None:
        local = self._source.fresh("o")
        self._source.add(f"{local} = {value}")
        self._struct(local, name)

    def _nullable_struct(self, value: str, name: str) -> None:
        """A marker byte, -1 for null, 1 before the struct (KIP-893)."""
        local = self._source.fresh("o")
        self._source.add(f"{local} = {value}")
        self._run.append((f"-1 if {local} is None else 1", "b"))
        self._flush()
        with self._source.block(f"if {local} is not None:"):
            self._struct(local, name)
            self._flush()

    def _flush(self) -> None:
        """Emit the pending run of fixed-size fields as one pack."""
        if not self._run:
            return
        code = ">" + "".join(code for _, code in self._run)
        pack = self._source.constant(("pack", code), "P", lambda: struct.Struct(code).pack)
        self._source.add(f"out += {pack}({', '.join(value for value, _ in self._run)})")
        self._run = []

    def _length(self, n: str, code: str, flexible: bool) -> None:
        """Write length `n` together with the pending run; flexible lengths are one higher."""
        if flexible:
            self._run.append((f"{n} if {n} < 128 else {n} & 127 | 128", "B"))
            self._flush()
            self._source.add(f"if {n} > 127: wuv(out, {n} >> 7)")
        else:
            self._run.append((n, code))
            self._flush()

    def _measured(
        self, value: str, transform: str, nullable: bool, flexible: bool
    ) -> tuple[str, str]:
        """Locals for the value, null replaced by nothing, and for its length as written."""
        src = self._source
        v, n = src.fresh("v"), src.fresh("n")
        plus = " + 1" if flexible else ""
        if not nullable:
            src.add(f"{v} = {transform.format(value)}; {n} = len({v}){plus}")
            return v, n
        src.add(f"{v} = {value}")
        src.add(f"if {v} is None: {v} = b''; {n} = {0 if flexible else -1}")
        src.add(f"else: {v} = {transform.format(v)}; {n} = len({v}){plus}")
        return v, n

    def _blob(self, value: str, kind: str, *, flexible: bool, nullable: bool) -> None:
        transform = "{}.encode()" if kind == "string" else "{}"
        v, n = self._measured(value, transform, nullable, flexible)
        self._length(n, LENGTH_CODE[kind], flexible)
        self._source.add(f"out += {v}")

    def _records(self, value: str, nullable: bool) -> None:
        """Record data: one buffer, or a list of buffers that follow each other."""
        src = self._source
        v, n = src.fresh("v"), src.fresh("n")
        src.add(f"{v} = {value}")
        src.add(
            f"if {v} is None: {n} = -1" if nullable else f"if {v} is None: raise TypeError('null')"
        )
        src.add(f"elif type({v}) is list: {n} = sum(map(len, {v}))")
        src.add(f"else: {n} = len({v}); {v} = [{v}]")
        if self._flexible:
            src.add(f"{n} += 1")
        self._length(n, "i", self._flexible)
        with src.block(f"if {n} > {_COPIED_RECORDS_BYTES}:"):
            src.add(f"chunks.append(out); chunks += {v}; out = bytearray()")
        with src.block(f"elif {n} > 0 and {v}:"):
            src.add(f"for piece in {v}: out += piece")

    def _array(self, value: str, field: Field, nullable: bool) -> None:
        kind = field.element
        v, n = self._measured(value, "{}", nullable, self._flexible)
        if kind in FIXED and kind != "uuid":
            self._integers(v, n, FIXED[kind])
        else:
            self._elements(v, n, kind)

    def _elements(self, v: str, n: str, kind: str) -> None:
        src = self._source
        self._length(n, "i", self._flexible)
        item = src.fresh("x")
        with src.block(f"for {item} in {v}:"):
            if kind in FIXED:
                self._fixed(item, kind)
            elif kind in LENGTH_CODE:
                self._blob(item, kind, flexible=self._flexible, nullable=False)
            else:
                self._struct(item, kind)
            self._flush()

    def _integers(self, v: str, n: str, code: str) -> None:
        """Length and elements of a short array in one pack."""
        src = self._source
        self._flush()
        length = "B" if self._flexible else "i"
        plus = 1 if self._flexible else 0
        small = src.constant(
            ("array", code),
            "A",
            lambda: [
                struct.Struct(f">{length}{max(i - plus, 0)}{code}").pack
                for i in range(_SMALL_ARRAY)
            ],
        )
        with src.block(f"if 0 <= {n} < {_SMALL_ARRAY}:"):
            src.add(f"out += {small}[{n}]({n}, *{v})")
        with src.block("else:"):
            self._length(n, "i", self._flexible)
            src.add(f"out += pack(f'>{{len({v})}}{code}', *{v})")

    def _tags(self, value: str, fields: list[Field]) -> None:
        """Tagged fields that differ from their default, in ascending order."""
        src = self._source
        self._flush()
        tests = [self._is_default(f"{value}.{field.name}", field) for field in fields]
        with src.block(f"if {' and '.join(tests)}:"):
            src.add("out.append(0)")
        with src.block("else:"):
            kept, tags = src.fresh("k"), src.fresh("t")
            src.add(f"{kept} = out; {tags} = []")
            for field, test in zip(fields, tests, strict=True):
                with src.block(f"if not {test}:"):
                    src.add("out = bytearray()")
                    self._field(f"{value}.{field.name}", field)
                    self._flush()
                    src.add(f"{tags}.append(({field.tag}, out))")
            src.add(f"out = {kept}; out.append(len({tags}))")
            src.add(f"for tag, data in {tags}: wuv(out, tag); wuv(out, len(data)); out += data")

    def _is_default(self, value: str, field: Field) -> str:
        """An expression that is true when the tagged field need not be written."""
        if field.is_array and field.default is not None:
            return f"({value} is not None and not {value})"
        if field.is_array or field.type in FIXED or field.type in LENGTH_CODE:
            return f"({value} == {field.default!r})"
        parts = [
            self._is_default(f"{value}.{inner.name}", inner)
            for inner in self._schema.fields(field.type, self._version)
        ]
        return f"({value} is None or {' and '.join(parts)})"
