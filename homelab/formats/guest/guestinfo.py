"""The seed in a VM's own configuration, as cloud-init's datasource VMware reads it through VMware Tools. Pure.

Keys, encodings and `network` in the metadata: https://docs.cloud-init.io/en/latest/reference/datasources/vmware.html,
"GuestInfo keys", and cloudinit/sources/DataSourceVMware.py (process_metadata, decode).
"""

import base64
import gzip
import json
from collections.abc import Mapping

import yaml

METADATA, USERDATA = "guestinfo.metadata", "guestinfo.userdata"
ENCODING = "gzip+base64"
KEYS = (METADATA, f"{METADATA}.encoding", USERDATA, f"{USERDATA}.encoding")
# No guestinfo value may be larger (GUESTMSG_MAX_IN_SIZE of open-vm-tools' lib/include/guest_msg_def.h; told as the
# limit of a seed in vmware-tanzu/vm-operator#148). A whole .vmx has 1 MiB (tools.setInfo.sizeLimit).
LIMIT = 64 << 10


def guestinfo(files: Mapping[str, str]) -> dict[str, str]:
    """Return extraConfig by its keys, of the three files that cloud_init.seed gives; it holds their secrets."""
    network = yaml.safe_load(files["network-config"])
    metadata = {**yaml.safe_load(files["meta-data"]), "network": network}
    values = {METADATA: json.dumps(metadata), USERDATA: files["user-data"]}
    found = {}
    for key, text in values.items():
        found[key], found[f"{key}.encoding"] = _encoded(text), ENCODING
    return found


def too_large(values: Mapping[str, str], reserve: int = 0) -> str:
    """Why such a seed cannot be given to a VM, with the numbers; `reserve` bytes are kept free. Empty when it can."""
    for key, value in values.items():
        if len(value) + reserve > LIMIT:
            return f"{key} of the seed is {len(value)} bytes as {ENCODING}, and a VM takes {LIMIT - reserve}"
    return ""


def _encoded(text: str) -> str:
    # The same text gives the same bytes: no time in it.
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode("ascii")
