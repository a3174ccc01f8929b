"""CodeCommit: bare git repositories, driven by the host's own git."""
