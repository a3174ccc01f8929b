"""The door: HTTP in, AWS's protocols, and the rooms or moto behind it."""
