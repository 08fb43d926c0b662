"""kubectl on a control plane: manifests go to it over stdin, so that nothing of them is in an argument or a log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from homelab.errors import HostFault, Refused, Unreachable
from homelab.formats.kubernetes.kubectl import Difference, complaint, conflicts, differences, hidden, is_away
from homelab.formats.kubernetes.manifests import Manifest
from homelab.formats.kubernetes.standin import is_standin
from homelab.ports.kubernetes.admin import ADMIN
from homelab.ports.ssh import Output, Shell

MANAGER = "homelab"
KUBECTL = ("sudo", "-n", "env", f"KUBECONFIG={ADMIN}", "LC_ALL=C", "kubectl")
SERVER_SIDE = ("--server-side", f"--field-manager={MANAGER}", "-f", "-")
SECONDS = 120.0
ESTABLISHED_SECONDS = 60
LINE_BROKE = -1
SAME, DIFFERS = 0, 1


@dataclass(frozen=True)
class Kubectl:
    """kubectl over the shell of a control plane."""

    shell: Shell

    @property
    def standin(self) -> bool:
        """Whether it is the stand-in's, which knows no manifests."""
        said = self._run("version", "--client").stdout
        return any(is_standin(word) for word in said.split())

    def diff(self, manifests: Sequence[Manifest]) -> dict[Manifest, Difference]:
        """Those that differ from what the cluster has. Raises Unreachable, Refused with all that cannot be compared."""
        if not manifests:
            return {}
        output = self._run("diff", *SERVER_SIDE, manifests=manifests)
        found = differences(output.stdout)
        if output.status == SAME or (output.status == DIFFERS and found):
            return self._by_manifest(manifests, found)
        if len(manifests) == 1:
            raise self._refusal(manifests[0], output)
        return self._diff_one_by_one(manifests)

    def _by_manifest(
        self, manifests: Sequence[Manifest], found: Mapping[str, Difference]
    ) -> dict[Manifest, Difference]:
        """Whose difference each is. HostFault for one that is nobody's: it would never be told."""
        known = {name: one for one in manifests for name in one.file_names}
        if strangers := sorted(found.keys() - known.keys()):
            what, advice = f"kubectl compared {', '.join(strangers)}, which no manifest names", "Please report it"
            raise HostFault(what, where=self.shell.login.where, advice=advice)
        return {known[name]: difference for name, difference in found.items()}

    def _diff_one_by_one(self, manifests: Sequence[Manifest]) -> dict[Manifest, Difference]:
        """An error of kubectl does not name its object: each is asked for by itself then."""
        found: dict[Manifest, Difference] = {}
        refused = []
        for one in manifests:
            try:
                found |= self.diff([one])
            except Refused as error:
                refused.append(error)
        if refused:
            whats, wheres = "; ".join(error.what for error in refused), ", ".join(error.where for error in refused)
            raise Refused(whats, where=wheres, advice=refused[0].advice)
        return found

    def apply(self, manifest: Manifest) -> None:
        """Apply one object; the definition of a kind is waited for until it is served. Raises Unreachable, Refused."""
        output = self._run("apply", *SERVER_SIDE, manifests=[manifest], writes=True)
        if output.status:
            raise self._refusal(manifest, output)
        if manifest.brings:
            what, seconds = f"crd/{manifest.name}", f"--timeout={ESTABLISHED_SECONDS}s"
            waited = self._run("wait", "--for=condition=Established", seconds, what)
            if waited.status:
                raise HostFault(
                    f"{manifest.label} is there, and the API does not serve it: {complaint(waited.stderr)}",
                    where=f"{manifest.file}:{manifest.line}",
                    advice=f"See `kubectl describe {what}`, and run again",
                )

    def _run(self, *words: str, manifests: Sequence[Manifest] = (), writes: bool = False) -> Output:
        stdin = "".join(f"---\n{one.text}" for one in manifests)
        output = self.shell.run([*KUBECTL, *words], stdin=stdin, seconds=SECONDS, writes=writes)
        if output.status == LINE_BROKE:
            what, advice = "the connection broke while kubectl ran", "Check that the machine is on, and run again"
            raise Unreachable(what, where=self.shell.login.where, advice=advice)
        if output.status and is_away(output.stderr):
            what, advice = f"kubectl got no answer: {complaint(output.stderr)}", "See `homelab verify`, and run again"
            raise Unreachable(what, where=self.shell.login.where, advice=advice)
        return output

    def _refusal(self, manifest: Manifest, output: Output) -> Refused:
        """What kubectl said of one object, without anything that is secret in it."""
        said = hidden(output.stderr.strip() or output.stdout.strip(), manifest.secrets)
        where = f"{manifest.file}:{manifest.line}"
        if managers := conflicts(said):
            return Refused(
                f"{manifest.label} has fields that {', '.join(managers)} set otherwise: {complaint(said)}",
                where=where,
                advice="Take these fields out of the manifest, or give them to homelab once by hand: kubectl apply "
                f"--server-side --force-conflicts --field-manager={MANAGER} -f FILE",
            )
        return Refused(
            f"{manifest.label} is not taken: {complaint(said) or 'kubectl gave no reason'}",
            where=where,
            advice=f"Correct the manifest; `kubectl apply --server-side --dry-run=server -f {manifest.file}` tries it",
        )
