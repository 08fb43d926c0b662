"""The command `vm list`: the VMs that are ours, and how they stand; changes nothing."""

from homelab.commands.lab_run import open_run
from homelab.commands.options import Options
from homelab.errors import DONE
from homelab.output.table import age, table
from homelab.steps.vms.vm_rows import VmRow, vm_rows

HEADS = ("NAME", "HOST", "ADDRESS", "POWER", "AGE", "IMAGE", "DRIFT")
DIGITS = 12


def vm_list(options: Options) -> int:
    """Show every VM of the inventory that is ours to make."""
    run = open_run(options, ())
    names = [vm.name for vm in run.lab.vms if vm.managed and run.selection.has(vm.name)]
    rows = vm_rows(run.world, run.lab, names)
    if run.ui.json:
        run.ui.document({"vms": [row.fields() for row in rows]})
        return DONE
    for line in table(HEADS, [_cells(row) for row in rows]):
        run.ui.say(line)
    return DONE


def _cells(row: VmRow) -> tuple[str, ...]:
    image = (row.image or "-")[:DIGITS]
    told = row.problem or "; ".join(row.drift) or "-"
    return (row.name, row.host or "-", row.address, row.power, age(row.age_seconds), image, told)
