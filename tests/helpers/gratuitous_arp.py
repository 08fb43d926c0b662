"""Waits for a gratuitous ARP of ADDRESS for SECONDS, and prints the MAC address that tells it.

Sender and target are the same address in it (RFC 5227, 3): whoever knew another MAC for the address learns this one.
"""

import socket
import sys
import time

ARP = 0x0806


def main() -> int:
    address, deadline = socket.inet_aton(sys.argv[1]), time.monotonic() + float(sys.argv[2])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ARP)) as lan:
        lan.settimeout(0.5)
        print("listening", flush=True)
        while time.monotonic() < deadline:
            try:
                frame = lan.recv(64)
            except TimeoutError:
                continue
            # Ethernet 14, then type and lengths 8, sender's MAC 6 and address 4, target's MAC 6 and address 4.
            if frame[28:32] == frame[38:42] == address:
                print(frame[22:28].hex(":"))
                return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
