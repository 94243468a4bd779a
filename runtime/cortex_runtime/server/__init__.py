"""The RSGI application, its routes, health report, metrics and drain."""
