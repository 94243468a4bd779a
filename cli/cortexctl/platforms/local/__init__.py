"""Regions as process trees on one machine.

A region is one tree of processes under a small init of ours (init.py): supervisord, and under it etcd,
Patroni with PostgreSQL, HAProxy and the column runtime's nodes. The edge is a tree of its own. Terraform
starts and stops them by `python -m cortexctl.platforms.local` (__main__.py); faults, returns and questions go
through LocalPlatform. Under which account the trees run is said in account.py.
"""

from cortexctl.platforms.local.platform import LocalPlatform

__all__ = ["LocalPlatform"]
