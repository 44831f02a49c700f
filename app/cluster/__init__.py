"""The state that is judged: a live cluster or a directory of manifests, read into plain engine values.

The only room that knows the Kubernetes client, so that its errors and its weight stay behind one seam.
"""
