"""The linter of kickstart files: each rule, at its line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homelab.formats.boot.kickstart_lint import errors, lint
from homelab.formats.guest.sha512_crypt import sha512_crypt

HASH = sha512_crypt("secret", "salt")
GOOD = f"""# a comment
vmaccepteula
rootpw --iscrypted {HASH}
install --firstdisk --overwritevmfs
network --bootproto=static --ip=192.168.2.13 --netmask=255.255.255.0 --gateway=192.168.2.1 --hostname="brix3"
reboot
%post --interpreter=busybox
echo done
"""


def test_a_good_file_has_no_findings() -> None:
    assert lint(GOOD.encode()) == []


# What is replaced by what; the line, the level and a part of what is said.
CASES = [
    ("vmaccepteula\n", "", 0, "error", "has no vmaccepteula or accepteula"),
    (f"rootpw --iscrypted {HASH}\n", "", 0, "error", "has no rootpw"),
    ("install --firstdisk --overwritevmfs\n", "", 0, "error", "has no install or upgrade or installorupgrade"),
    ("install --firstdisk --overwritevmfs", "install", 4, "error", "install requires --disk or --firstdisk"),
    ("install --firstdisk", "upgrade --firstdisk --disk=mpx", 4, "error", "one of --disk and --firstdisk, not both"),
    ("--overwritevmfs", "--overwritevmfs --preservevmfs", 4, "error", "one of --overwritevmfs and --preservevmfs"),
    ("--firstdisk", "--firstdisk=usb", 4, "warning", "perhaps this very stick"),
    ("reboot\n", "install --disk=mpx\nreboot\n", 6, "error", "install is there again; line 4 has install"),
    ("reboot\n", "", 0, "warning", "has no reboot"),
    ("reboot\n", "reboot\nfrobnicate --now\n", 7, "warning", "does not know frobnicate"),
    ("reboot\n", "reboot --fast\n", 6, "warning", "reboot has no option --fast"),
    (f"--iscrypted {HASH}", "geheim", 3, "error", "password in clear"),
    (HASH, "$6$short", 3, "error", "no hash that begins with $6$"),
    (HASH, "$1$salt$qJH7.N4xYta3aEG/dfqo/0", 3, "warning", "an old kind"),
    ("--ip=192.168.2.13 ", "", 5, "error", 'bootproto was set to static but "--ip=" was not set.'.rstrip(".")),
    ("--bootproto=static", "--bootproto=dhcp", 5, "error", "--ip stands beside DHCP"),
    ("--bootproto=static ", "", 5, "error", "--ip stands beside DHCP"),
    ("--bootproto=static", "--bootproto=magic", 5, "error", "--bootproto is static or dhcp"),
    ("--netmask=255.255.255.0 ", "", 5, "warning", "without --netmask"),
    ("--ip=192.168.2.13", "--ip=192.168.2.300", 5, "error", "192.168.2.300 is no IPv4 address"),
    ("--ip=192.168.2.13", "--ip=192.168.2.13 --vlanid=5000", 5, "error", "--vlanid: 5000"),
    ("reboot\n", "reboot\nnetwork\n", 7, "warning", "network is there again"),
    ("echo done", "%end", 8, "error", "%end is no keyword"),
    ("reboot\n", "%end\nreboot\n", 6, "error", "%end is no keyword"),
    ("echo done", "include more", 8, "error", "begins with include ends the %post script"),
    ("echo done", "included=1", 8, "error", "begins with included=1 ends the %post script"),
    ("echo done", "%packages", 8, "warning", "no section that the installer knows"),
    ("--interpreter=busybox", "--interpreter=bash", 7, "error", "python or busybox, not bash"),
    ("%post", "%firstboot", 7, "warning", "Secure Boot"),
    ("echo done", "esxcli system module set -e false -m ne1000", 8, "warning", "module setting made there is lost"),
    ('"brix3"', '"brix3', 5, "error", "cannot be read: No closing quotation"),
    ("\n", "\r\n", 1, "error", "has CR at line ends"),
    ("reboot", "reboot\nnetwork", 7, "warning", "the last one counts"),
]


@pytest.mark.parametrize(("old", "new", "line", "level", "said"), CASES)
def test_each_rule_speaks_at_its_line(old: str, new: str, line: int, level: str, said: str) -> None:
    assert old in GOOD
    found = lint(GOOD.replace(old, new, -1 if old == "\n" else 1).encode())
    assert [one for one in found if (one.line, one.level) == (line, level) and said in one.text], found


def test_without_network_the_host_asks_dhcp() -> None:
    text = "\n".join(line for line in GOOD.split("\n") if not line.startswith("network"))
    assert [(one.line, one.level) for one in lint(text.encode())] == [(0, "warning")]


def test_no_finding_repeats_a_password() -> None:
    for line in ("rootpw geheim", "rootpw --iscrypted geheim", "rootpw geheim geheim", 'rootpw "geheim'):
        assert "geheim" not in str(lint(f"{line}\n".encode()))


def test_a_binary_file_is_no_text() -> None:
    assert errors(lint(b"vmaccepteula\n\xff\xfe"))[0].line == 2


@pytest.mark.thorough
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_any_file_gets_findings_and_never_a_crash(content: bytes) -> None:
    assert errors(lint(content))


# VMware's own manual: a %pre script finds the disk and writes the line.
INCLUDES = f"""vmaccepteula
rootpw --iscrypted {HASH}
%include /tmp/DiskConfig
network --bootproto=dhcp
reboot
%pre --interpreter=busybox
echo "install --firstdisk" > /tmp/DiskConfig
"""


def test_what_an_included_file_may_hold_is_a_remark() -> None:
    findings = lint(INCLUDES.encode())
    assert errors(findings) == []
    [told] = [one for one in findings if "install" in one.text]
    assert (told.line, told.level) == (3, "warning")
    assert "it has to stand in /tmp/DiskConfig" in told.text


@pytest.mark.parametrize("value", ["false", "true", "0", "1"])
def test_a_switch_that_ten_public_files_write_as_a_word_is_no_mistake(value: str) -> None:
    text = GOOD.replace("--gateway", f"--addvmportgroup={value} --gateway")
    assert errors(lint(text.encode())) == []


def test_a_byte_order_mark_is_told_by_its_name_and_hides_nothing_else() -> None:
    findings = lint(b"\xef\xbb\xbf" + GOOD.encode())
    assert [(one.line, one.level) for one in findings] == [(1, "error")]
    assert "byte-order mark" in findings[0].text
    assert findings[0].text.isascii()
    # What it says, done.
    assert lint(GOOD.encode()) == []
