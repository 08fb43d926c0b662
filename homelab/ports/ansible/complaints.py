"""Ansible's own words about what went wrong, whatever release says them. Pure."""

import re

# `[ERROR]: ` of ansible-core 2.19 and later, `ERROR! ` of 2.18 and earlier, `ERROR: ` of its programs before they have
# read anything (a locale, a configuration), and a traceback's last line.
COMPLAINT = re.compile(
    r"^(?:\[ERROR\]|ERROR)\s*[:!]\s*(?P<said>.+?)\.?$|^(?P<raised>[A-Za-z_.]+(?:Error|Exception): .+)$"
)


def complaint(text: str) -> str:
    """The first line that says why a program of Ansible's ended; empty when there is none."""
    for line in text.splitlines():
        if found := COMPLAINT.match(line.strip()):
            return found["said"] or found["raised"]
    return ""
