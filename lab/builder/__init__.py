"""Builds what the hub runs on: the lab's binaries and node image, and the project's images."""
