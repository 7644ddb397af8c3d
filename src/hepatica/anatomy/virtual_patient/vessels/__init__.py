"""Hepatic arteries, portal and hepatic veins of the virtual patient."""
