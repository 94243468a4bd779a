"""Switching the primary to another region: planned, or forced at a known price, by Patroni or Aurora."""

from cortexctl.failover.planning import Plan, demand, plan
from cortexctl.failover.switching import Switched, run

__all__ = ["Plan", "Switched", "demand", "plan", "run"]
