"""How far a patch that passes the suite is to be believed: flags, behaviour, and a decision."""
