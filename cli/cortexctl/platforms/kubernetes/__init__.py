"""A region on Kubernetes, by the official client: what is done to what runs there, and looking at it.

Installing is Helm's (helm.py), the rest is asked of the API server: rollouts, the number of nodes, draining a
machine, events, leases. Which cluster, and as whom, is the kubeconfig's.
"""
