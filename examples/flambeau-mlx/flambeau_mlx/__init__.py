"""A flambeau backend over MLX, whose arrays are lazy and never change."""
