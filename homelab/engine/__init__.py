"""The one machinery: steps, their graph, and the runner that carries it out. Knows no port and no screen."""
