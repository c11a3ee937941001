"""What a study will take, before it starts: epochs, time and price, and what to beware of."""
