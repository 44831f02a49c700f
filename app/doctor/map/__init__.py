"""Who reaches whom, as a graph and as drawings; never an opinion on what should pass."""
