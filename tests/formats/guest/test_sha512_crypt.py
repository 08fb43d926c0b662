"""SHA-512 crypt against published vectors and against what glibc's crypt(3) gave."""

import re
import time

import pytest

from homelab.formats.guest.sha512_crypt import salt_for, sha512_crypt

# The first is of Ulrich Drepper's specification; the others were made by crypt(3) of glibc 2.36.
KNOWN = {
    (
        "Hello world!",
        "saltstring",
    ): "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    (
        "",
        "0123456789abcdef",
    ): "$6$0123456789abcdef$F2ysjt5Ng5qVz2/gDtbz.ycdictosXpZ7Xsgu8PlbAws/.ekNFWz9XrSKXBI0tVYfdxX.nsVfGs7qe4jMrOWH0",
    ("a", "./"): "$6$./$T6gtNa5mz8s6lO.LVe18LiF6lyf.4HSa9jx6f440UPBYeM675lwNnnsjaicWglx2GL.63cogcpi4JlRtNQW57.",
    (
        "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü",
        "mixedSalt./0",
    ): "$6$mixedSalt./0$7e1E01gBMgavtDfjzSlLgqTZ1C81CAouRrxxrSTtQEYTtlN90YfCJ0D6Bby4SRlfCtpudy8PnA2iuGdRSkMg61",
    (
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sixteencharacter",
    ): "$6$sixteencharacter$tKlwRcKjEMfePbeoXNeTT2LeZumJTTHwDTrkAjDsfCt.NW3bPwTmQqYVy3CcD1mZ1l7D.znz3OjPkIn2eK8yK1",
    (
        "p a$s\"w'ord",
        "z",
    ): "$6$z$I6Z3k/SPpknwl3zSPy3r.ds4pN1dEXD35rvsRpD6zi0jEaH.hK2FXQX1aJTVqeBYodqwLp8ngrUzKFFn0GNBb1",
}


@pytest.mark.parametrize(("password", "salt"), KNOWN)
def test_hashes_are_those_of_glibc(password: str, salt: str) -> None:
    assert sha512_crypt(password, salt) == KNOWN[password, salt]


def test_a_salt_is_the_same_every_time_and_another_for_every_host_and_password() -> None:
    salts = {salt_for(password, host) for password in ("one", "two") for host in ("brix1", "brix2")}
    assert salts == {salt_for(password, host) for password in ("one", "two") for host in ("brix1", "brix2")}
    assert len(salts) == 4
    assert all(re.fullmatch(r"[./0-9A-Za-z]{16}", salt) for salt in salts)


def test_a_guess_at_the_salt_costs_more_than_a_guess_at_the_hash() -> None:
    def seconds(work: object) -> float:
        began = time.perf_counter()
        work()  # type: ignore[operator]
        return time.perf_counter() - began

    by_salt = min(seconds(lambda: salt_for("guess", "brix1")) for _ in range(3))
    by_hash = min(seconds(lambda: sha512_crypt("guess", "salt")) for _ in range(3))
    assert by_salt > 3 * by_hash
