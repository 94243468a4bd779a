"""Disaster-recovery drills: a fault that landed, a canary that keeps count, a judgement by its record."""
