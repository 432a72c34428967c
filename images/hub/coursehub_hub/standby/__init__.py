"""Two hubs, of which one works: the other has everything imported and waits.

The Lease says which one works, for people, for the other hub, and quickly. The lock in the database decides it: who
holds that is the only one, whatever the API server says or does not say. So a Lease that has run out because the API
server is away ends no hub, and a hub that is cut off from its database ends itself before the database gives the lock
to another.
"""
