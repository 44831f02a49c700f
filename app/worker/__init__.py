"""The second process of a Pod and the line to it: questions and answers, never what they mean."""
