"""How a deployment is now, looked at from inside or from outside, and waiting for it to be well."""
