"""The text of a file whose encoding nobody names: UTF-8, UTF-16 by its mark, or Latin-1; what is no text is refused."""

from __future__ import annotations

MAX_BYTES = 20_000_000
BINARY = {b"PK\x03\x04": "a spreadsheet or zip file", b"\x1f\x8b": "a gzip file", b"%PDF": "a PDF file"}
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def decode(content: bytes | str) -> str:
    """The text of a file; a ValueError where it is too large or no text."""
    size = len(content)
    if size > MAX_BYTES:
        raise ValueError(f"table: it has {size / 1e6:.1f} MB; at most {MAX_BYTES / 1e6:.0f} MB are allowed")
    if isinstance(content, str):
        text = content.removeprefix("\ufeff")
    else:
        for start, what in BINARY.items():
            if content.startswith(start):
                raise ValueError(f"table: this is {what}; save the table as CSV (plain text) and try again")
        text = _decoded(content)
    odd = next((c for c in text if ord(c) < 32 and c not in "\t\r\n\f\v"), None)
    if odd is not None:
        line = text.count("\n", 0, text.index(odd)) + 1
        raise ValueError(
            f"table: line {line} holds the control character {odd!r}, so this is no text or of another encoding; "
            f"save it as UTF-8"
        )
    return text


def _decoded(content: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"table: it begins as {encoding.removesuffix('-sig').upper()} and is not; save it as UTF-8"
                ) from error
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # every byte is a letter there
