"""Reads a command line as busybox ash would: words, quotes, lists, pipes and redirections to /dev/null.

What is not understood is a syntax error, never a guess: a line that means more on a real host must not pass here.
"""

from dataclasses import dataclass, field

OPERATORS = ("&&", "||", ";", "|", "\n")
REDIRECTIONS = ("2>&1", "1>&2", ">&2", "2>>", "2>", "1>>", "1>", ">>", ">", "<")
BLANKS = " \t"
NOT_SIMULATED = "()`$&<>{}"


class ShellSyntaxError(Exception):
    """The line is not one that the simulated shell understands."""


@dataclass(frozen=True)
class Word:
    """One word; `pattern` says that it holds unquoted `*`, `?` or `[`."""

    text: str
    pattern: bool = False


@dataclass
class Command:
    """One simple command; the flags say where its streams go."""

    words: list[Word] = field(default_factory=list)
    drop_out: bool = False
    drop_err: bool = False
    err_to_out: bool = False
    out_to_err: bool = False


@dataclass
class Pipeline:
    """Commands joined by `|`; `joint` is what stands before it in the list: ";", "&&" or "||"."""

    joint: str
    commands: list[Command]


Token = Word | str


def parse(line: str) -> list[Pipeline]:
    """The pipelines of a line, in order; raises ShellSyntaxError."""
    pipelines: list[Pipeline] = []
    joint, commands, command = ";", [], Command()
    tokens = [*_tokens(line), "\n"]
    position = 0
    while position < len(tokens):
        token = tokens[position]
        position += 1
        if isinstance(token, Word):
            command.words.append(token)
        elif token in REDIRECTIONS:
            position += _redirect(command, token, tokens[position])
        elif command.words:
            commands.append(command)
            command = Command()
            if token != "|":
                pipelines.append(Pipeline(joint, commands))
                joint, commands = token.replace("\n", ";"), []
        elif token != "\n" or commands or joint != ";" or command != Command():
            raise ShellSyntaxError(f'unexpected "{_shown(token)}"')
    return pipelines


def _shown(token: str) -> str:
    return "newline" if token == "\n" else token


def _redirect(command: Command, operator: str, target: Token) -> int:
    """Note one redirection; the number of tokens taken for its target."""
    if operator == "2>&1":
        command.err_to_out = not command.drop_out
        command.drop_err = command.drop_out
        return 0
    if operator in ("1>&2", ">&2"):
        command.out_to_err = not command.drop_err
        command.drop_out = command.drop_err
        return 0
    if not isinstance(target, Word):
        raise ShellSyntaxError(f'unexpected "{_shown(target)}"')
    if operator == "<" or target.text != "/dev/null":
        raise ShellSyntaxError(f'"{operator} {target.text}" is not simulated')
    if operator.startswith("2"):
        command.drop_err, command.err_to_out = True, False
    else:
        command.drop_out, command.out_to_err = True, False
    return 1


def _tokens(line: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(line):
        rest = line[position:]
        operator = next((one for one in (*REDIRECTIONS, *OPERATORS) if rest.startswith(one)), None)
        if line[position] in BLANKS:
            position += 1
        elif line[position] == "#":
            position += len(rest.split("\n", 1)[0])
        elif operator:
            tokens.append(operator)
            position += len(operator)
        else:
            word, position = _word(line, position)
            tokens.append(word)
    return tokens


def _word(line: str, position: int) -> tuple[Word, int]:
    """The word that begins at `position`, and where it ends."""
    letters: list[str] = []
    pattern = False
    while position < len(line):
        letter = line[position]
        if letter in BLANKS or line.startswith((*OPERATORS, ">"), position):
            break
        if letter in "'\"":
            inside, position = _quoted(line, position + 1, letter)
            letters.append(inside)
            continue
        if letter in NOT_SIMULATED and (letter not in "{}" or not letters):
            raise ShellSyntaxError(f'unexpected "{letter}" (not simulated)')
        if letter == "\\":
            position += 1
            letter = line[position : position + 1]
        elif letter in "*?[":
            pattern = True
        letters.append(letter)
        position += 1
    return Word("".join(letters), pattern), position


def _quoted(line: str, position: int, quote: str) -> tuple[str, int]:
    """What stands inside the quotes, and where to go on behind them."""
    letters: list[str] = []
    while position < len(line):
        letter = line[position]
        if letter == quote:
            return "".join(letters), position + 1
        if quote == '"' and letter in "$`":
            raise ShellSyntaxError(f'unexpected "{letter}" (not simulated)')
        if quote == '"' and letter == "\\" and line[position + 1 : position + 2] in ('"', "\\", "$", "`"):
            position += 1
            letter = line[position]
        letters.append(letter)
        position += 1
    raise ShellSyntaxError("unterminated quoted string")
