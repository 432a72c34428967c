"""The hub's configuration, as plain Python that can be tested."""
