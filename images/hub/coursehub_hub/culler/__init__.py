"""Ends servers that nobody uses. A service of the hub with the rights for that alone, started and ended with it."""
