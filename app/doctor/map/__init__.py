"""Who reaches whom, as a graph and as drawings; what passes is asked of the engine."""
