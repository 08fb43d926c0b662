"""One simulated ESXi host, put together from its parts (host.py). Knows no protocol.

power          what a reboot, a power cut, the button and a boot do
drivers        which kernel module a boot gives to a NIC
services       what runs, and what ntpd does to the clock
network        port groups, and the address of vmk0
options        advanced settings                           account       logins and the lock-out
maintenance    the way into maintenance mode               licences      keys, and what each allows
system_files   scratch, logs, core dumps, host cache       auto_backup   what outlives a power cut
backup         a copy of the configuration to download
"""
