"""The Kubernetes client and the one seam where its errors are translated; nobody else imports it."""
