"""How good a registration is: landmarks, structures, the field itself, the marks of TG-132, and what it does to a dose."""
