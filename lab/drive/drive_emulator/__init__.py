"""An emulator of the part of Google Drive's API v3 that exports use, with its limits and its faults."""
