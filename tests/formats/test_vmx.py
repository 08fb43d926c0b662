"""A .vmx as VMware's programs write and read it. Its shape: hashicorp/packer-plugin-vmware, step_create_vmx.go."""

import pytest

from homelab.formats.new_vmx import emptied, nic_on, sizes, vmx_of
from homelab.formats.vmx import changed_vmx, render_vmx, spaced_uuid, vmx_values

# Found in the field: keys in any case, comments, values without quotes, a line that is none.
FOUND = """#!/usr/bin/vmware
.encoding = "UTF-8"
displayname = "old name"
memsize = "2048"
numvcpus = 2
annotation = "two|0Alines, a |22quote|22 and a |7C"
guestinfo.note = "keep = this"
something without a value
ethernet0.networkName = "VM Network"
"""


def made(**more: object) -> str:
    values = {
        "name": "cp1",
        "cpus": 2,
        "memory_mib": 512,
        "disk": "cp1.vmdk",
        "seed": "seed.iso",
        "network": "VM Network",
        "mac": "00:50:56:01:02:03",
        "settings": {"homelab.lab": "homelab"},
        "instance_uuid": "0B5F2F43-61A4-5C3E-9F0E-0C1A2B3C4D5E",
    }
    return vmx_of(**{**values, **more})  # type: ignore[arg-type]


def test_what_may_not_stand_in_a_value_is_escaped_and_read_back() -> None:
    text = 'R&D "lab" | 20\nsecond\tline'
    line = render_vmx({"ethernet0.networkName": text}).splitlines()[1]
    assert line == 'ethernet0.networkName = "R&D |22lab|22 |7C 20|0Asecond|09line"'
    assert vmx_values(line)["ethernet0.networkname"] == text


@pytest.mark.parametrize("key", ["", "a b", 'x"', "a=b", "a\nb"])
def test_a_key_that_would_be_read_as_something_else_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        render_vmx({key: "x"})


def test_a_mark_cannot_bring_a_line_of_its_own() -> None:
    values = vmx_values(
        made(settings={"homelab.host_key": 'ssh-ed25519 AAAA"\nscsi0:1.fileName = "/vmfs/volumes/x.vmdk'})
    )
    assert values["homelab.host_key"].startswith('ssh-ed25519 AAAA"\n')
    assert "scsi0:1.filename" not in values


def test_a_new_vm_has_its_devices_and_asks_nobody_whether_it_was_moved() -> None:
    values = vmx_values(made())
    assert values["scsi0.virtualdev"] == "pvscsi"
    assert values["scsi0:0.filename"] == "cp1.vmdk"
    assert (values["ide0:0.filename"], values["ide0:0.devicetype"]) == ("seed.iso", "cdrom-image")
    assert (values["ethernet0.addresstype"], values["ethernet0.address"]) == ("static", "00:50:56:01:02:03")
    assert values["vc.uuid"] == "0b 5f 2f 43 61 a4 5c 3e-9f 0e 0c 1a 2b 3c 4d 5e"
    assert not {"uuid.bios", "uuid.location"} & set(values)
    assert vmx_values(made(mac=None))["ethernet0.addresstype"] == "generated"


def test_a_change_leaves_all_else_letter_by_letter() -> None:
    text = changed_vmx(FOUND, {**sizes(4, None), **nic_on("Lab (20)"), **emptied("ide0:0")})
    assert 'numvcpus = "4"' in text
    assert 'ethernet0.networkName = "Lab (20)"' in text
    assert 'ide0:0.startConnected = "FALSE"' in text
    changed = ("numvcpus", "ethernet0", "ide0:0")
    kept = [line for line in text.split("\n") if not line.startswith(changed)]
    assert kept == [line for line in FOUND.split("\n") if not line.startswith(changed)]


def test_keys_are_the_same_in_capitals_and_stand_once() -> None:
    text = changed_vmx('memsize = "1"\nMemSize = "2"\n', sizes(None, 512))
    assert text == 'memSize = "512"\n'


def test_a_uuid_stands_there_in_octets() -> None:
    assert spaced_uuid("564D0102-0304-0506-0708-090A0B0C0D0E") == "56 4d 01 02 03 04 05 06-07 08 09 0a 0b 0c 0d 0e"


@pytest.mark.parametrize("sign", ["\u2028", "\x85", "\x0c", "\r"])
def test_only_a_newline_ends_a_line(sign: str) -> None:
    text = f'guestinfo.note = "a{sign}memSize = "\nmemSize = "1"\n'
    assert changed_vmx(text, sizes(None, 512)) == text.replace('"1"', '"512"')
    assert changed_vmx(text.rstrip("\n"), sizes(2, None)) == f'{text}numvcpus = "2"\n'
