"""What may vary: dimensions, named spaces, named recipes. Pure data, standard library only."""
