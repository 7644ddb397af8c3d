"""Verbs that show the data hepatica ships: nuclides, agents, guardrails."""
