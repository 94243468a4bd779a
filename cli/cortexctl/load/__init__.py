"""A bounded load of a deployment by one of its tenants, its figures, and whether they are good enough."""
