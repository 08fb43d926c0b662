"""What works on the checkout itself; nothing of it travels with the package."""
