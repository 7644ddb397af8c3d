"""How good a registration is: landmarks, structures, the field, the marks of TG-132, what it does to a dose."""
