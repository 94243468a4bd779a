"""The typed HTTP client of the runtime's API.

ClientError
├── ApiError           the service answered with an error
└── ConnectionFailed   no answer: whether it happened is unknown unless `unsent`
"""

from cortex_runtime.client._client import ApiError, Client, ClientError, ConnectionFailed

__all__ = ["ApiError", "Client", "ClientError", "ConnectionFailed"]
