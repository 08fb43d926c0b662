"""How the small programs of the shell read their options, and say no to one that they do not know."""

from homelab.rehearsal.shell.call import Answer


def flags_of(arguments: tuple[str, ...]) -> tuple[str, list[str]]:
    """The single letters of leading options, and what follows."""
    words = list(arguments)
    flags = ""
    while words and words[0].startswith("-") and len(words[0]) > 1:
        word = words.pop(0)
        if word == "--":
            break
        flags += word[1:]
    return flags, words


def usage(program: str, given: str, known: str) -> Answer:
    """A loud no: silence would let a wrong command pass here and fail on a real host."""
    return Answer(err=f"{program}: invalid option -- '{given}' (simulated: {known})\n", status=1)
