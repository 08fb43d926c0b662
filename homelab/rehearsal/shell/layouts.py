"""How esxcli lays its answers out: tables under a row of dashes, blocks of `Key: value`, csv and keyvalue.

Source of the rules: outputs of real hosts. Numbers and booleans stand right in their column, heading included; two
spaces part the columns; a last column of text is not padded.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# A tuple is a list of names.
Scalar = str | int | bool | tuple[str, ...]
Value = Scalar | Mapping[str, Scalar]

FORMATTERS = ("csv", "keyvalue")


@dataclass(frozen=True)
class Table:
    """A list command's answer.

    `structure` is the type's name in keyvalue. `last_full` false: the last dashes are as short as their heading (8.0).
    """

    structure: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Scalar, ...], ...]
    last_full: bool = True

    def records(self) -> list[Mapping[str, Value]]:
        """The rows as mappings from column to value."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True)
class Block:
    """One structure, a line a field. With a title it is one of a list, set apart by an empty line."""

    fields: Mapping[str, Value]
    title: str | None = None


@dataclass(frozen=True)
class Blocks:
    """An answer of one or more blocks; `single` says that the command answers one structure, never a list."""

    structure: str
    blocks: tuple[Block, ...]
    single: bool = False


Output = Table | Blocks | str | None


def render(output: Output, formatter: str | None = None) -> str:
    """The text of an answer, as `formatter` wants it: None, "csv" or "keyvalue"."""
    if output is None:
        return ""
    if isinstance(output, str):
        return f"{output}\n"
    if formatter == "csv":
        return _csv(output)
    if formatter == "keyvalue":
        return _keyvalue(output)
    return _table(output) if isinstance(output, Table) else _blocks(output)


def text(value: Scalar) -> str:
    """A value as esxcli prints it: booleans in lower case, lists with commas."""
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _table(table: Table) -> str:
    cells = [[text(value) for value in row] for row in table.rows]
    right = [_right(index, table.rows) for index in range(len(table.columns))]
    widths = [max(len(line[index]) for line in [table.columns, *cells]) for index in range(len(table.columns))]
    if not table.last_full:
        widths[-1] = len(table.columns[-1])
    dashes = "  ".join("-" * width for width in widths)
    lines = [_line(table.columns, widths, right), dashes, *(_line(row, widths, right) for row in cells)]
    return "".join(f"{line}\n" for line in lines)


def _right(index: int, rows: Sequence[Sequence[Scalar]]) -> bool:
    return bool(rows) and all(isinstance(row[index], int) for row in rows)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _blocks(output: Blocks) -> str:
    parts = []
    for block in output.blocks:
        head = [block.title] if block.title is not None else []
        parts.append("".join(f"{line}\n" for line in [*head, *_block_lines(block.fields, "   ")]))
    return "\n".join(parts)


def _block_lines(fields: Mapping[str, Value], indent: str) -> list[str]:
    lines = []
    for key, value in fields.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *_block_lines(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {text(value)}".rstrip())
    return lines


def field_id(heading: str) -> str:
    """A field's name in csv and keyvalue: the heading without what is no letter or digit."""
    return re.sub(r"[^A-Za-z0-9]", "", heading)


def _records(output: Table | Blocks) -> list[Mapping[str, Value]]:
    return output.records() if isinstance(output, Table) else [block.fields for block in output.blocks]


def _csv(output: Table | Blocks) -> str:
    """Field ids in alphabetical order, a comma after the last one too."""
    records = [{field_id(key): value for key, value in record.items()} for record in _records(output)]
    if isinstance(output, Blocks) and not records:
        return ""
    headings = [field_id(name) for name in output.columns] if isinstance(output, Table) else list(records[0])
    names = sorted(headings)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow([*names, ""])
    for record in records:
        writer.writerow([*(_csv_value(record[name]) for name in names), ""])
    return lines.getvalue()


def _csv_value(value: Value) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{field_id(key)}:{text(inner)}" for key, inner in value.items())
    return text(value)


def _keyvalue(output: Table | Blocks) -> str:
    """`structure[0].Nic.Driver.string=ixgben` for lists, `VersionGet.Version.string=8.0.2` for one structure."""
    single = isinstance(output, Blocks) and output.single
    lines = []
    for index, record in enumerate(_records(output)):
        prefix = output.structure if single else f"structure[{index}].{output.structure}"
        lines += _keyvalue_lines(prefix, record)
    return "".join(f"{line}\n" for line in lines)


def _keyvalue_lines(prefix: str, record: Mapping[str, Value]) -> list[str]:
    lines = []
    for key, value in sorted(record.items(), key=lambda item: field_id(item[0])):
        name = f"{prefix}.{field_id(key)}"
        if isinstance(value, Mapping):
            lines += _keyvalue_lines(name, value)
        elif isinstance(value, tuple):
            lines += [f"{name}[{index}].string={one}" for index, one in enumerate(value)]
        else:
            kind = "boolean" if isinstance(value, bool) else "integer" if isinstance(value, int) else "string"
            lines.append(f"{name}.{kind}={text(value)}")
    return lines
