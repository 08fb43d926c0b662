"""`python -m tools.reference`: writes the generated pages, and adds what is new to the record of what is promised."""

import sys

from tools.reference import FOLDER, RECORD, pages, promise


def main() -> int:
    """Write what differs, and take away what is not made any more; 1 when something is broken that was promised."""
    made = pages()
    for name, text in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in FOLDER.rglob("*"):
        if path.is_file() and str(path.relative_to(FOLDER)) not in made:
            path.unlink()
    recorded, now = promise.read(RECORD), promise.today()
    promise.write(RECORD, promise.with_new(recorded, now))
    broken = promise.broken(recorded, now)
    sys.stderr.write("".join(f"{sentence}\n" for sentence in broken))
    if broken:
        sys.stderr.write("docs/reference/stability.md says what to do with it\n")
    return 1 if broken else 0


sys.exit(main())
