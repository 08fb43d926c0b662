"""Text from elsewhere made fit for a terminal: nothing in it acts, and everything in it can be seen. Pure.

A host's name, an answer, a file's name may hold escape sequences, which a terminal obeys (CWE-150), signs that turn the
direction of writing, or bytes that are no UTF-8, which Python keeps as lone surrogates and cannot print.
"""

import re

# C0 but tab and line feed, DEL, C1 (a single 0x9b begins a sequence, too), line and paragraph separators, the signs for
# the direction of writing, surrogates.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, *, lines: bool = True) -> str:
    """The text with a sign or an escape for each character that would act; one line of it unless `lines`."""
    shown = _HIDDEN.sub(lambda found: _sign(ord(found[0])), text)
    return shown if lines else shown.replace("\n", _sign(0x0A)).replace("\t", " ")


def _sign(code: int) -> str:
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # a byte that was no UTF-8
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
