"""What the functions behind esxcli share: a failure, and a table that is empty where there are no rows."""

from homelab.rehearsal.shell.layouts import Output, Scalar, Table


class Failure(Exception):
    """The command was understood and did not succeed: its text goes to standard error, exit status 1."""


def table(
    structure: str, columns: tuple[str, ...], rows: tuple[tuple[Scalar, ...], ...], *, last_full: bool = True
) -> Output:
    """A table, or nothing at all where there are no rows."""
    return Table(structure, columns, rows, last_full) if rows else None
