"""The administrator of a cluster, as kubeadm writes it into admin.conf. Pure."""

import base64
import binascii
from dataclasses import dataclass, field

import yaml


class NoAdmin(ValueError):
    """A text is no kubeconfig of kubeadm's, as a clause."""


@dataclass(frozen=True)
class Admin:
    """The cluster's CA, and what the administrator shows it: certificate and key. All in PEM form."""

    ca: str
    certificate: str
    key: str = field(repr=False)


def read_admin(text: str) -> Admin:
    """The administrator of an admin.conf, whose one cluster and one user hold their data in themselves.

    Raises NoAdmin, which quotes nothing of the text.
    """
    try:
        # What PyYAML says of a mistake quotes the line, which may be the key.
        read = yaml.safe_load(text)
        cluster, user = read["clusters"][0]["cluster"], read["users"][0]["user"]
        authority = _pem(cluster["certificate-authority-data"])
        return Admin(authority, _pem(user["client-certificate-data"]), _pem(user["client-key-data"]))
    except yaml.YAMLError:
        raise NoAdmin("it is no YAML") from None
    except (LookupError, TypeError, ValueError, binascii.Error):
        raise NoAdmin("it holds no CA, certificate and key in itself, as kubeadm writes them") from None


def _pem(data: str) -> str:
    text = base64.b64decode(data, validate=True).decode("ascii")
    if "-----BEGIN " not in text:
        raise ValueError("it is no PEM")
    return text
