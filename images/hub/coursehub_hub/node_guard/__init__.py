"""Lets go of the disks of a node that is lost, so that its students can start again elsewhere.

Kubernetes alone takes 50 s to notice, 300 s of toleration, and 6 minutes more until it takes a disk from a node that
does not say that it has let go. Its own way to shorten this is the taint ``node.kubernetes.io/out-of-service``, which
somebody has to set who is sure that the node is gone. This is that somebody. It is sure when three things come
together: the kubelet has not renewed its Lease for as long as it holds, which is 40 s; no server on the node answers;
and the disks' driver cuts off a node that it detaches a disk from, so that even a node that still runs can't write any
more.
"""
