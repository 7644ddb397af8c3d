"""Scout, plan, vial, and what was delivered."""
