"""What crosses a boundary: API messages, tokens, the keyring file."""
