"""hepatica: open software for transarterial radioembolization. Research software, not a medical device."""

from hepatica.version import __version__

__all__ = ["__version__"]
