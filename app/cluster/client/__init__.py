"""The Kubernetes client and the seam where its errors become ours; never what objects mean."""
