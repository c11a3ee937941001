"""Results: what a study came to, what it cost, and what another early-stopping rule would have made of it."""
