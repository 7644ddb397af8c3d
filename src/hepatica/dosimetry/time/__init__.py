"""From activity at several instants to decays."""
