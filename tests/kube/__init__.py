"""A real control plane for the tests: etcd, kube-apiserver and kube-controller-manager on loopback."""
