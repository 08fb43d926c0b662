"""The ESXi shell: what is read and written there, and the notes of what was left switched on."""
