"""JSON and YAML as Kubernetes spells them -> engine values, with every field error and its path.

One parser serves the admission review, the watch and the files of ``check``, so that the same object always
means the same. Nothing here decides anything.
"""
