"""One file a command: its steps, the wanted lab, and which of both is meant."""
