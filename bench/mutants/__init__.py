"""Real projects with one fault each: how they are made, and what a repair of them is worth."""
