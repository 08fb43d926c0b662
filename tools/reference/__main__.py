"""`python -m tools.reference`: writes the generated pages."""

from tools.reference import FOLDER, pages


def main() -> None:
    """Write what differs, and take away what is not made any more."""
    made = pages()
    for name, text in made.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in FOLDER.rglob("*"):
        if path.is_file() and str(path.relative_to(FOLDER)) not in made:
            path.unlink()


main()
