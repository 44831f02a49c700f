"""The second process of a Pod and the line to it, for questions that take long; never what they mean."""
