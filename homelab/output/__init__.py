"""What a person or a script sees. The only door to rich."""
