#!/usr/bin/python
"""The documentation of `step`; what it does is in the action plugin of that name, which runs on the controller."""

DOCUMENTATION = r"""
module: step
short_description: Brings hosts and VMs of the lab into the wanted state
description:
  - Carries out steps of C(homelab bootstrap) for the hosts of the play, on the controller. The inventory says what is
    wanted; the steps compare it with what they find, and change only what differs.
  - All hosts of a play that come to the same task are looked at and changed in one process, at once where that is safe
    and one after another where it is not, as when they reboot. Each has its own result.
  - A task with a condition, a loop, a template among its options, or in a block with C(rescue) or C(always) does one
    host after another.
  - Needs the Python package homelab beside ansible-core. Nothing is installed on any host.
  - What is done, or would be with C(--check), is told line by line on stderr; the results say the same in full.
  - The steps that lay something down on guests (C(cluster-ca), C(load-balancer), C(kubernetes)) run a playbook in a
    process of its own, which knows the inventory and the vault's settings, and no extra variables. The playbooks
    of the same names do the same in this process.
options:
  name:
    description:
      - The steps, by name; they are done in the order in which C(homelab bootstrap) does them.
      - With several, C(--tags) and C(--skip-tags) choose among them, when the task itself carries their names as tags.
    type: list
    elements: str
    required: true
  state:
    description:
      - V(present) brings the hosts of the play to what the inventory says.
      - V(absent) destroys those of its VMs that are ours, and with O(name=image) the image that they were copied from.
    type: str
    choices: [present, absent]
    default: present
  consent:
    description:
      - Whose disruptive changes are agreed to, those that reboot, power off, format or destroy. C(yes) for all of them,
        or a list of names of the inventory.
      - The extra variable C(homelab_consent) says the same for a whole run, and is used where this is not set. The same
        variable in an inventory does not count, for nobody would be asked any more.
      - Without it a host with such a change fails, says what would have been done, and is left as it is.
    type: raw
  look:
    description:
      - Only looks, even without C(--check). The task is never changed; RV(right) tells whether all is as wanted.
    type: bool
    default: false
  ahead:
    description:
      - Steps that are looked at once those of O(name) are done, by the looks that there are. RV(ahead_right) tells
        whether they have nothing to do at any host of the task.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Looks, changes nothing, and names what would be changed. What cannot be known yet is told.
    support: full
  diff_mode:
    description: What is now and what will be, and what is gone for good.
    support: full
author:
  - homelab (!UNKNOWN)
"""

EXAMPLES = r"""
- name: The datastore is mounted
  homelab.lab.step:
    name: [nfs-datastore]

- name: The NIC has the driver that works
  homelab.lab.step:
    name: [driver-fix, reboot]
    consent: [brix3, brix4]
"""

RETURN = r"""
msg:
  description: What was done, or what went wrong, in a sentence.
  returned: always
  type: str
changes:
  description: The changes that were made, or would be, in the form of C(homelab -o json plan).
  returned: always
  type: list
  elements: dict
  sample:
    - step: nfs-datastore
      target: brix1
      sentence: mount 192.168.2.5:/volume1/homelab on brix1 as nas
      reason: it is not mounted
      before: absent
      after: present
      disruptive: false
      undo: esxcli storage nfs remove -v nas
blocked:
  description: The steps that cannot be known or begun yet, each with what it waits for.
  returned: always
  type: list
  elements: dict
hand_overs:
  description: What a person must do at the machine.
  returned: always
  type: list
  elements: dict
right:
  description: Whether all is as wanted.
  returned: with O(look=true)
  type: bool
ahead_right:
  description: Whether the steps of O(ahead) have nothing to do, at any host of the task.
  returned: always
  type: bool
variables:
  description:
    - What a playbook for guests may be handed where a step would run one; among it C(receipt_inputs), by which the next
      look knows what went into the roles.
  returned: always
  type: dict
"""
