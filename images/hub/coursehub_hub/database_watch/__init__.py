"""Tells staff when the hub can't write to its database, which its health does not say: that only reads.

Nobody can log in or start a server then, and the students at work notice nothing, so nobody else tells staff. It never
ends the hub: one that begins writes before it listens, so a fresh one could do less.
"""
