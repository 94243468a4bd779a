"""Gateway, tokens, envelope encryption, keys, audit, rate limits."""
