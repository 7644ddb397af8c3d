"""What a CT alone tells: body and lungs."""
