"""`python -m agent.cli`, where the `regreen` command isn't on the path."""

from agent.cli.main import main

main()
