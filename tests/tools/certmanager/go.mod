// Not built: it names the version of cert-manager whose CustomResourceDefinitions the tests install.
module netpol-guard.example/certmanager

go 1.21

require github.com/cert-manager/cert-manager v1.21.2
