"""What an integrator imports."""
