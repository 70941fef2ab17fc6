"""What a repair needs of GitHub: one draft pull request a failure, and the limits on trying."""
