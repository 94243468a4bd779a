"""Appends, slot owners, followers: how a change becomes durable once and reaches every replica."""
