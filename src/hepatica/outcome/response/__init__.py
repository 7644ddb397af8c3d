"""Response of tumours: the published criteria, and what they are read from."""

from hepatica.outcome.response.criteria import Response

__all__ = ["Response"]
