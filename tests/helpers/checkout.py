"""Where the checkout is, and what in it is for tests alone."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ROOT / "tests" / "helpers"
INVENTORIES = ROOT / "tests" / "inventories"
